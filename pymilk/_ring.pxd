"""Rings: which frames they hold, which of those are still whole, their numbers, and copying them.

Three kinds of ring, one way to read them. A reader numbers the frames of a ring by itself (`seq`, one more
for each frame) and knows the slot of the newest one:

    kind      slots                          how far the writer is          numbers and times of a slot
    TEMPORAL  slices of a 3D stream          cnt1 (slot), cnt0 (laps)       per-slice arrays, if filled
    FAST      fast circular buffer           CBindex (slot), CBcycle (laps) per-slot records, if filled
    PRIVATE   memory of this process, filled `written`                      rows, always filled
              by a thread that never needs
              the GIL (Reader.collect)

Writers never wait for readers. All of them fill the slot behind the newest one and only then move on, so
the slot that may be changing is always the next one, whatever the writer marks or does not mark:

    writer                                   reader
    ------                                   ------
    (release fence)                          look: edge = newest frame that stands in a slot
    pixels of frame edge + 1                 read the pixels of frame seq, by copy or in place
    (its record)                             acquire fence
    index of the slot, or `written`          look again: edge'
    cnt0 += 1                                whole if and only if seq >= edge' + 2 - depth

Frame seq shares its slot with frame seq + depth, which is touched only once frame seq + depth - 1 stands
in its slot and its index is out: edge' >= seq + depth - 1. The pixels of a frame that was touched before
the second look therefore bring that index along, and the look sees it (the fences pair; x86 keeps the
order without them). So a ring of depth slots holds depth - 1 frames that can be had. Rings of depth 1
hold no history and are read like plain streams.

The two stores of FAST (CBcycle, then CBindex) can be seen apart: cycle + 1 with the last slot. That is told
from a whole lap by cnt0, which counts after both. A TEMPORAL ring stores no laps at all: they follow from
cnt0, or from the count stored with the slot that was the newest at the last look.

What frames are called: number n = counter - (head - seq), where counter is cnt0 when frame head was the
newest one; or the number in the record of the slot, if the writer is seen to keep records. Both agree
unless cnt0 was moved by others; then only records tell which frame the jump came before.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ._frame cimport *
from ._isio cimport (
    CBFRAMEMD, CLOCK_TAI, IMAGE_METADATA, timespec,
    __ATOMIC_ACQUIRE, atomic_fence, atomic_load_u8, atomic_load_u32, atomic_load_u64, pymilk_pause,
)

cdef enum:
    RING_TEMPORAL = 1
    RING_FAST
    RING_PRIVATE
    # Looks at two words that belong together, until they stand still.
    LOOK_TRIES = 200
    # Bytes that are copied between two looks at the writer.
    RING_CHUNK_NBYTES = 8_388_608
    # Copies that a writer spoils before the reader goes on at the newest frame.
    SPOILED_TRIES = 4

# What was lost up to a frame, and how many files the stream had: beside each row of a PRIVATE ring, so
# that rows that were overwritten can still be accounted for.
cdef struct Total:
    uint64_t lost
    uint64_t files

cdef struct Ring:
    int kind
    uint64_t depth          # slots, 2 or more
    uint64_t nbytes         # of a frame, and from one slot to the next
    char *slots
    IMAGE_METADATA *md      # TEMPORAL, FAST
    const CBFRAMEMD *records   # FAST
    const timespec *atimes  # TEMPORAL
    const timespec *writetimes
    uint64_t *cnts
    uint64_t *written       # PRIVATE: frames so far
    const Row *rows
    const Total *totals
    # Where the writer was at the last look.
    uint64_t edge           # newest frame that stands in a slot
    uint64_t edge_slot
    uint64_t head           # newest frame that is counted: edge, or one less for an instant
    uint64_t counter        # cnt0 then: the number of frame head
    uint64_t floor          # nothing older can be had, whatever the depth
    uint64_t cycle          # FAST: CBcycle
    uint64_t mark           # TEMPORAL: count stored with edge_slot, 0 if the writer stores none
    bint before             # TEMPORAL: slices carry the counter before its increment
    bint settled            # TEMPORAL: they were seen to carry it after
    bint reset              # the counter went backwards since somebody was told


cdef inline uint64_t ring_slot(const Ring *r, uint64_t seq) noexcept nogil:
    return (r.edge_slot + r.depth - (r.edge - seq) % r.depth) % r.depth


cdef inline uint64_t ring_oldest(const Ring *r) noexcept nogil:
    """The oldest frame that the writer cannot be touching."""
    cdef uint64_t safe = r.edge + 2 - r.depth if r.edge + 2 > r.depth else 0
    return max(safe, r.floor)


cdef inline void ring_move(Ring *r, int64_t moved, int64_t counted, uint64_t slot,
                           uint64_t counter) noexcept nogil:
    """Note that the newest slot moved by so many frames while cnt0 counted so many."""
    cdef int64_t known = moved
    cdef bint back = counter < r.counter
    if moved < 0:
        # The indices went back: somebody began the ring again. What the slots hold is in no order.
        moved = <int64_t>((slot + r.depth - r.edge_slot) % r.depth)
        known = min(moved, max(counted, 0))
    elif back:
        # Numbers before the new count are not known.
        known = min(<uint64_t>moved, counter)
    elif moved > counted + 1:
        # More slots than frames: indices that were set by others, or counts lost by two writers.
        known = counted + 1
    r.edge += moved
    r.edge_slot = slot
    if known < moved:
        r.floor = max(r.floor, r.edge + 1 - known)
    r.head = r.edge - 1 if moved == counted + 1 and not back else r.edge
    r.counter = counter
    if back:
        r.reset = True


cdef inline bint read_fast(const Ring *r, uint64_t *counter, uint64_t *cycle, uint64_t *slot) noexcept nogil:
    """Read cnt0, CBcycle and CBindex as they were at one moment; False if they never stood still."""
    cdef IMAGE_METADATA *md = r.md
    cdef int _
    for _ in range(LOOK_TRIES):
        # Acquire: pairs with the release stores of fill_ring_slot and close_frame.
        counter[0] = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        cycle[0] = atomic_load_u64(&md.CBcycle, __ATOMIC_ACQUIRE)
        slot[0] = atomic_load_u32(&md.CBindex, __ATOMIC_ACQUIRE) % r.depth
        if (cycle[0] == atomic_load_u64(&md.CBcycle, __ATOMIC_ACQUIRE)
                and counter[0] == atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)):
            return True
        pymilk_pause()
    return False


cdef inline void look_fast(Ring *r) noexcept nogil:
    cdef uint64_t counter = 0, cycle = 0, slot = 0
    cdef int64_t moved, counted
    read_fast(r, &counter, &cycle, &slot)
    # Frame edge has this number if nobody else moved the counter.
    counted = <int64_t>(counter - (r.counter + (r.edge - r.head)))
    moved = <int64_t>((cycle - r.cycle) * r.depth + slot - r.edge_slot)
    if slot == r.depth - 1 and moved >= <int64_t>r.depth and -1 <= counted < moved - 1:
        # Between the stores of CBcycle and CBindex: the lap has begun, and shows no slot yet.
        moved -= r.depth
        cycle -= 1
    r.cycle = cycle
    ring_move(r, moved, counted, slot, counter)


cdef inline void look_temporal(Ring *r) noexcept nogil:
    cdef IMAGE_METADATA *md = r.md
    cdef uint64_t counter = 0, slot = 0, mark = 0, stored, number
    cdef int64_t moved, counted, step
    cdef int _
    for _ in range(LOOK_TRIES):
        # Acquire: pairs with the release stores of close_frame.
        counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        slot = atomic_load_u64(&md.cnt1, __ATOMIC_ACQUIRE) % r.depth
        mark = atomic_load_u64(&r.cnts[r.edge_slot], __ATOMIC_ACQUIRE)
        if counter == atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE):
            break
        pymilk_pause()
    counted = <int64_t>(counter - (r.counter + (r.edge - r.head)))
    step = <int64_t>((slot + r.depth - r.edge_slot) % r.depth)
    stored = atomic_load_u64(&r.cnts[slot], __ATOMIC_ACQUIRE)
    if r.mark and mark == r.mark and (step == 0 or stored > r.mark):
        moved = step  # the slot that was the newest has not been filled again
    elif counter < r.counter or counted + 1 < step:
        moved = step if not r.mark else step + <int64_t>r.depth
    else:
        # Counted, or one more where cnt0 is still to come; more only if cnt0 was moved by others, and
        # then the most that is possible, so that nothing overwritten passes for whole.
        moved = counted + 1 - (counted + 1 - step) % <int64_t>r.depth
    ring_move(r, moved, counted, slot, counter)
    if moved:
        number = r.counter + (r.edge - r.head)
        if stored == number:
            r.before = False
            r.settled = True
        elif stored + 1 == number and not r.settled:
            r.before = True
        # Kept if this writer stores counts: the number, or at least a newer one than before.
        r.mark = stored if stored + r.before == number or 0 < r.mark < stored else 0


cdef inline void ring_look(Ring *r) noexcept nogil:
    """See how far the writer is."""
    if r.kind == RING_FAST:
        look_fast(r)
    elif r.kind == RING_TEMPORAL:
        look_temporal(r)
    else:
        # Acquire: pairs with the release store of `done` in run_receive.
        r.edge = r.head = atomic_load_u64(r.written, __ATOMIC_ACQUIRE)
        r.edge_slot = (r.edge + r.depth - 1) % r.depth


cdef inline void ring_anchor(Ring *r) noexcept nogil:
    """The first look: find the writer, and how much history there is."""
    cdef IMAGE_METADATA *md = r.md
    cdef uint64_t counter = 0, cycle = 0, slot = 0, updates, held = 0
    cdef bint settled = False
    cdef int _
    r.floor = 1
    if r.kind == RING_PRIVATE:
        ring_look(r)
        return
    for _ in range(LOOK_TRIES):
        settled = atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) == 0
        if r.kind == RING_FAST:
            settled = read_fast(r, &counter, &cycle, &slot) and settled
        else:
            counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
            slot = atomic_load_u64(&md.cnt1, __ATOMIC_ACQUIRE) % r.depth
            settled = counter == atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE) and settled
        if settled and atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) == 0:
            break
        pymilk_pause()
    r.edge_slot = slot
    r.counter = counter
    if r.kind == RING_FAST:
        updates = cycle * r.depth + slot
        if slot == r.depth - 1 and updates > counter + 1 and updates - r.depth <= counter:
            updates -= r.depth  # between the stores of CBcycle and CBindex
            cycle -= 1
        r.cycle = cycle
        held = min(updates, r.depth - 1)
    else:
        r.mark = atomic_load_u64(&r.cnts[slot], __ATOMIC_ACQUIRE)
        updates = counter
        if r.mark:
            r.before = r.mark + 1 == counter
            # Slices that carry ever smaller counts, going back, are the history.
            held = 1
            while held < r.depth - 1 and 0 < r.cnts[(slot + r.depth - held) % r.depth] < (
                    r.cnts[(slot + r.depth - held + 1) % r.depth]):
                held += 1
            if r.mark > counter:
                updates = r.mark  # stands in its slice, to be counted
        else:
            held = min(counter, r.depth - 1)
    # Far enough from 0 that no difference runs below it.
    r.edge = updates + r.depth
    r.head = r.edge - 1 if updates == counter + 1 else r.edge
    r.floor = r.edge + 1 - held


cdef inline bint keeps_records(const Ring *r) noexcept nogil:
    """Tell whether the writer stores numbers with its slots: whether that of the newest is right."""
    cdef uint64_t slot = ring_slot(r, r.head)
    if r.kind == RING_FAST:
        return atomic_load_u64(<uint64_t *>&r.records[slot].cnt0, __ATOMIC_ACQUIRE) == r.counter
    return atomic_load_u64(&r.cnts[slot], __ATOMIC_ACQUIRE) + r.before == r.counter


cdef inline uint64_t ring_number(const Ring *r, uint64_t seq, uint64_t after, bint recorded) noexcept nogil:
    """Return the number of a frame of a shared ring that follows frame number `after`."""
    cdef uint64_t derived = r.counter - (r.head - seq)
    cdef uint64_t slot, stored
    if recorded:
        slot = ring_slot(r, seq)
        stored = r.records[slot].cnt0 if r.kind == RING_FAST else r.cnts[slot] + r.before
        # A record that an earlier lap left behind is not newer than the frame before.
        if after < stored <= derived:
            return stored
    return derived


# Where one reader is in a ring, and its account.
cdef struct Cursor:
    Ring ring
    uint64_t next           # frame to be read next
    uint64_t seen           # frame before it in the account: next - 1, or less after an overrun
    uint64_t last           # shared rings: its number
    Total total             # PRIVATE: the totals up to it
    uint64_t counted        # newest frame in the account; rewound ones do not count again
    uint64_t received
    uint64_t lost
    uint64_t skipped
    uint64_t excused        # frame whose loss was raised already
    bint new_file           # the next frame is the first of a file that replaced another
    uint64_t missed         # frames of that other file that were not received


cdef inline void cursor_go(Cursor *c, uint64_t seq) noexcept nogil:
    """Go on at this frame; what lies before it is not lost."""
    cdef Ring *r = &c.ring
    cdef uint64_t slot
    c.next = seq
    c.seen = seq - 1
    if r.kind == RING_PRIVATE:
        if r.head == 0:
            return
        # Up to the frame before: the totals with that frame, less what belongs to it.
        slot = ring_slot(r, min(seq, r.head))
        c.total = r.totals[slot]
        if seq <= r.head:
            c.total.lost -= r.rows[slot].lost
            c.total.files -= (r.rows[slot].flags & _NEW_FILE) != 0
    elif seq > r.head:
        c.last = r.counter + (seq - 1 - r.head)
    else:
        c.last = ring_number(r, seq, 0, keeps_records(r)) - 1


cdef inline void cursor_begin(Cursor *c, uint64_t seq) noexcept nogil:
    cursor_go(c, seq)
    c.counted = seq - 1


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
    c.last = after


cdef inline uint64_t cursor_unread(const Cursor *c) noexcept nogil:
    return c.ring.head + 1 - c.next if c.ring.head >= c.next else 0


cdef inline void cursor_skip_to(Cursor *c, uint64_t seq) noexcept nogil:
    """Leave frames out because the user wants it so; what was lost between them still is."""
    cdef uint64_t skipped = seq - c.next, overrun = c.next - c.seen - 1
    cdef uint64_t last = c.last, lost = c.total.lost
    cdef bint rewound = c.next <= c.counted
    if seq <= c.next:
        return
    cursor_go(c, seq)
    if seq - 1 <= c.counted:
        return
    if rewound:
        c.skipped += seq - 1 - c.counted
    else:
        c.skipped += skipped
        if c.ring.kind == RING_PRIVATE:
            c.lost += c.total.lost - lost + overrun
        elif c.last > last + skipped:
            c.lost += c.last - last - skipped
    c.counted = seq - 1


cdef inline void newest_times(const Ring *r, Row *row) noexcept nogil:
    """Take the times of the newest frame from the stream, if it still is the newest."""
    cdef IMAGE_METADATA *md = r.md
    cdef uint64_t slot
    row.atime_ns = stamp_ns(&md.atime)
    row.writetime_ns = stamp_ns(&md.writetime)
    atomic_fence(__ATOMIC_ACQUIRE)
    # The times are stored before cnt0 moves, so the next frame may have stored its own already: it has
    # set write by then, or its slot shows in the index.
    if r.kind == RING_FAST:
        slot = atomic_load_u32(&md.CBindex, __ATOMIC_ACQUIRE)
    else:
        slot = atomic_load_u64(&md.cnt1, __ATOMIC_ACQUIRE)
    if (slot % r.depth != ring_slot(r, r.head)
            or atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
            or atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE) != r.counter):
        row.atime_ns = row.writetime_ns = 0


cdef inline uint64_t cursor_rows(const Cursor *c, uint64_t count, Row *rows, uint64_t flags,
                                 int64_t arrival) noexcept nogil:
    """Fill the rows of frames from `next` on; the cursor stays. Returns 1 + the row that lost frames first,
    other than row of the frame that is excused, or 0."""
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
            # Totals account for the frames between, whose rows are gone.
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
            elif recorded and r.records[slot].cnt0 == number:
                row.atime_ns = stamp_ns(&r.records[slot].atime)
                row.writetime_ns = stamp_ns(&r.records[slot].writetime)
            if row.writetime_ns == 0 and seq == r.head:
                newest_times(r, row)
            if i == 0 and r.reset:
                row.flags |= _COUNTER_RESET
                row.lost = 0
            elif number > last:
                row.lost = number - last - 1
            else:
                row.lost = seq - seen - 1
            if i == 0 and c.new_file:
                row.flags |= _NEW_FILE
                row.lost += c.missed
            last = number
        if row.lost and losing == 0 and seq != c.excused:
            losing = i + 1
        seen = seq
    return losing


cdef inline void cursor_pass(Cursor *c, uint64_t count, const Row *rows) noexcept nogil:
    """Count frames whose rows were filled as read."""
    cdef uint64_t i, seq, slot
    for i in range(count):
        seq = c.next + i
        if seq > c.counted:
            c.counted = seq
            c.received += 1
            c.lost += rows[i].lost
    c.next += count
    c.seen = c.next - 1
    if c.ring.kind == RING_PRIVATE:
        slot = ring_slot(&c.ring, c.seen)
        c.total = c.ring.totals[slot]
    else:
        c.last = rows[count - 1].cnt0
        c.ring.reset = False
        c.new_file = False


cdef inline bint ring_whole(const Ring *r, uint64_t seq) noexcept nogil:
    """Look anew, behind everything that was read: does the slot still hold this frame, untouched?"""
    cdef Ring now = r[0]
    # Pairs with the release fence of the writer in front of its pixels.
    atomic_fence(__ATOMIC_ACQUIRE)
    ring_look(&now)
    return seq >= ring_oldest(&now)


cdef inline uint64_t cursor_copy(Cursor *c, char *dst, Row *rows, uint64_t room, bint strict,
                                 bint *losing) noexcept nogil:
    """Copy unread frames, whole ones only, until there are no more or no room; returns how many.

    strict: stop in front of a frame that follows lost ones, and say so; the next call goes on with it.
    """
    cdef Ring *r = &c.ring
    cdef uint64_t done = 0, count, oldest, first, chunk
    cdef int spoiled = 0
    chunk = max(<uint64_t>1, RING_CHUNK_NBYTES // r.nbytes)
    losing[0] = False
    while done < room:
        ring_look(r)
        oldest = ring_oldest(r)
        if c.next < oldest:
            c.next = oldest
        if spoiled > SPOILED_TRIES and cursor_unread(c) > 1:
            c.next = r.head  # a copy takes longer than the ring lasts
        count = min(min(cursor_unread(c), room - done), chunk)
        if count == 0:
            break
        count = min(count, r.depth - ring_slot(r, c.next))
        first = cursor_rows(c, count, rows + done, _VERIFIED if r.kind != RING_PRIVATE else 0,
                            clock_ns(CLOCK_TAI))
        if strict and first:
            if first == 1:
                c.excused = c.next
                losing[0] = True
                break
            count = first - 1
        memcpy(dst + done * r.nbytes, r.slots + ring_slot(r, c.next) * r.nbytes, count * r.nbytes)
        if not ring_whole(r, c.next):
            spoiled += 1
            if spoiled > 4 * SPOILED_TRIES:
                break  # the caller decides how long this may go on
            chunk = max(<uint64_t>1, count // 2)
            continue
        cursor_pass(c, count, rows + done)
        done += count
    return done
