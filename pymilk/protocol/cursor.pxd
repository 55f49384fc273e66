"""Where one reader is in a ring: taking frames in order, and the account of what it took, lost and skipped."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .._isio cimport (
    CLOCK_TAI, IMAGE_METADATA, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u8, atomic_load_u32,
    atomic_load_u64,
)
from .clock cimport clock_ns, stamp_ns
from .frame cimport _COUNTER_RESET, _COUNTER_SET, _FROM_RING, _NEW_FILE, _VERIFIED, Row, copy_bytes, is_set
from .look cimport LOOK_TRIES
from .ring cimport (
    RING_FAST, RING_PRIVATE, RING_TEMPORAL, Ring, Total, keeps_records, record_count, ring_look, ring_number,
    ring_oldest, ring_slot, ring_whole,
)

cdef enum:
    # Bytes that are copied between two looks at the writer.
    RING_CHUNK_NBYTES = 8_388_608
    # Copies in a row that a writer overwrites before the reader skips to the newest frame.
    SPOILED_TRIES = 4

# The position of one reader in a ring, and its account.
cdef struct Cursor:
    Ring ring
    uint64_t next           # frame to read next
    uint64_t seen           # frame before it in the account: next - 1, or less after an overrun
    uint64_t last           # shared rings: its number
    Total total             # PRIVATE: the totals up to it
    Total reached           # PRIVATE: those up to the last row that was filled
    uint64_t counted        # newest frame in the account; after a rewind frames do not count again
    uint64_t counted_last   # shared rings: its number
    Total counted_total     # PRIVATE: the totals up to it
    uint64_t received
    uint64_t lost
    uint64_t skipped
    uint64_t counter_set    # rows with _COUNTER_SET
    uint64_t excused        # frame before which losses were reported already
    bint new_file           # the next frame is the first of a file that replaced another
    uint64_t missed         # frames of that other file that were not received
    uint64_t likely         # PRIVATE: rows taken that passed for right, and may be flagged; since this time, CLOCK_TAI
    int64_t likely_since
    uint64_t unflagged      # PRIVATE: those of them that were flagged when they were gone; as told at this time
    uint64_t told
    int64_t arrived         # when the last frame was taken, or the account began, CLOCK_TAI


cdef inline void cursor_go(Cursor *c, uint64_t seq) noexcept nogil:
    """Continue at this frame; frames before it are not lost."""
    cdef Ring *r = &c.ring
    cdef uint64_t slot, at
    cdef int _
    c.next = seq
    c.seen = seq - 1
    if r.kind == RING_PRIVATE:
        # Totals up to the frame before: those of this frame, less its own share.
        for _ in range(LOOK_TRIES):
            if r.head == 0:
                return
            at = max(min(seq, r.head), ring_oldest(r))
            slot = ring_slot(r, at)
            c.total = r.totals[slot]
            if seq <= at:
                c.total.lost -= r.rows[slot].lost
                c.total.files -= (r.rows[slot].flags & _NEW_FILE) != 0
            if ring_whole(r, at):
                return
            ring_look(r)
    elif seq > r.head:
        c.last = r.counter + (seq - 1 - r.head)
    else:
        c.last = ring_number(r, seq, 0, keeps_records(r)) - 1


cdef inline void cursor_account(Cursor *c, uint64_t seq) noexcept nogil:
    """Note that the frames up to this one are in the account. The cursor is behind it."""
    c.counted = seq
    c.counted_last = c.last
    c.counted_total = c.total


cdef inline uint64_t lost_since_counted(const Cursor *c, uint64_t seq, uint64_t last,
                                        const Total *total) noexcept nogil:
    """Return the frames lost between the account and frame seq. A rewind loses no frames."""
    if c.ring.kind == RING_PRIVATE:
        return total.lost - c.counted_total.lost + (seq - c.counted - 1)
    if last <= c.counted_last or is_set(last - c.counted_last, clock_ns(CLOCK_TAI) - c.arrived):
        return 0
    return last - c.counted_last - 1


cdef inline void cursor_begin(Cursor *c, uint64_t seq) noexcept nogil:
    cursor_go(c, seq)
    cursor_account(c, seq - 1)
    c.arrived = clock_ns(CLOCK_TAI)


cdef inline void cursor_seek(Cursor *c, uint64_t after) noexcept nogil:
    """Go to the oldest frame of a shared ring with a number above `after`."""
    cdef Ring *r = &c.ring
    cdef uint64_t seq, oldest
    cdef bint recorded
    ring_look(r)
    recorded = keeps_records(r)
    oldest = ring_oldest(r)
    seq = r.head + 1
    while seq > oldest and ring_number(r, seq - 1, 0, recorded) > after:
        seq -= 1
    cursor_begin(c, seq)
    c.last = c.counted_last = after


cdef inline uint64_t cursor_unread(const Cursor *c) noexcept nogil:
    return c.ring.head + 1 - c.next if c.ring.head >= c.next else 0


cdef inline void cursor_skip_to(Cursor *c, uint64_t seq) noexcept nogil:
    """Skip frames at the request of the user; frames that were lost between them still count as lost."""
    cdef uint64_t skipped, between
    if seq <= c.next:
        return
    # Frames that were overwritten between the account and here were lost, not skipped.
    skipped = seq - max(c.next, c.counted + 1) if seq - 1 > c.counted else 0
    cursor_go(c, seq)
    if seq - 1 <= c.counted:
        return
    between = lost_since_counted(c, seq - 1, c.last, &c.total) + 1
    c.skipped += skipped
    if between > skipped:
        c.lost += between - skipped
    cursor_account(c, seq - 1)


cdef inline void newest_times(const Ring *r, Row *row) noexcept nogil:
    """Read the times of the newest frame from the stream; 0 if it is not the newest any more."""
    cdef IMAGE_METADATA *md = r.md
    cdef uint64_t slot
    row.atime_ns = stamp_ns(&md.atime)
    row.writetime_ns = stamp_ns(&md.writetime)
    atomic_fence(__ATOMIC_ACQUIRE)
    # The times are stored before cnt0 moves, so the next frame may have stored its own already. Then it has set
    # write, or its slot is in the index.
    if r.kind == RING_FAST:
        slot = atomic_load_u32(&md.CBindex, __ATOMIC_RELAXED)
    else:
        slot = atomic_load_u64(&md.cnt1, __ATOMIC_RELAXED)
    if (slot % r.depth != ring_slot(r, r.head)
            or atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
            or atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED) != r.counter):
        row.atime_ns = row.writetime_ns = 0


cdef inline uint64_t cursor_rows(Cursor *c, uint64_t count, Row *rows, uint64_t flags,
                                 int64_t arrival) noexcept nogil:
    """Fill the rows of frames from `next` on; the cursor does not move.

    Returns 1 + the first row before which frames were lost (`excused` left out), or 0.
    """
    cdef const Ring *r = &c.ring
    cdef uint64_t i, seq, slot, number, last = c.last, seen = c.seen, losing = 0
    cdef Total total = c.total
    cdef bint recorded = r.kind != RING_PRIVATE and keeps_records(r)
    cdef Row *row
    for i in range(count):
        seq = c.next + i
        slot = ring_slot(r, seq)
        row = &rows[i]
        if r.kind == RING_PRIVATE:
            row[0] = r.rows[slot]
            row.flags |= <uint32_t>flags
            # The totals cover frames between whose rows were overwritten.
            row.lost = r.totals[slot].lost - total.lost + (seq - seen - 1)
            if r.totals[slot].files != total.files:
                row.flags |= _NEW_FILE
            total = r.totals[slot]
        else:
            number = ring_number(r, seq, last, recorded)
            row.cnt0 = number
            row.cnt1 = slot
            row.arrival_ns = arrival
            row.flags = <uint32_t>(flags | _FROM_RING)
            row.atime_ns = row.writetime_ns = 0
            if r.kind == RING_TEMPORAL:
                row.atime_ns = stamp_ns(&r.atimes[slot])
                row.writetime_ns = stamp_ns(&r.writetimes[slot])
            elif recorded and record_count(r, slot) == number:
                row.atime_ns = stamp_ns(&r.records[slot].atime)
                row.writetime_ns = stamp_ns(&r.records[slot].writetime)
            if row.writetime_ns == 0 and seq == r.head:
                newest_times(r, row)
            if i == 0 and r.reset:
                row.flags |= _COUNTER_RESET
                row.lost = 0
            elif number > last:
                row.lost = number - last - 1
                if is_set(row.lost, arrival - c.arrived):
                    row.flags |= _COUNTER_SET
                    row.lost = 0
            else:
                row.lost = seq - seen - 1
            if i == 0 and c.new_file:
                row.flags |= _NEW_FILE
                row.lost += c.missed
            last = number
        if row.lost and losing == 0 and seq != c.excused:
            losing = i + 1
        seen = seq
    c.reached = total
    return losing


cdef inline void cursor_pass(Cursor *c, uint64_t count, const Row *rows) noexcept nogil:
    """Count as read the frames whose rows `cursor_rows` filled last."""
    cdef uint64_t i, seq, lost
    cdef Total first = c.total
    for i in range(count):
        seq = c.next + i
        if seq > c.counted:
            lost = rows[i].lost
            if c.seen < c.counted and i == 0:  # rewound, and overrun
                first.lost += lost - (seq - c.seen - 1)
                lost = min(lost, lost_since_counted(c, seq, rows[i].cnt0, &first))
            c.counted = seq
            c.received += 1
            c.counter_set += (rows[i].flags & _COUNTER_SET) != 0
            c.lost += lost
    c.next += count
    c.seen = c.next - 1
    if c.ring.kind == RING_PRIVATE:
        c.total = c.reached
    else:
        c.last = rows[count - 1].cnt0
        c.arrived = rows[count - 1].arrival_ns
        c.ring.reset = False
        c.new_file = False
    if c.seen == c.counted:
        cursor_account(c, c.counted)


cdef inline uint64_t cursor_copy(Cursor *c, char *dst, Row *rows, uint64_t room, bint streaming,
                                 bint strict, bint *losing) noexcept nogil:
    """Copy unread frames, whole ones only, until there are no more or no room; returns how many.

    streaming: copy past the caches.
    strict: stop before a frame that follows lost ones and set `losing`; the next call continues with it.
    """
    cdef Ring *r = &c.ring
    cdef uint64_t done = 0, count, oldest, first, chunk
    cdef uint64_t flags = _VERIFIED if r.kind != RING_PRIVATE else 0
    cdef int64_t arrival
    cdef int spoiled = 0
    chunk = max(<uint64_t>1, RING_CHUNK_NBYTES // r.nbytes)
    losing[0] = False
    while done < room:
        ring_look(r)
        oldest = ring_oldest(r)
        if c.next < oldest:
            c.next = oldest
        if spoiled > SPOILED_TRIES and cursor_unread(c) > 1:
            c.next = r.head  # a copy takes longer than the writer takes for a lap
        count = min(min(cursor_unread(c), room - done), chunk)
        if count == 0:
            break
        count = min(count, r.depth - ring_slot(r, c.next))
        arrival = clock_ns(CLOCK_TAI)
        first = cursor_rows(c, count, rows + done, flags, arrival)
        if strict and first:
            if first == 1:
                c.excused = c.next
                losing[0] = True
                break
            count = first - 1
            cursor_rows(c, count, rows + done, flags, arrival)
        copy_bytes(dst + done * r.nbytes, r.slots + ring_slot(r, c.next) * r.nbytes, count * r.nbytes,
                   streaming)
        if not ring_whole(r, c.next):
            spoiled += 1
            if spoiled > 4 * SPOILED_TRIES:
                break  # the caller decides how often to call again
            chunk = max(<uint64_t>1, count // 2)
            continue
        cursor_pass(c, count, rows + done)
        done += count
    return done
