"""Waiting for a new frame: spin, then sleep on the semaphore in slices, until the counter moved on.

The counter is the truth, a semaphore is a doorbell: a wake-up alone proves nothing, and a frame without a post
is found by the next look. `sleep_for_frame` pairs with the full fence of post_all (publish.pxd).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_RELAXED, atomic_load_i32, atomic_load_u64,
)
from .clock cimport (
    CHECK_NS, EARLY_POST_SPIN_NS, POLL_NS, Slack, clock_ns, later, lower_slack, restore_slack, sleep_until, stamp_ns,
)
from .filestate cimport FILE_CUT, FILE_OTHER, Source, file_state, retired, stays_damaged
from .flags cimport atomic_load_int, raise_flag
from .guard cimport PYMILK_LOST
from .order cimport (
    COUNT_WAIT_NS, EXACT, PROBE_NS, STEP_NONE, STEP_OPEN, Order, Step, is_open, is_sought, is_wary, judge_shift, lead_at,
    look_at_pixels, next_step,
)
from .pace cimport Pace, pace_behind, pace_miss, pace_note, pace_note_late, pace_note_spin, pace_plan
from .port cimport pymilk_pause
from .posts cimport Posts, empty_bell, lapse, note_post, posts_by_now, take_posts
from .process cimport own_pid
from .semaphore cimport pymilk_fence_behind_take, pymilk_sem_wait_until

cdef enum:
    # A wait sleeps in slices of this length. Between slices it checks signals, the closed flag and the file: this
    # bounds the delay of Ctrl-C, of close() and of following a replaced stream.
    SLICE_NS = 20_000_000
    # Without a semaphore: look every POLL_NS while frames come, and less often after this time without one.
    POLL_IDLE_NS = 1_000_000
    POLL_IDLE_AFTER_NS = 200_000_000
    # After this time without a post, none is expected any more for frames that were counted.
    SETTLED_NS = 1_000_000
    # Behind a frame of a writer whose order is sought, a wait looks at the pixels every POLL_NS for so long.
    PROBED_WAIT_NS = 3_000_000
    # When it spins for longer, it sleeps in between: the writer may share its core, and is seen in the same step all the time.
    PROBED_SPIN_NS = 150_000
    # Looks at the counter between two looks at the clock while spinning.
    SPINS_PER_LOOK = 64
    # A reader that lost frames spins for this long when a wait begins (see `Spin.eager`).
    LATE_SPIN_NS = 50_000
    # `Spin.ns`: spin as the rhythm of the stream suggests.
    LEARNED = -2

# What a wait, or a run of the receive loop, ended with.
cdef enum:
    EV_DONE
    EV_CHECK        # take the GIL and check signals, then go on
    EV_TIMEOUT
    EV_CLOSED
    EV_STOPPED
    EV_REPLACED
    EV_DAMAGED      # its file was cut, or its header rewritten

# When to spin instead of sleeping.
cdef struct Spin:
    int64_t ns              # to spin before sleeping; FOREVER: never sleep
    Pace *pace              # the rhythm to learn and to spin by; NULL: spin for `ns`
    int64_t doze            # of the present wait: when the frame is due, less what a sleep is late,
    int64_t alert           # and when it is no longer expected
    int64_t looked          # when a spin looked at the clock last; 0: the frame came while the wait slept
    uint32_t eager          # number of next frames for which to spin first, because one was lost
    bint once               # the caller waits for one frame only, and goes on as soon as it has come

# Waits for frames of one stream by one reader. Private to the call; the pointers lead into a Mapping and a
# Reader that the caller holds.
cdef struct Wait:
    Source source
    Posts posts
    Order order             # what the writer does, as far as it was seen
    bint strict             # leave out a frame rather than take it under a number that was not told
    bint at_post            # end at the post of a frame that was not counted yet, too
    Spin spin
    Slack slack
    uint64_t last           # wait until the counter differs from this one
    const int *shut         # the reader was closed
    const int *stop
    bint check_signals      # stop with EV_CHECK now and then
    int64_t timeout         # ns for each frame, FOREVER for no limit
    int64_t deadline        # of the present wait; 0: not waiting
    int64_t began           # when the present wait began
    int64_t next_check      # when to look at the file again


cdef inline int ended(const Wait *w) noexcept nogil:
    """Tell whether another thread has closed the stream or the reader, or stopped the receive."""
    cdef int closed = atomic_load_int(w.source.closed)
    if closed & PYMILK_LOST:
        return EV_DAMAGED
    if closed or atomic_load_int(w.shut):
        return EV_CLOSED
    return EV_STOPPED if atomic_load_int(w.stop) else EV_DONE


cdef inline int housekeeping(Wait *w, int64_t now) noexcept nogil:
    """Check flags, file and semaphore between slices. Returns EV_DONE to go on."""
    cdef const Source *s = &w.source
    cdef int event = ended(w)
    if event != EV_DONE:
        return event
    if now < w.next_check and not retired(s.base, s.h):
        return EV_DONE
    w.next_check = now + CHECK_NS
    # FILE_GONE does not end the wait: a new file may come, and one of the next checks finds it.
    event = file_state(s.path, s.device, s.inode, s.h.at.total)
    if event == FILE_OTHER:
        return EV_REPLACED
    if event == FILE_CUT:
        raise_flag(s.closed, PYMILK_LOST)
    if stays_damaged(s.base, s.h, s.closed):
        return EV_DAMAGED
    if w.posts.sem != NULL and atomic_load_i32(<int32_t *>w.posts.owner, __ATOMIC_RELAXED) != own_pid:
        w.posts.sem = NULL  # another reader took our semaphore: its posts are not ours
    return EV_CHECK if w.check_signals else EV_DONE


cdef inline bint has_moved(const Wait *w) noexcept nogil:
    # Relaxed: no data is read because of it. `look` and `ring_look` load the counter again.
    return atomic_load_u64(&(<IMAGE_METADATA *>w.source.base).cnt0, __ATOMIC_RELAXED) != w.last


cdef inline bint is_posted(const Wait *w) noexcept nogil:
    """Tell whether the frame after the last one was posted, by a writer that counts late."""
    return w.order.trust == EXACT and lead_at(&w.order, w.last, w.posts.taken) == 1


cdef inline bint ends_at_post(const Wait *w) noexcept nogil:
    return w.at_post and is_posted(w)


cdef inline bint is_probed(const Wait *w) noexcept nogil:
    return w.posts.sem != NULL and is_sought(&w.order)


cdef inline void probe(Wait *w) noexcept nogil:
    """Look whether other pixels stand under the last number."""
    look_at_pixels(&w.source, &w.order, w.last, w.posts.taken)
    judge_shift(&w.order, posts_by_now(&w.posts))


cdef inline Step watch_step(Wait *w, uint64_t number, int64_t since, int64_t until) noexcept nogil:
    """Watch what the writer does after `number`, see next_step, and judge what was seen of its pixels."""
    cdef Step step
    lower_slack(&w.slack)
    step = next_step(&w.source, &w.order, number, w.posts.taken, since, until, w.stop)
    judge_shift(&w.order, posts_by_now(&w.posts))
    return step


cdef inline void probe_while_spinning(Wait *w) noexcept nogil:
    """The same, while a wait spins."""
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    probe(w)
    if now - w.began > PROBED_SPIN_NS:
        lower_slack(&w.slack)
        sleep_until(now + now % PROBE_NS)


cdef inline bint spin_for(Wait *w, int64_t until) noexcept nogil:
    """Watch the counter without sleeping; returns whether it moved."""
    cdef bint wary = w.posts.sem != NULL and is_wary(&w.order)
    cdef int _
    while True:
        for _ in range(SPINS_PER_LOOK):
            if has_moved(w):
                return True
            pymilk_pause()
        if wary:
            take_posts(&w.posts)
        if wary and is_sought(&w.order):
            probe_while_spinning(w)
        w.spin.looked = clock_ns(CLOCK_MONOTONIC)
        if ends_at_post(w) or w.spin.looked >= until:
            return False


cdef inline bint is_counted_late(Wait *w, int64_t now) noexcept nogil:
    """Watch a writer that may count late, after a post; returns whether there is no more to wait for."""
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>w.source.base
    cdef int64_t until = min(now + COUNT_WAIT_NS, w.deadline)
    cdef Step step = watch_step(w, w.last, now, until)
    while step == STEP_OPEN and clock_ns(CLOCK_MONOTONIC) < until:  # the post came before `write` = 0
        while is_open(md, w.last) and clock_ns(CLOCK_MONOTONIC) - now < EARLY_POST_SPIN_NS:
            pymilk_pause()
        if is_open(md, w.last):  # this thread may hold up the writer
            sleep_until(clock_ns(CLOCK_MONOTONIC) + PROBE_NS // 2)
        step = watch_step(w, w.last, clock_ns(CLOCK_MONOTONIC), until)
    return step == STEP_NONE or has_moved(w)


cdef inline void await_count(Wait *w, int64_t now) noexcept nogil:
    """Watch the counter after a post: the count may come later."""
    cdef int64_t until = min(now + COUNT_WAIT_NS, w.deadline)
    if has_moved(w):
        return
    if ends_at_post(w) or (is_wary(&w.order) and is_counted_late(w, now)):
        return
    # The counter moves at once, unless the writer posts before it counts, or the post was owed.
    if spin_for(w, now + EARLY_POST_SPIN_NS) or w.posts.ahead == 0:
        return
    while not has_moved(w) and now < until and not atomic_load_int(w.stop):
        sleep_until(now + POLL_NS)
        now = clock_ns(CLOCK_MONOTONIC)
        if is_probed(w):
            probe(w)


cdef inline void sleep_for_frame(Wait *w, int64_t now) noexcept nogil:
    """Sleep until the semaphore is posted, at most one slice."""
    cdef int64_t until = min(later(now, SLICE_NS), w.deadline)
    cdef int64_t began = now
    cdef bint dozing = now < w.spin.doze < until, probed = is_probed(w) and now - w.began < PROBED_WAIT_NS
    cdef int taken
    w.spin.looked = 0
    lower_slack(&w.slack)
    if dozing:
        until = w.spin.doze
    if probed:
        until = min(until, now + POLL_NS)
    if w.posts.silent and take_posts(&w.posts) > 0:
        w.posts.silent = False
    if w.posts.sem == NULL or w.posts.silent:
        sleep_until(min(until, now + (POLL_NS if now - w.began < POLL_IDLE_AFTER_NS else POLL_IDLE_NS)))
        if probed:
            probe(w)
        return
    taken = take_posts(&w.posts)
    # Pairs with the fence in post_all: a writer that leaves out its post has seen ours taken, or we see its frame.
    pymilk_fence_behind_take()
    if has_moved(w) or ends_at_post(w):
        return
    if not is_posted(w) and (taken == 0 or w.posts.ahead == 0):
        taken = pymilk_sem_wait_until(w.posts.sem, until) == 0
        now = clock_ns(CLOCK_MONOTONIC)
        if now - began > SETTLED_NS:
            lapse(&w.posts, taken or now - until > SETTLED_NS or has_moved(w))
        if not taken:
            if probed:
                probe(w)
            elif dozing and now >= until:  # else a signal ended it
                pace_note_late(w.spin.pace, now - until)
            elif dozing:
                pass
            else:
                w.posts.silent = has_moved(w)
            return
        note_post(&w.posts)
    await_count(w, now)


cdef inline int wait_for_post(Wait *w, uint64_t *posts) noexcept nogil:
    """Wait for a post, whatever the counter says, and take all there are. EV_CHECK: call again."""
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int event
    if w.deadline == 0:
        w.deadline = later(now, w.timeout)
        w.began = now
    while True:
        posts[0] = 0 if w.posts.sem == NULL else empty_bell(&w.posts)
        if posts[0]:
            return EV_DONE
        if now >= w.deadline:
            return EV_TIMEOUT
        event = housekeeping(w, now)
        if event != EV_DONE:
            return event
        if w.posts.sem == NULL:  # another reader took it
            sleep_until(min(later(now, SLICE_NS), w.deadline))
        elif pymilk_sem_wait_until(w.posts.sem, min(later(now, SLICE_NS), w.deadline)) == 0:
            w.posts.taken += 1
            posts[0] = 1 + empty_bell(&w.posts)
            return EV_DONE
        now = clock_ns(CLOCK_MONOTONIC)


cdef inline int arrived(Wait *w) noexcept nogil:
    """Note that a frame came during the wait."""
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>w.source.base
    cdef int64_t now
    w.deadline = 0
    if w.spin.pace != NULL:
        now = clock_ns(CLOCK_MONOTONIC)
        if w.spin.looked:
            pace_note_spin(w.spin.pace, now - w.spin.looked)
        else:
            now -= pace_behind(w.spin.pace, stamp_ns(&md.writetime))
        pace_note(w.spin.pace, now, atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED))
    return EV_DONE


cdef inline int wait_for_frame(Wait *w) noexcept nogil:
    """Wait until the counter differs from w.last. EV_CHECK: call again."""
    cdef int64_t now
    cdef int event
    if has_moved(w):
        w.deadline = 0
        if w.spin.pace != NULL:
            pace_miss(w.spin.pace)
        return EV_DONE
    now = clock_ns(CLOCK_MONOTONIC)
    if w.deadline == 0:
        w.deadline = later(now, w.timeout)
        w.began = now
        if w.spin.pace != NULL:
            pace_plan(w.spin.pace, now, w.last, &w.spin.doze, &w.spin.alert)
        else:
            w.spin.alert = later(now, w.spin.ns)
        if w.spin.eager:
            w.spin.eager -= 1
            w.spin.looked = now
            if spin_for(w, min(now + LATE_SPIN_NS, w.deadline)):
                return arrived(w)
            now = clock_ns(CLOCK_MONOTONIC)
    while True:
        if w.spin.doze <= now < w.spin.alert and now < w.deadline:
            if w.spin.once:
                restore_slack(&w.slack)  # now, and not between the frame and its return: three system calls
            w.spin.looked = now
            if spin_for(w, min(min(w.spin.alert, w.deadline), now + SLICE_NS)):
                break
        elif now < w.deadline:
            sleep_for_frame(w, now)
        if has_moved(w):
            break
        if ends_at_post(w):
            return EV_DONE  # the wait goes on, with its deadline, unless that frame is delivered
        now = clock_ns(CLOCK_MONOTONIC)
        if now >= w.deadline:
            # Check the file once more: most often the writer was restarted.
            w.next_check = 0
        event = housekeeping(w, now)
        if event != EV_DONE and event != EV_CHECK:
            return event
        if now >= w.deadline:
            return EV_TIMEOUT
        if event == EV_CHECK:
            return EV_CHECK
    return arrived(w)
