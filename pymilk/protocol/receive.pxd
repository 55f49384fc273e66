"""How a frame is received.

The counter is the truth, a semaphore is a doorbell. `run_receive` is the one loop behind every receive, capture and
relay, and runs without the GIL:

    until cnt0 differs from the last counter: spin, then sleep on the semaphore in slices
    look at write, cnt0 and the stamps -> acquire fence -> copy -> acquire fence -> look again
    the same and write = 0 both times: the frame is whole. Otherwise try again, a bounded number of times
    a frame that never came out whole is delivered with FLAG_TORN

The stamps (writetime and lastaccesstime) are compared besides the counter because the Python wrapper of the C
library clears `write` before it counts (publish.pxd): between the two the counter alone shows no change. A reader
that begins and ends its copy there gets a whole frame under a number that is 1 too low; the next number comes with
the same stamps, and the row is corrected (is_known). A writer without stamps that does so is told by its posts
(late.pxd).

Two cases are not detected: a tear by a writer that sets neither `write` nor a stamp before it changes pixels; and
that wrong number, if further frames with stamps were written before the next look.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_TAI, c_write, sem_getvalue, sem_t, timespec,
    __ATOMIC_RELAXED, __ATOMIC_RELEASE, __ATOMIC_SEQ_CST, atomic_fence, atomic_store_u32, atomic_store_u64,
)
from .clock cimport clock_ns, later
from .copying cimport Patience, copy_frame, notice_life
from .cursor cimport RING_CHUNK_NBYTES, Cursor, cursor_copy, cursor_unread
from .filestate cimport Source, damaged, stays_damaged
from .flags cimport atomic_load_int
from .frame cimport (
    _COUNTER_RESET, _COUNTER_SET, _NEW_FILE, _REPEATED_POST, _TORN, _UNCERTAIN, _VERIFIED, Row, is_set,
)
from .late cimport (
    LIKELY_TRIES, NUMBER_AGAIN, NUMBER_NEXT, NUMBER_RIGHT, NUMBER_TRIES, Number, tell_number,
)
from .layout cimport Header
from .look cimport Look
from .marks cimport pixel_mark
from .order cimport ASSUMED, Order, UNKNOWN, is_sought, is_wary, note_pixels, note_probed, note_unsure
from .posts cimport Posts, settle_posts
from .publish cimport abandon_frame, close_frame_by, frame_at, next_slice, open_frame
from .ring cimport RING_FAST, Total, ring_look
from .semaphore cimport sem_post
from .waiting cimport (
    EV_DAMAGED, EV_DONE, EV_REPLACED, EV_TIMEOUT, Wait, ended, housekeeping, wait_for_frame, wait_for_post,
)

cdef enum:
    # A reader that lost a frame of a stream this fast spins for so many of the next ones, whatever its policy:
    # a wake-up can take longer than a frame lasts, and a reader that sleeps again is late again.
    LATE_INTERVAL_NS = 40_000
    LATE_FRAMES = 32
    # Among so many first frames, and as long as the order of the writer is sought, a private ring or a relay does without
    # frames rather than take them under a number that was not told. Their rows may have been read when the writer is seen
    # to count late.
    STRICT_FRAMES = 64

# Where frames go: memory of the caller, or the slots of a private ring.
cdef struct Dest:
    char *frames
    uint64_t nbytes         # of one frame
    uint64_t slots          # frame k goes to slot k % slots
    Row *rows               # one for each slot; NULL: none wanted
    bint streaming          # frames lie beyond the caches

# What readers of a private ring are told of frames whose writer counts late.
cdef struct Doubt:
    # CLOCK_TAI: rows that arrived from then to then may have been read before they were flagged; until = 0: none.
    int64_t since
    uint64_t until
    uint64_t frames         # whose number is uncertain, those that were flagged later included
    uint64_t pending        # whether rows may still be flagged: 0 or 1
    # CLOCK_TAI: since when rows pass for right that may be flagged; 0: none. And what it was when some were flagged last.
    int64_t likely
    int64_t flagged

# What a private ring needs besides. All NULL for other destinations.
cdef struct Collected:
    Total *totals           # beside the rows
    Total total
    sem_t *bell             # posted for each frame, for readers of the ring
    const int *bell_fd      # an eventfd that is written for each frame, or -1
    Doubt *doubt

# A relay: the stream to publish the frames in, instead of a destination.
cdef struct Target:
    char *base              # NULL: no relay
    const Header *h
    int *closed             # Mapping.closed of that stream
    uint64_t jump           # numbers to leave out before the first frame, so that it keeps its number
    uint64_t torn           # frames left out because they were torn
    uint64_t *reached       # number of the frame published last, for others to see
    uint64_t *counter_set   # frames with _COUNTER_SET, for others to see
    uint64_t *uncertain     # frames published before their writer was seen to count late, for others to see

# What the next row must report.
cdef struct Account:
    bint new_file           # the next frame is the first of a file that replaced another
    uint64_t missed         # frames of that other file that were not received
    uint64_t carry          # frames lost before the next one besides those that its number shows
    int64_t arrived         # when the last frame was copied, or the account began, CLOCK_TAI

# The stamps of the last frame delivered.
cdef struct Stamps:
    timespec write
    timespec access
    bint accesses           # this writer stamps each access

# Rows of this run whose number was likely and not told: from, and up to before.
cdef struct Likely:
    uint64_t begin
    uint64_t end            # 0: none
    int64_t since           # before the first of them arrived, CLOCK_TAI

# One run of the receive loop. Private to the call; the pointers lead into memory that the caller holds.
cdef struct Job:
    Wait wait               # `wait.last` is the counter of the last frame delivered
    Cursor *cursor          # the stream has a ring: frames are taken from there
    Dest dest
    Collected ring
    Target target
    Account account
    Stamps stamps
    Likely likely
    Patience patience
    bint by_posts           # each post is a frame, whatever the counter says
    uint64_t wanted         # run until so many frames are delivered
    uint64_t delivered
    uint64_t *done          # the same, for others to see


cdef inline void note_doubt(Job *job, const Row *row) noexcept nogil:
    """Tell readers of a private ring, before a frame is handed over, whether its row may still be flagged."""
    cdef Doubt *doubt = job.ring.doubt
    cdef uint64_t pending = job.likely.end != 0 and is_sought(&job.wait.order)
    # Relaxed: `done`, or the flag of a row, is stored behind it.
    if pending != doubt.pending:
        atomic_store_u64(&doubt.pending, pending, __ATOMIC_RELAXED)
    if row.flags & _UNCERTAIN:
        atomic_store_u64(&doubt.frames, doubt.frames + 1, __ATOMIC_RELAXED)


cdef inline void hand_over(Job *job, const Row *row, uint64_t slot) noexcept nogil:
    """Make a frame and its row visible to other threads."""
    cdef Collected *ring = &job.ring
    cdef uint64_t one = 1
    cdef int value = 0, fd
    if ring.totals != NULL:
        ring.total.lost += row.lost
        ring.total.files += (row.flags & _NEW_FILE) != 0
        ring.totals[slot] = ring.total
        note_doubt(job, row)
    job.delivered += 1
    # Release: the frame and its row are complete before others see the count.
    atomic_store_u64(job.done, job.delivered, __ATOMIC_RELEASE)
    if ring.bell == NULL:
        return
    # Full fence: `done` is visible before the value of the semaphore is read. Pairs with a reader that takes the
    # post and then reads `done` (PrivateRing.wait).
    atomic_fence(__ATOMIC_SEQ_CST)
    if sem_getvalue(ring.bell, &value) == 0 and value < 1:
        sem_post(ring.bell)
    fd = atomic_load_int(ring.bell_fd)
    if fd >= 0:
        c_write(fd, &one, 8)  # never blocks: the counter of an eventfd holds 2**64 - 2


cdef inline void pass_on(Job *job, const Row *row, int64_t slice, bint fresh) noexcept nogil:
    """Publish the frame that was copied into the target, under a number that shows how many were lost."""
    cdef Target *t = &job.target
    cdef int64_t acquired = row.atime_ns or row.writetime_ns
    if fresh and row.flags & _COUNTER_SET:
        atomic_store_u64(t.counter_set, t.counter_set[0] + 1, __ATOMIC_RELAXED)
    if not fresh or row.flags & _TORN:
        abandon_frame(t.base)
        if fresh:
            job.account.carry += row.lost + 1  # a torn frame must not look whole in the ring
            t.torn += 1
        return
    close_frame_by(t.base, t.h, acquired != 0, acquired, slice, row.lost + 1 + t.jump)
    t.jump = 0
    job.delivered += 1
    atomic_store_u64(t.reached, job.wait.last, __ATOMIC_RELAXED)
    atomic_store_u64(job.done, job.delivered, __ATOMIC_RELEASE)


cdef inline bint is_known(Job *job, const Look *seen) noexcept nogil:
    """Tell whether the frame that was copied is the last one delivered, now under its right number.

    A writer that clears write before it counts (the Python wrapper) shows for an instant the new frame under the
    old number. A reader whose copy falls into that instant delivers the frame with a number that is 1 too low. The
    next number then comes with unchanged stamps, and the row is corrected. Only for writers that stamp each
    access; others may leave the stamps unchanged from frame to frame.
    """
    cdef Stamps *s = &job.stamps
    cdef Posts *posts = &job.wait.posts
    cdef Row *row
    cdef bint moved = (seen.lastaccess.tv_nsec != s.access.tv_nsec
                       or seen.lastaccess.tv_sec != s.access.tv_sec)
    cdef bint known = (s.accesses and not moved and job.delivered > 0 and seen.cnt0 == job.wait.last + 1
                       and seen.writetime.tv_nsec == s.write.tv_nsec
                       and seen.writetime.tv_sec == s.write.tv_sec)
    if not known:
        s.accesses = s.accesses or moved
        s.access = seen.lastaccess
        s.write = seen.writetime
        return False
    # A post that seemed to announce nothing belongs to the number left out.
    if posts.excess:
        posts.excess -= 1
        posts.repeated -= 1
    else:
        posts.owed += 1
    if job.ring.totals != NULL or job.target.base != NULL:
        job.account.carry += 1  # that row may have been read already
    elif job.dest.rows != NULL:
        row = &job.dest.rows[job.delivered - 1]
        row.cnt0 = seen.cnt0
        row.lost += 1
        if posts.excess == 0:
            row.flags &= ~<uint32_t>_REPEATED_POST
    job.wait.last = seen.cnt0
    return True


cdef inline void account(Job *job, Row *row, uint64_t flags, const Look *seen) noexcept nogil:
    """Fill the row of a frame: its number, how many were lost before it, and whether a post was repeated."""
    cdef Account *a = &job.account
    cdef Posts *posts = &job.wait.posts
    cdef uint64_t advance = seen.cnt0 - job.wait.last
    if <int64_t>advance < 0:
        # The counter went backwards: a new count begins. How many frames were lost is not known.
        flags |= _COUNTER_RESET
        advance = 1
        posts.ahead = 0
    row.arrival_ns = clock_ns(CLOCK_TAI)
    if is_set(advance, row.arrival_ns - a.arrived):
        # How many frames were lost is not known here either.
        flags |= _COUNTER_SET
        advance = 1
        posts.ahead = 0
    settle_posts(posts, advance)
    if posts.excess:
        flags |= _REPEATED_POST
    advance += a.carry
    a.carry = 0
    if a.new_file:
        a.new_file = False
        flags |= _NEW_FILE
        advance += a.missed
    row.cnt0 = seen.cnt0
    row.lost = advance - 1
    row.flags = <uint32_t>flags
    if advance > 1 and row.arrival_ns - a.arrived < <int64_t>min(advance, <uint64_t>64) * LATE_INTERVAL_NS:
        job.wait.spin.eager = LATE_FRAMES
    a.arrived = row.arrival_ns
    job.wait.last = seen.cnt0


cdef inline int copy_once(Job *job, char *dst, Row *row, uint64_t *flags, Look *seen) noexcept nogil:
    """Copy the newest frame; returns EV_DONE, or why it must not be delivered."""
    cdef const Source *s = &job.wait.source
    flags[0] = copy_frame(s.base, s.h, dst, job.dest.streaming, row, &job.patience, seen)
    if damaged(s.base, s.h, s.closed):
        return EV_DAMAGED
    return ended(&job.wait) if flags[0] & _TORN else EV_DONE  # the copy may have been cut short


cdef inline bint seen_stamps(const Stamps *s, const Look *seen) noexcept nogil:
    """Tell whether the writer has stored a time since then."""
    return (seen.writetime.tv_nsec != s.write.tv_nsec or seen.lastaccess.tv_nsec != s.access.tv_nsec
            or seen.writetime.tv_sec != s.write.tv_sec or seen.lastaccess.tv_sec != s.access.tv_sec)


cdef inline bint has_stamps(Job *job, const Look *seen) noexcept nogil:
    """Tell whether the writer stores times: it did since the last frame delivered, or stamps each access."""
    cdef bint stamped = job.stamps.accesses or seen_stamps(&job.stamps, seen)
    job.wait.order.stamped = stamped
    if stamped:
        job.wait.order.trust = UNKNOWN
    return stamped


cdef inline void flag_likely(Job *job) noexcept nogil:
    """Flag the rows that passed for right until the writer was seen to count late."""
    cdef Doubt *doubt = job.ring.doubt
    cdef uint64_t k = job.likely.begin, end = job.likely.end, flagged = 0
    cdef Row *row
    job.likely.end = 0
    if job.target.base != NULL:
        atomic_store_u64(job.target.uncertain, job.target.uncertain[0] + end - k, __ATOMIC_RELAXED)
    if job.dest.rows == NULL:
        return
    # The slot of the frame that is told now holds a row that is gone; it was as likely as the others.
    if job.delivered >= job.dest.slots and k < job.delivered + 1 - job.dest.slots:
        flagged = min(end, job.delivered + 1 - job.dest.slots) - k
        k += flagged
    while k < end:
        row = &job.dest.rows[k % job.dest.slots]
        if row.flags & _VERIFIED:
            atomic_store_u32(&row.flags, (row.flags & ~<uint32_t>_VERIFIED) | _TORN | _UNCERTAIN, __ATOMIC_RELAXED)
            flagged += 1
        k += 1
    if doubt != NULL:
        doubt.since = doubt.since or job.likely.since
        doubt.flagged, doubt.likely = doubt.likely, 0
        atomic_store_u64(&doubt.frames, doubt.frames + flagged, __ATOMIC_RELAXED)
        # Release: `since` and the rows come first. Pairs with RingCursor.flag_doubtful and settle_likely.
        atomic_store_u64(&doubt.until, <uint64_t>clock_ns(CLOCK_TAI), __ATOMIC_RELEASE)
        atomic_store_u64(&doubt.pending, 0, __ATOMIC_RELAXED)


cdef inline int tell_frame(Job *job, char *dst, Row *row, uint64_t *flags, Look *seen,
                           uint64_t before) noexcept nogil:
    """Tell the number of a frame that was copied, of a writer without stamps; copies it again where that is needed.

    before: how many posts were taken when the copy began.
    """
    cdef Wait *w = &job.wait
    cdef Order *o = &w.order
    cdef uint64_t pixels
    cdef Number number = NUMBER_AGAIN
    cdef int tries = 0, event
    note_probed(o)
    while not flags[0] & _TORN:
        if not o.late and (is_sought(o) or not o.mark.known or o.unsure):
            pixels = pixel_mark(dst, w.source.h.n.frame_nbytes)
            if o.unsure and pixels == o.mark.pixels and seen.cnt0 == o.mark.number + 1:
                note_unsure(o)
            note_pixels(o, seen.cnt0, pixels, before)
        o.unsure = False
        number = tell_number(w, seen.cnt0, before, dst)
        tries += 1
        if number != NUMBER_AGAIN or tries >= (NUMBER_TRIES if o.late or w.strict else LIKELY_TRIES):
            break
        before = w.posts.taken
        event = copy_once(job, dst, row, flags, seen)
        if event != EV_DONE:
            return event
    if flags[0] & _TORN:
        return EV_DONE
    if number == NUMBER_NEXT:
        seen.cnt0 += 1
    elif o.late and number != NUMBER_RIGHT:
        flags[0] = _TORN | _UNCERTAIN
    elif number != NUMBER_RIGHT and seen.cnt0 != w.last:
        note_pixels(o, seen.cnt0, pixel_mark(dst, w.source.h.n.frame_nbytes), before)
        o.unsure = True
        if o.trust != ASSUMED:
            note_unsure(o)
        if job.likely.end == 0:
            job.likely.begin = job.delivered
            job.likely.since = clock_ns(CLOCK_TAI)
            if job.ring.doubt != NULL:
                job.ring.doubt.likely = job.likely.since  # `done` is stored behind it
        job.likely.end = job.delivered + 1
    if o.late and job.likely.end:
        flag_likely(job)
    return EV_DONE


cdef inline int copy_newest(Job *job, char *dst, Row *row, uint64_t *flags, Look *seen) noexcept nogil:
    """Copy the newest frame and tell its number; returns EV_DONE, or why it must not be delivered."""
    cdef uint64_t before = job.wait.posts.taken
    cdef int event = copy_once(job, dst, row, flags, seen)
    if event != EV_DONE or job.wait.posts.sem == NULL or has_stamps(job, seen) or not is_wary(&job.wait.order):
        return event
    return tell_frame(job, dst, row, flags, seen, before)


cdef inline int receive_frame(Job *job) noexcept nogil:
    """Wait for the next frame of a stream, and copy it to its destination."""
    cdef Look seen
    cdef Row scratch
    cdef Row *row = &scratch
    cdef char *dst
    cdef uint64_t flags, slot
    cdef int64_t slice = -1
    cdef Target *t = &job.target
    cdef bint fresh
    cdef int event
    notice_life(job.wait.source.base, &job.patience)
    job.wait.at_post = job.wait.order.late
    job.wait.strict = job.wanted == 1 or (
        (job.delivered < STRICT_FRAMES or is_sought(&job.wait.order)) and (job.ring.totals != NULL or t.base != NULL))
    event = wait_for_frame(&job.wait)
    if event != EV_DONE:
        return event
    notice_life(job.wait.source.base, &job.patience)
    if t.base != NULL:
        slot = 0
        open_frame(t.base)
        slice = next_slice(t.base, t.h)
        dst = frame_at(t.base, t.h, slice)
    else:
        slot = job.delivered % job.dest.slots
        dst = job.dest.frames + slot * job.dest.nbytes
        if job.dest.rows != NULL:
            row = &job.dest.rows[slot]
        # A reader of a private ring that sees one of these pixels also sees `done` of the frame before.
        # Pairs with the fence in ring_whole.
        atomic_fence(__ATOMIC_RELEASE)
    event = copy_newest(job, dst, row, &flags, &seen)
    fresh = event == EV_DONE and seen.cnt0 != job.wait.last and not is_known(job, &seen)
    if fresh:
        account(job, row, flags, &seen)
        job.wait.deadline = 0
    if t.base != NULL:
        pass_on(job, row, slice, fresh)
        if stays_damaged(t.base, t.h, t.closed):
            event = EV_DAMAGED
    elif fresh:
        hand_over(job, row, slot)
    return event


cdef inline int receive_posted(Job *job) noexcept nogil:
    """Wait for a post, and copy the frame that stands there; it gets the number of posts taken so far as its number.

    Frames are lost at the cap of the semaphore, too, where no post tells of them.
    """
    cdef Look seen
    cdef Row scratch
    cdef uint64_t flags, posts, slot = job.delivered % job.dest.slots
    cdef Row *row = &job.dest.rows[slot] if job.dest.rows != NULL else &scratch
    cdef Account *a = &job.account
    cdef int event = wait_for_post(&job.wait, &posts)
    if event != EV_DONE:
        return event
    atomic_fence(__ATOMIC_RELEASE)  # as in receive_frame
    event = copy_once(job, job.dest.frames + slot * job.dest.nbytes, row, &flags, &seen)
    if event != EV_DONE:
        return event
    job.wait.last += posts
    job.wait.deadline = 0
    row.cnt0 = job.wait.last
    row.lost = posts - 1 + (a.missed if a.new_file else 0)
    row.flags = <uint32_t>(flags & _TORN) | _UNCERTAIN | (_NEW_FILE if a.new_file else 0)
    row.arrival_ns = a.arrived = clock_ns(CLOCK_TAI)
    a.new_file = False
    hand_over(job, row, slot)
    return EV_DONE


cdef inline int receive_beside_ring(Job *job) noexcept nogil:
    """Receive a frame whose writer filled no slot of the ring, as the Python wrapper does."""
    cdef Cursor *c = job.cursor
    cdef Look seen
    cdef Row scratch
    cdef uint64_t flags, slot = job.delivered % job.dest.slots
    cdef Row *row = &job.dest.rows[slot] if job.dest.rows != NULL else &scratch
    cdef int event
    if c.ring.kind != RING_FAST:
        return EV_TIMEOUT if clock_ns(CLOCK_MONOTONIC) >= job.wait.deadline else EV_DONE
    atomic_fence(__ATOMIC_RELEASE)  # as in receive_frame
    event = copy_newest(job, job.dest.frames + slot * job.dest.nbytes, row, &flags, &seen)
    ring_look(&c.ring)
    if event != EV_DONE or cursor_unread(c) or seen.cnt0 == c.last:
        return event  # the newest frame is in the ring after all
    job.wait.last = c.last
    if not is_known(job, &seen):
        account(job, row, flags, &seen)
        c.new_file = False
        hand_over(job, row, slot)
    c.last = job.wait.last
    job.wait.deadline = 0
    return EV_DONE


cdef inline int receive_from_ring(Job *job) noexcept nogil:
    """Take the next frames out of the ring of a stream, waiting for one if there is none."""
    cdef Cursor *c = job.cursor
    cdef Wait *w = &job.wait
    cdef Dest *to = &job.dest
    cdef Row scratch
    cdef Row *rows = &scratch
    cdef uint64_t i, slot, room, got, before
    cdef int64_t now, deadline
    cdef bint losing
    cdef int event
    ring_look(&c.ring)
    if cursor_unread(c) == 0:
        w.last = c.ring.counter
        if w.deadline == 0:
            now = clock_ns(CLOCK_MONOTONIC)
            w.deadline = later(now, w.timeout)
            w.began = now
        deadline = w.deadline
        # If the counter is ahead of the last frame and the ring has nothing new, the frame is in the stream.
        if c.ring.kind != RING_FAST or c.ring.counter == c.last:
            event = wait_for_frame(w)
            if event != EV_DONE:
                return event
            ring_look(&c.ring)
        if cursor_unread(c) == 0:
            w.deadline = deadline
            return receive_beside_ring(job)
    slot = job.delivered % to.slots
    # One at a time into a private ring, whose readers rely on it, and where there are no rows to fill.
    room = 1
    if to.rows != NULL:
        rows = &to.rows[slot]
        if job.ring.totals == NULL:
            room = min(job.wanted - job.delivered, max(<uint64_t>1, RING_CHUNK_NBYTES // to.nbytes))
    before = c.last
    atomic_fence(__ATOMIC_RELEASE)  # as in receive_frame
    got = cursor_copy(c, to.frames + slot * to.nbytes, rows, room, to.streaming, False, &losing)
    if damaged(w.source.base, w.source.h, w.source.closed):
        return EV_DAMAGED
    if c.last > before:
        settle_posts(&w.posts, c.last - before)
    for i in range(got):
        hand_over(job, &rows[i], slot + i)
    if got:
        w.last = c.last
        job.account.new_file = False
        w.deadline = 0
    return EV_DONE


cdef inline int run_receive(Job *job) noexcept nogil:
    """Deliver frames until `wanted` are there; the one loop that serves every caller."""
    cdef int event
    cdef int64_t now
    while job.delivered < job.wanted:
        if job.by_posts:
            event = receive_posted(job)
        else:
            event = receive_frame(job) if job.cursor == NULL else receive_from_ring(job)
        if event != EV_DONE:
            return event
        # The coarse clock costs a quarter and is late by 4 ms at most: good enough to know when to check.
        now = clock_ns(CLOCK_MONOTONIC_COARSE)
        if job.delivered < job.wanted and now >= job.wait.next_check:
            event = housekeeping(&job.wait, now)
            # After its file was replaced, the frames still in its ring are received first.
            if event != EV_DONE and not (
                    event == EV_REPLACED and job.cursor != NULL and cursor_unread(job.cursor)):
                return event
    return EV_DONE
