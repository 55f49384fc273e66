"""Rings: which frames they hold, which of those are still whole, and their numbers.

There are three kinds of ring and one way to read them. A reader numbers the frames of a ring itself (`seq`, one
more for each frame) and knows the slot of the newest one:

    kind      slots                          how far the writer is          numbers and times of a slot
    TEMPORAL  slices of a 3D stream          cnt1 (slot), cnt0 (laps)       per-slice arrays, if filled
    FAST      fast circular buffer           CBindex (slot), CBcycle (laps) per-slot records, if filled
    PRIVATE   memory of this process, filled `written`                      rows, always filled
              by a thread that never needs
              the GIL (Reader.collect)

Writers never wait for readers. Each fills the slot after the newest one and then moves on. So the slot that may be
changing is always the next one, whatever the writer marks:

    writer                                   reader
    ------                                   ------
    (release fence)                          look: edge = newest frame that stands in a slot
    pixels of frame edge + 1                 read the pixels of frame seq, by copy or in place
    (its record)                             acquire fence
    index of the slot, or `written`          look again: edge'
    cnt0 += 1                                whole if and only if seq >= edge' + 2 - depth

Frame seq shares its slot with frame seq + depth. The writer changes that slot only after frame seq + depth - 1 is
in its slot and its index is stored: edge' >= seq + depth - 1. If a reader read changed pixels before the second
look, that look sees the index too (the fences pair; x86 keeps the order without them). So a ring of depth slots
holds depth - 1 readable frames. Rings of depth 1 hold no history and are read like plain streams.

A look can fall between the two stores of FAST (CBcycle, then CBindex): it sees cycle + 1 with the last slot. cnt0,
which counts after both, tells this from a whole lap. If a writer leaves out numbers (a relay after losses), cnt0
tells neither this nor whether the newest slot is counted; its records tell both (`read_counting`). If it stops
after the first record of a lap and before CBindex, readers lose frames, and report them as lost. A TEMPORAL ring
stores no laps: they follow from cnt0, or from the count stored with the slot that was the newest at the last look.

A slot that is filled but not counted yet is not delivered; the next look finds it counted. A writer that dies
between the two leaves it uncounted forever, and after its successor goes on, every slot looks one frame ahead of
the count. `write` shows this (it is 1 in between, and 0 after the next frame); for writers that never set it, time
does (DIED_NS): a reader that finds one out again after this time watches for a moment whether it is counted
(`look_closely`). The uncounted frame is left out. The same holds if other programs moved the indices: only frames
counted since then are delivered. One case is not detected: if a reader does not look between the death of one
writer and a frame of the next, and then looks in the middle of a frame, it takes the uncounted frame for the first
one of the new writer.

The number of a frame is counter - (head - seq), where counter is cnt0 when frame head was the newest one; or the
number in the record of the slot, if the writer keeps records. Both agree unless another program moved cnt0; then
only records tell before which frame the jump came.

If another program sets the index back, the writer fills slots out of turn. While it does, its index is behind that of
the last look; afterwards more frames were counted than the index moved (`filled_again`).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, INT64_MAX
from libc.string cimport memset

from .._isio cimport (
    CBFRAMEMD, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, IMAGE_METADATA, timespec,
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u8, atomic_load_u32, atomic_load_u64,
)
from .clock cimport POLL_NS, clock_ns, sleep_until
from .frame cimport Row
from .layout cimport Header
from .look cimport LOOK_TRIES
from .port cimport pymilk_pause

cdef enum:
    RING_TEMPORAL = 1
    RING_FAST
    RING_PRIVATE
    # A slot that is uncounted for this long stays so: its writer died between the two stores, or another program
    # moved the index. If the writer sets `write`, that shows it at once.
    DIED_NS = 20_000_000
    # Whether all slots are ahead of the count, and not just one that is counted in a moment, is watched for so long, or
    # until so many looks found the writer elsewhere and a slot ahead.
    SURE_NS = 20_000_000
    SURE_MOVES = 16

# What the records of a FAST ring tell of its newest slot.
ctypedef enum Counting:
    SLOT_UNKNOWN            # the writer keeps none
    SLOT_COUNTED
    SLOT_UNCOUNTED
    SLOT_BETWEEN            # the next lap has begun; CBcycle may be stored without CBindex

# Frames lost up to a frame, and files that the stream had until then. Beside each row of a PRIVATE ring, so that
# the account stays right when rows were overwritten.
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
    uint64_t edge           # newest frame that is whole in a slot
    uint64_t edge_slot
    uint64_t head           # newest frame that is counted: edge, or one less for an instant
    uint64_t counter        # cnt0 then: the number of frame head
    uint64_t floor          # older frames are excluded, whatever the depth
    uint64_t cycle          # FAST: CBcycle
    uint64_t mark           # TEMPORAL: count stored with edge_slot, 0 if the writer stores none
    bint before             # TEMPORAL: slices carry the counter before its increment
    bint settled            # TEMPORAL: a slice was seen to carry it after
    bint opened             # `write` was 1 when edge was ahead of head
    bint flagged            # this writer sets `write`
    bint adrift             # another program set the indices
    int64_t ahead_since     # when edge was first seen ahead of head
    bint sure               # all slots were seen to be ahead of the count
    bint began_open         # `write` was 1 at the first look
    bint unsure             # FAST: the first look may have been between the stores of CBcycle and CBindex
    bint reset              # the counter went backwards, and no row has reported it yet


cdef inline uint64_t ring_slot(const Ring *r, uint64_t seq) noexcept nogil:
    return (r.edge_slot + r.depth - (r.edge - seq) % r.depth) % r.depth


cdef inline uint64_t ring_oldest(const Ring *r) noexcept nogil:
    """Return the oldest frame that the writer cannot be overwriting."""
    cdef uint64_t safe = r.edge + 2 - r.depth if r.edge + 2 > r.depth else 0
    return max(safe, r.floor)


cdef inline uint64_t slice_count(const Ring *r, uint64_t slot) noexcept nogil:
    """Return the count that a TEMPORAL ring stores with a slot. The writer may be changing it."""
    return atomic_load_u64(&r.cnts[slot], __ATOMIC_RELAXED)


cdef inline uint64_t record_count(const Ring *r, uint64_t slot) noexcept nogil:
    """Return the number in the record of a slot of a FAST ring. The writer may be changing it."""
    return atomic_load_u64(<uint64_t *>&r.records[slot].cnt0, __ATOMIC_RELAXED)


cdef inline uint64_t stored_number(const Ring *r, uint64_t slot) noexcept nogil:
    """Return the number that a shared ring stores with a slot; right only if the writer stores numbers."""
    return record_count(r, slot) if r.kind == RING_FAST else slice_count(r, slot) + r.before


cdef inline uint64_t filled_again(const Ring *r, uint64_t slot, uint64_t counter) noexcept nogil:
    """Return the newest frame up to head that may have been overwritten out of turn; 0 if none was.

    More frames were counted since the last look than the index moved on to `slot`. Either the writer left the ring or
    some numbers out, or another program set cnt0: then these frames are whole. Or another program set the index back,
    and the writer followed it, over these frames. Numbers stored with the slots tell which; else all are in doubt.
    """
    cdef uint64_t seq = r.head, oldest = ring_oldest(r), stored = stored_number(r, slot)
    if stored != counter and (slot != r.edge_slot or stored != r.counter):
        return seq
    while seq >= oldest and stored_number(r, ring_slot(r, seq)) <= r.counter:
        seq -= 1
    return seq if seq >= oldest else 0


cdef inline void ring_move(Ring *r, int64_t moved, int64_t counted, uint64_t slot, uint64_t counter,
                           bint opened, bint uncounted) noexcept nogil:
    """Note that the newest slot moved by `moved` frames while cnt0 counted `counted` frames.

    opened: `write` was 1, or is not known.
    uncounted: the records say that the newest slot is not counted.
    Slots that may hold uncounted frames are excluded (`floor`).
    """
    cdef int64_t step = <int64_t>((slot + r.depth - r.edge_slot) % r.depth)
    cdef int64_t known = moved
    cdef uint64_t counted_slots = counter - r.counter  # since head, of which edge may be one ahead
    cdef bint back = counter < r.counter
    cdef bint ahead = moved == counted + 1             # a slot is filled that is not counted
    cdef bint lap
    cdef bint waiting = r.edge != r.head
    # The slot that was uncounted at the last look will not be counted, or another one is ahead now.
    cdef bint died = waiting and (r.opened and not opened or moved > 0 and r.sure or (
        moved <= 0 and not opened and clock_ns(CLOCK_MONOTONIC_COARSE) - r.ahead_since > DIED_NS))
    r.flagged = r.flagged or opened
    if back:
        # Numbers before the new count are not known.
        known = min(moved, <int64_t>min(counter, <uint64_t>INT64_MAX)) if moved >= 0 else 0
        ahead = False
        if moved < 0:
            moved = step
            r.adrift = True
    elif 0 <= moved <= counted + 1:
        ahead = ahead or (uncounted and moved > 0)
        r.adrift = r.adrift and moved == 0
        if counted > moved:
            r.floor = max(r.floor, filled_again(r, slot, counter) + 1)
    else:
        # Either a writer died in a lap that it had begun: if the frames that were counted lead to this slot, they
        # are the last ones. Or another program set the indices: then only frames counted since are frames.
        lap = moved > 0 and counted >= -1
        ahead = lap and (counted + 1 - step) % <int64_t>r.depth == 0
        lap = lap and (counted - step) % <int64_t>r.depth == 0
        if moved < 0:
            moved = step if step or counted <= 0 else <int64_t>r.depth
        known = min(moved, counted + ahead) if counted > 0 and (ahead or lap or r.adrift) else ahead
        r.adrift = not (ahead or lap)
    r.edge += moved
    r.edge_slot = slot
    if known < moved:
        r.floor = max(r.floor, r.edge + 1 - known)
    if ahead and died:
        # The writer died before it counted a slot; its successor has counted every slot since.
        r.floor = max(r.floor, r.edge + 1 - min(counted_slots, r.depth))
        ahead = False
    elif ahead and r.flagged and not opened:
        # A writer that sets `write` would have it at 1 now: another program moved the index.
        r.floor = r.edge + 1
        ahead = False
    if ahead and (moved or not waiting):
        r.ahead_since = clock_ns(CLOCK_MONOTONIC_COARSE)
    r.head = r.edge - ahead
    r.opened = ahead and opened
    r.counter = counter
    if back:
        r.reset = True


cdef inline uint64_t record_first(const Ring *r, uint64_t slot) noexcept nogil:
    """Return `record_count` before cnt0 is loaded again: if the record is of a later lap, cnt0 has moved."""
    # Acquire: pairs with the fence in open_frame and the release of the record in fill_ring_slot.
    return atomic_load_u64(<uint64_t *>&r.records[slot].cnt0, __ATOMIC_ACQUIRE)


cdef inline Counting read_counting(const Ring *r, uint64_t counter, uint64_t slot) noexcept nogil:
    """Ask the records of a FAST ring whether the newest slot is counted."""
    cdef uint64_t stored = record_first(r, slot)
    if stored == 0:
        return SLOT_UNKNOWN
    if stored == counter:
        return SLOT_BETWEEN if slot == r.depth - 1 and record_first(r, 0) > counter else SLOT_COUNTED
    # The slot before has the number that was counted last. A record alone may be left over from another writer.
    if stored > counter and record_first(r, (slot + r.depth - 1) % r.depth) == counter:
        return SLOT_UNCOUNTED
    return SLOT_UNKNOWN


cdef inline bint read_fast(const Ring *r, uint64_t *counter, uint64_t *cycle, uint64_t *slot,
                           bint *opened, Counting *counting) noexcept nogil:
    """Read cnt0, CBcycle, CBindex, write and records as they were at one moment; False if no try did."""
    cdef IMAGE_METADATA *md = r.md
    cdef bint stood = False
    cdef int _
    for _ in range(LOOK_TRIES):
        # Acquire: pairs with the release stores of fill_ring_slot and close_frame. The loads of the second round
        # return what those of the first did, or all is loaded again: they need no order.
        counter[0] = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        cycle[0] = atomic_load_u64(&md.CBcycle, __ATOMIC_ACQUIRE)
        slot[0] = atomic_load_u32(&md.CBindex, __ATOMIC_ACQUIRE) % r.depth
        counting[0] = read_counting(r, counter[0], slot[0])
        opened[0] = atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
        stood = (cycle[0] == atomic_load_u64(&md.CBcycle, __ATOMIC_RELAXED)
                 and counter[0] == atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED))
        if stood and counting[0] != SLOT_BETWEEN:
            return True
        pymilk_pause()
    # The writer is too fast, or it stopped between the stores of CBcycle and CBindex.
    counting[0] = SLOT_UNKNOWN
    opened[0] = opened[0] or not stood
    return stood


cdef inline void look_fast(Ring *r) noexcept nogil:
    cdef uint64_t counter = 0, cycle = 0, slot = 0
    cdef int64_t moved, counted, sure = -1
    cdef bint opened = False
    cdef Counting counting = SLOT_UNKNOWN
    read_fast(r, &counter, &cycle, &slot, &opened, &counting)
    # Frame edge has this number if nobody else moved the counter.
    counted = <int64_t>(counter - (r.counter + (r.edge - r.head)))
    moved = <int64_t>((cycle - r.cycle) * r.depth + slot - r.edge_slot)
    if (counting == SLOT_UNKNOWN and slot == r.depth - 1 and moved >= <int64_t>r.depth
            and -1 <= counted < moved - 1):
        # Between the stores of CBcycle and CBindex: the lap has begun, its first slot is not stored yet.
        moved -= r.depth
        cycle -= 1
    if r.unsure and (r.flagged or opened) and not r.began_open:
        r.unsure = False  # `write` was 0 then, and this writer sets it
    if r.unsure:
        # The first look may have been between the two stores, one lap too early.
        if moved < 0:
            moved += r.depth
            r.unsure = False
        elif counted >= moved + <int64_t>r.depth - 1:
            if counted > moved + <int64_t>r.depth:
                sure = moved  # another program moved cnt0 too: frames that are new in both cases are kept
            moved += r.depth
            r.unsure = False
        else:
            r.unsure = slot == r.depth - 1
    r.cycle = cycle
    ring_move(r, moved, counted, slot, counter, opened, counting == SLOT_UNCOUNTED)
    if sure >= 0:
        r.floor = max(r.floor, r.edge + 1 - sure)


cdef inline bint read_temporal(const Ring *r, uint64_t *counter, uint64_t *slot, uint64_t *mark,
                               uint64_t *stored, bint *opened) noexcept nogil:
    """Read cnt0, cnt1, write, and the counts of the old and the new newest slice, as `read_fast`."""
    cdef IMAGE_METADATA *md = r.md
    cdef int _
    for _ in range(LOOK_TRIES):
        # Acquire: pairs with the release stores of close_frame; as in read_fast.
        counter[0] = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        slot[0] = atomic_load_u64(&md.cnt1, __ATOMIC_ACQUIRE) % r.depth
        mark[0] = slice_count(r, r.edge_slot)
        stored[0] = atomic_load_u64(&r.cnts[slot[0]], __ATOMIC_ACQUIRE)
        opened[0] = atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
        if counter[0] == atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED):
            return True
        pymilk_pause()
    opened[0] = True
    return False


cdef inline void look_temporal(Ring *r) noexcept nogil:
    cdef uint64_t counter = 0, slot = 0, mark = 0, stored = 0, number
    cdef int64_t moved, counted, step
    cdef bint opened = False
    read_temporal(r, &counter, &slot, &mark, &stored, &opened)
    counted = <int64_t>(counter - (r.counter + (r.edge - r.head)))
    step = <int64_t>((slot + r.depth - r.edge_slot) % r.depth)
    if r.mark and mark == r.mark and (step == 0 or stored > r.mark):
        moved = step  # the slot that was the newest has not been filled again
    elif counter < r.counter or counted + 1 < step:
        moved = step if not r.mark else step + <int64_t>r.depth
    else:
        # As many as were counted, or one more if cnt0 is still to come. More only if another program moved cnt0;
        # then the most that is possible, so that no overwritten frame is taken for whole.
        moved = counted + 1 - (counted + 1 - step) % <int64_t>r.depth
    ring_move(r, moved, counted, slot, counter, opened, False)
    if moved:
        number = r.counter + (r.edge - r.head)
        if stored == number:
            r.before = False
            r.settled = True
        elif stored + 1 == number and not r.settled:
            r.before = True
        # Keep it if this writer stores counts: the number itself, or at least a newer count than before.
        r.mark = stored if stored + r.before == number or 0 < r.mark < stored else 0


cdef inline void look_shared(Ring *r) noexcept nogil:
    if r.kind == RING_FAST:
        look_fast(r)
    else:
        look_temporal(r)


cdef inline void look_closely(Ring *r) noexcept nogil:
    """Look how far the writer is, when its newest slot was not counted at the last look, long ago.

    If a slot is ahead of the count again, either the writer died then, and those of its successor are all one ahead; or
    nobody looked in between, and this slot is another one that is counted in a moment.
    """
    cdef Ring now
    cdef uint64_t edge = r.edge
    cdef int64_t at, until = clock_ns(CLOCK_MONOTONIC) + SURE_NS
    cdef int moves = 0
    while moves < SURE_MOVES:
        now = r[0]
        look_shared(&now)
        # Two ahead: that looks as if another program had set the index.
        if now.edge == r.edge or (now.edge == now.head and now.adrift <= r.adrift):
            r[0] = now
            return
        at = clock_ns(CLOCK_MONOTONIC)
        if at >= until:
            break
        moves += now.edge != edge
        edge = now.edge
        sleep_until(at + POLL_NS)
    r.sure = True
    look_shared(r)
    r.sure = False


cdef inline void ring_look(Ring *r) noexcept nogil:
    """Look how far the writer is."""
    if r.kind != RING_PRIVATE:
        if r.edge != r.head and clock_ns(CLOCK_MONOTONIC_COARSE) - r.ahead_since > DIED_NS:
            look_closely(r)
        else:
            look_shared(r)
    else:
        # Acquire: pairs with the release store of `done` in run_receive.
        r.edge = r.head = atomic_load_u64(r.written, __ATOMIC_ACQUIRE)
        r.edge_slot = (r.edge + r.depth - 1) % r.depth


cdef inline void ring_anchor(Ring *r) noexcept nogil:
    """Look for the first time: find the newest slot, and how much history there is."""
    cdef uint64_t counter = 0, cycle = 0, slot = 0, old = 0, mark = 0, updates = 0, held = 0
    cdef bint opened = False, stood, ahead = False
    cdef Counting counting = SLOT_UNKNOWN
    cdef int _
    r.floor = 1
    if r.kind == RING_PRIVATE:
        ring_look(r)
        return
    r.edge_slot = 0
    for _ in range(LOOK_TRIES):
        if r.kind == RING_FAST:
            stood = read_fast(r, &counter, &cycle, &slot, &opened, &counting)
            updates = cycle * r.depth + slot
        else:
            stood = read_temporal(r, &counter, &slot, &old, &mark, &opened)
            updates = max(counter, mark)
        ahead = counting == SLOT_UNCOUNTED or (counting == SLOT_UNKNOWN and updates == counter + 1)
        if stood and not opened and not ahead:
            break
        pymilk_pause()
    # A slot that stays ahead of the count: its writer is at this step, or died there. If `write` is 0, a count was
    # lost some time ago, and all slots are ahead.
    ahead = ahead and opened
    r.opened = ahead
    r.flagged = opened
    r.edge_slot = slot
    r.counter = counter
    if r.kind == RING_FAST:
        r.cycle = cycle
        r.unsure = counting == SLOT_UNKNOWN and slot == r.depth - 1 and cycle > 0
        r.began_open = opened
        held = min(updates, r.depth - 1)
    else:
        r.mark = mark
        if mark:
            r.before = mark + 1 == counter
            # Going back, slices with ever smaller counts are the history.
            held = 1
            while held < r.depth - 1 and 0 < slice_count(r, (slot + r.depth - held) % r.depth) < (
                    slice_count(r, (slot + r.depth - held + 1) % r.depth)):
                held += 1
        else:
            held = min(counter, r.depth - 1)
    # Far enough from 0 that no difference becomes negative.
    r.edge = held + r.depth
    r.ahead_since = clock_ns(CLOCK_MONOTONIC_COARSE)
    r.head = r.edge - ahead
    r.floor = r.edge + 1 - held


cdef inline bint keeps_records(const Ring *r) noexcept nogil:
    """Tell whether the writer stores numbers with its slots: whether the newest slot has the right one."""
    cdef uint64_t slot = ring_slot(r, r.head)
    return stored_number(r, slot) == r.counter


cdef inline uint64_t ring_number(const Ring *r, uint64_t seq, uint64_t after, bint recorded) noexcept nogil:
    """Return the number of a frame of a shared ring that follows frame number `after`."""
    cdef uint64_t derived = r.counter - (r.head - seq)
    cdef uint64_t slot, stored
    if recorded:
        slot = ring_slot(r, seq)
        stored = stored_number(r, slot)
        # A record of an earlier lap is not newer than the frame before.
        if after < stored <= derived:
            return stored
    return derived


cdef inline bint ring_whole(const Ring *r, uint64_t seq) noexcept nogil:
    """Look again after reading: tell whether the slot still holds this frame, unchanged."""
    cdef Ring now = r[0]
    # Pairs with the release fence of the writer before its pixels.
    atomic_fence(__ATOMIC_ACQUIRE)
    ring_look(&now)
    return seq >= ring_oldest(&now)


cdef inline bint find_ring(Ring *r, char *base, const Header *h) noexcept nogil:
    """Fill in where the ring of a stream is; False if it has none of 2 slots or more."""
    memset(r, 0, sizeof(Ring))
    if h.n.location != -1:
        return False
    r.md = <IMAGE_METADATA *>base
    r.nbytes = h.unit_nbytes
    if h.temporal and h.size[2] > 1:
        r.kind = RING_TEMPORAL
        r.depth = h.size[2]
        r.slots = base + h.at.array
        r.atimes = <const timespec *>(base + h.at.atimes)
        r.writetimes = <const timespec *>(base + h.at.writetimes)
        r.cnts = <uint64_t *>(base + h.at.cnts)
    elif not h.temporal and h.n.cbsize > 1:
        r.kind = RING_FAST
        r.depth = h.n.cbsize
        r.slots = base + h.at.ring_slots
        r.records = <const CBFRAMEMD *>(base + h.at.ring_records)
    return r.kind != 0
