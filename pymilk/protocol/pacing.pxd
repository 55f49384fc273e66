"""Publishing frames at their times: a series in memory of the caller, or slots that another thread fills."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, atomic_load_i32, atomic_load_u64, atomic_store_u64,
)
from .clock cimport CHECK_NS, clock_ns, sleep_until
from .filestate cimport Place, left_place
from .flags cimport atomic_load_int
from .layout cimport Header
from .port cimport pymilk_pause
from .publish cimport publish_one

cdef enum:
    # Before each frame is due, the clock is polled for this long instead of sleeping.
    PACING_SPIN_NS = 60_000
    # Time between two looks for a frame that was not handed over yet.
    STARVED_NS = 50_000

# A series of frames in memory, published over and over until `total`.
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
    const int64_t *steps    # of each slot: ns from the frame before to this one; NULL: publish without delay
    int64_t *dues           # when the frame of each slot was due, and when it was published: CLOCK_MONOTONIC
    int64_t *moments
    int64_t slack           # ns; a frame that is late by more delays the frames after it
    uint64_t ready          # frames handed over so far; written by the thread that fills, last
    uint64_t done           # frames published so far; written by the thread that publishes, last
    uint64_t starved        # of these, the ones not handed over yet when they were due
    int64_t due             # of the frame published last
    int over                # no frame follows those that are ready
    int stopped             # end now, without those that are ready


cdef inline bint come_due(int64_t due, int64_t stop_at, int64_t *now) noexcept nogil:
    """Wait until a frame is due; False if stop_at comes first: the caller has other things to check.

    Sleeps until just before, then polls the clock: a sleep alone ends tens of microseconds late.
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


cdef inline void publish_series(char *base, const Header *h, Series *s, bint check, const int *closed,
                                Place *place) noexcept nogil:
    """Publish frames until all are done, it is time to check signals, or the file has left its place."""
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
        if left_place(place, now) or (check and now >= stop_at):
            return


cdef inline bint publish_feed(char *base, const Header *h, Feed *feed, bint check, const int *closed,
                              Place *place) noexcept nogil:
    """Publish the frames of a feed, each at its time, to the end; False before that as `publish_series`."""
    cdef int64_t due, now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t stop_at = now + CHECK_NS
    cdef uint64_t slot
    cdef bint over, starving = False
    while not atomic_load_int(closed) and not atomic_load_int(&feed.stopped):
        # Read before `ready`: it is set after the last frame was handed over. Pairs with the release in
        # FrameFeed.end.
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
            # A late frame delays the next ones: there are no bursts to catch up.
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
            # Release: the times are visible before the slot is free. Pairs with the acquire load in FrameFeed.done.
            atomic_store_u64(&feed.done, feed.done + 1, __ATOMIC_RELEASE)
        if left_place(place, now):
            return False
        if now >= stop_at:
            if check:
                return False
            stop_at = now + CHECK_NS
    return True
