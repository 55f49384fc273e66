"""Publishing frames at their times: a series in memory of the caller, or slots that another thread fills."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, atomic_load_i32, atomic_load_u64, atomic_store_u64,
)
from .clock cimport CHECK_NS, clock_ns, sleep_until
from .flags cimport atomic_load_int
from .layout cimport Header
from .port cimport pymilk_pause
from .publish cimport publish_one

cdef enum:
    # Steady publishing watches the clock for the last part of each interval instead of sleeping.
    PACING_SPIN_NS = 60_000
    # A publisher that waits for frames to be handed over looks this often.
    STARVED_NS = 50_000

# A series of frames in memory, which is gone round.
cdef struct Series:
    const char *frames
    const int64_t *atimes   # acquisition time of each; NULL: when it is published
    uint64_t held           # frames in memory
    uint64_t total          # frames to publish
    uint64_t done
    int64_t interval        # ns from one frame to the next; 0: as fast as possible
    int64_t due             # when the next frame is due, CLOCK_MONOTONIC; 0: not begun
    uint64_t counter        # of the frame published last

# Slots that one thread fills while another publishes them (FrameFeed).
cdef struct Feed:
    char *slots
    uint64_t depth
    uint64_t nbytes         # of a frame
    const int64_t *steps    # nanoseconds from the frame before to that of each slot; NULL: none is waited for
    int64_t *dues           # when the frame of each slot was due, and when it was published: CLOCK_MONOTONIC
    int64_t *moments
    int64_t slack           # a frame that is late by more shifts those behind it
    uint64_t ready          # frames that were handed over so far; the thread that fills stores it last
    uint64_t done           # frames that were published so far; the thread that publishes stores it last
    uint64_t starved        # of these, those that were not there yet when they were due
    int64_t due             # of the frame published last
    int over                # no frame comes behind those that are ready
    int stopped             # not even those are wanted


cdef inline bint come_due(int64_t due, int64_t stop_at, int64_t *now) noexcept nogil:
    """Wait until a frame is due; False if it is not yet, and time (stop_at) to look at other things.

    Sleeps to just before, and watches the clock for the rest: sleeping alone is late by tens of microseconds.
    """
    while due - now[0] > 2 * PACING_SPIN_NS:
        if now[0] >= stop_at:
            return False
        sleep_until(min(due - PACING_SPIN_NS, stop_at))
        now[0] = clock_ns(CLOCK_MONOTONIC)
    while now[0] < due:
        pymilk_pause()
        now[0] = clock_ns(CLOCK_MONOTONIC)
    return True


cdef inline void publish_series(char *base, const Header *h, Series *s, bint check,
                                const int *closed) noexcept nogil:
    """Publish frames until all are done, or it is time to look at signals."""
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t stop_at = now + CHECK_NS
    cdef uint64_t at
    if s.due == 0:
        s.due = now
    while s.done < s.total and not atomic_load_int(closed):
        if s.interval:
            if not come_due(s.due, stop_at, &now):
                return
            s.due = s.due + s.interval if now - s.due < s.interval else now + s.interval
        at = s.done % s.held
        s.counter = publish_one(
            base, h, s.frames + at * h.unit_nbytes, s.atimes != NULL, s.atimes[at] if s.atimes != NULL else 0)
        s.done += 1
        now = clock_ns(CLOCK_MONOTONIC)
        if check and now >= stop_at:
            return


cdef inline bint publish_feed(char *base, const Header *h, Feed *feed, bint check,
                              const int *closed) noexcept nogil:
    """Publish what a feed has, each frame at its time; False if it is time to look at signals first."""
    cdef int64_t due, now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t stop_at = now + CHECK_NS
    cdef uint64_t slot
    cdef bint over, starving = False
    while not atomic_load_int(closed) and not atomic_load_int(&feed.stopped):
        # Before `ready`: whoever says so has handed over all. Pairs with the release in FrameFeed.end.
        over = atomic_load_i32(<int32_t *>&feed.over, __ATOMIC_ACQUIRE)
        if atomic_load_u64(&feed.ready, __ATOMIC_ACQUIRE) == feed.done:
            if over:
                return True
            starving = True
            sleep_until(now + STARVED_NS)
            now = clock_ns(CLOCK_MONOTONIC)
        else:
            slot = feed.done % feed.depth
            due = feed.due + (feed.steps[slot] if feed.steps != NULL else 0)
            if starving and now > due and feed.done:
                feed.starved += 1
            starving = False
            # No burst makes up for time that was lost.
            if feed.steps == NULL or feed.done == 0 or now - due > feed.slack:
                due = now
            elif not come_due(due, stop_at, &now):
                if check:
                    return False
                stop_at = now + CHECK_NS
                continue
            publish_one(base, h, feed.slots + slot * feed.nbytes, False, 0)
            now = clock_ns(CLOCK_MONOTONIC)
            feed.due = feed.dues[slot] = due
            feed.moments[slot] = now
            # The slot is free, and its times can be had. Pairs with the acquire load in FrameFeed.done.
            atomic_store_u64(&feed.done, feed.done + 1, __ATOMIC_RELEASE)
        if now >= stop_at:
            if check:
                return False
            stop_at = now + CHECK_NS
    return True
