"""How a frame is published.

Every way to publish follows this order (open_frame and close_frame). A reader that sees the new counter sees the
pixels.

    write = 1            then a release fence: no pixel store moves in front of it
    pixels
    ring slot            if the stream has a fast circular buffer; its record is marked 0 first,
                         filled last; then CBcycle, CBindex
    per-slice record     if one slice of a temporal cube was written; then cnt1
    writetime, atime
    cnt0 += 1            release: everything above is visible before it
    write = 0            release
    post                 every semaphore below its cap of 10, then the log semaphore

A claim that is abandoned stamps lastaccesstime before write = 0, after a release fence: its pixels changed under an
old counter.

Other writers are weaker, and readers must be right with all of them:

    the C library        no fences (harmless on x86), same order
    its Python wrapper   posts, stamps lastaccesstime, write = 0, and only then cnt0 += 1: a wake-up
                         comes too early, and for an instant write is 0 under the old counter
    some cameras         never set write; post before they count; post twice; or do not post
    a killed writer      leaves write = 1 forever
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .._isio cimport (
    CBFRAMEMD, CLOCK_TAI, FRAMEWRITEMD, IMAGE_METADATA, IMAGESTRUCT_FRAMEWRITEMDSIZE, SEMAPHORE_MAXVAL,
    clock_gettime, sem_getvalue, sem_t, timespec,
    __ATOMIC_RELAXED, __ATOMIC_RELEASE, __ATOMIC_SEQ_CST, atomic_add_u64, atomic_fence, atomic_load_u32,
    atomic_load_u64, atomic_store_u8, atomic_store_u32, atomic_store_u64,
)
from .clock cimport to_timespec
from .frame cimport copy_bytes, fill_slot
from .layout cimport AT_HISTORY_CYCLE, AT_HISTORY_INDEX, Header
from .process cimport own_pid
from .semaphore cimport ring_bell, sem_post, semaphore


cdef inline void post_one(char *base, const Header *h, int index) noexcept nogil:
    cdef sem_t *sem = semaphore(base, h, index)
    cdef int value = 0
    if sem_getvalue(sem, &value) == 0 and value < SEMAPHORE_MAXVAL:
        sem_post(sem)
        (<int32_t *>(base + h.at.sem_write_pid))[index] = own_pid


cdef inline void post_all(char *base, const Header *h) noexcept nogil:
    cdef int i
    # Full fence: the counter is visible before the values of the semaphores are read. Pairs with a reader that
    # empties its semaphore and then reads the counter (sleep_for_frame): one of the two sees the other, so a
    # reader that goes to sleep gets its post.
    atomic_fence(__ATOMIC_SEQ_CST)
    for i in range(h.n.sem):
        post_one(base, h, i)
    ring_bell(<sem_t *>(base + h.at.semlog))


cdef inline void open_frame(char *base) noexcept nogil:
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    atomic_store_u8(<uint8_t *>&md.write, 1, __ATOMIC_RELAXED)
    # No pixel store moves in front of write = 1. Pairs with the acquire fence after the copy in try_copy: a
    # reader that copied one new pixel sees write = 1, or a later state.
    atomic_fence(__ATOMIC_RELEASE)


cdef inline void abandon_frame(char *base) noexcept nogil:
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    # The pixels come before the stamp. Pairs with the fence in look.
    atomic_fence(__ATOMIC_RELEASE)
    # The counter does not move, so the stamp must show that pixels changed: readers compare it.
    clock_gettime(CLOCK_TAI, &md.lastaccesstime)
    atomic_store_u8(<uint8_t *>&md.write, 0, __ATOMIC_RELEASE)


cdef inline void fill_ring_slot(
    char *base, const Header *h, uint64_t counter, const timespec *atime, const timespec *writetime,
) noexcept nogil:
    """Copy the frame into the next slot of the fast circular buffer, and fill its record."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint32_t slot = atomic_load_u32(&md.CBindex, __ATOMIC_RELAXED) + 1
    cdef uint64_t cycle = atomic_load_u64(&md.CBcycle, __ATOMIC_RELAXED)
    cdef CBFRAMEMD *record
    if slot >= h.n.cbsize:  # also if another process left an index out of range
        slot = 0
        cycle += 1
    record = &(<CBFRAMEMD *>(base + h.at.ring_records))[slot]
    # Counter 0: the slot is being changed. The fence keeps the pixels after it; a reader of the slot reads the
    # record before and after its copy.
    atomic_store_u64(&record.cnt0, 0, __ATOMIC_RELAXED)
    atomic_fence(__ATOMIC_RELEASE)
    fill_slot(base + h.at.ring_slots + slot * h.n.frame_nbytes, base + h.at.array, h.n.frame_nbytes)
    record.cnt1 = slot
    record.atime = atime[0]
    record.writetime = writetime[0]
    atomic_store_u64(&record.cnt0, counter, __ATOMIC_RELEASE)
    # Release: a reader that sees the new lap sees the record, and so that the lap has no index yet.
    atomic_store_u64(&md.CBcycle, cycle, __ATOMIC_RELEASE)
    atomic_store_u32(&md.CBindex, slot, __ATOMIC_RELEASE)


cdef inline void note_history(char *base, const Header *h, uint64_t counter,
                              const timespec *now) noexcept nogil:
    cdef uint32_t *index = <uint32_t *>(base + AT_HISTORY_INDEX)
    cdef uint64_t *cycle = <uint64_t *>(base + AT_HISTORY_CYCLE)
    cdef uint32_t entry = atomic_load_u32(index, __ATOMIC_RELAXED) + 1
    cdef FRAMEWRITEMD *record
    if entry >= IMAGESTRUCT_FRAMEWRITEMDSIZE:
        entry = 0
        atomic_store_u64(cycle, atomic_load_u64(cycle, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)
    record = &(<FRAMEWRITEMD *>(base + h.at.history))[entry]
    record.writetime = now[0]
    record.wpid = own_pid
    record.cnt0 = counter
    atomic_store_u32(index, entry, __ATOMIC_RELEASE)


cdef inline int64_t next_slice(char *base, const Header *h) noexcept nogil:
    """Return the slice of a temporal cube to write next; -1 for other streams."""
    if not h.temporal:
        return -1
    return <int64_t>((atomic_load_u64(&(<IMAGE_METADATA *>base).cnt1, __ATOMIC_RELAXED) + 1) % h.size[2])


cdef inline char *frame_at(char *base, const Header *h, int64_t slice) noexcept nogil:
    return base + h.at.array + (slice * h.unit_nbytes if slice >= 0 else 0)


cdef inline uint64_t close_frame_by(char *base, const Header *h, bint has_atime, int64_t atime_ns, int64_t slice,
                                    uint64_t advance) noexcept nogil:
    """Publish the pixels as the next frame; returns its counter. slice: the one written, or -1.

    advance: more than 1 if frames that a relay did not receive leave a gap in the numbers.
    """
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef timespec now, atime
    cdef uint64_t counter = atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED) + advance
    clock_gettime(CLOCK_TAI, &now)
    atime = to_timespec(atime_ns) if has_atime else now
    if slice >= 0:
        (<timespec *>(base + h.at.atimes))[slice] = atime
        (<timespec *>(base + h.at.writetimes))[slice] = now
        atomic_store_u64(&(<uint64_t *>(base + h.at.cnts))[slice], counter, __ATOMIC_RELAXED)
        atomic_store_u64(&md.cnt1, slice, __ATOMIC_RELEASE)
    if h.n.cbsize:
        fill_ring_slot(base, h, counter, &atime, &now)
    md.writetime = now
    md.atime = atime
    # Release: pixels, slot and times are visible before the counter that announces them. Pairs with the fence
    # in look and the acquire loads of cnt0 in read_fast and read_temporal. An atomic addition, so that two writers
    # lose no counts (they may still mix their pixels).
    counter = atomic_add_u64(&md.cnt0, advance, __ATOMIC_RELEASE)
    atomic_store_u8(<uint8_t *>&md.write, 0, __ATOMIC_RELEASE)
    if h.layout.history:
        note_history(base, h, counter, &now)
    post_all(base, h)
    return counter


cdef inline uint64_t close_frame(char *base, const Header *h, bint has_atime, int64_t atime_ns,
                                 int64_t slice) noexcept nogil:
    """Publish the pixels as the next frame; returns its counter. slice: the one written, or -1."""
    return close_frame_by(base, h, has_atime, atime_ns, slice, 1)


cdef inline uint64_t count_early(char *base, const Header *h) noexcept nogil:
    """Count and post a frame that is still being filled, as careless writers do: `write` stays 1. Not for rings."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef timespec now
    clock_gettime(CLOCK_TAI, &now)
    md.writetime = md.atime = now
    cdef uint64_t counter = atomic_add_u64(&md.cnt0, 1, __ATOMIC_RELEASE)
    post_all(base, h)
    return counter


cdef inline uint64_t publish_one(
    char *base, const Header *h, const char *frame, bint has_atime, int64_t atime_ns
) noexcept nogil:
    """Publish a frame of a series; returns its counter."""
    open_frame(base)
    cdef int64_t slice = next_slice(base, h)
    if slice >= 0:
        fill_slot(frame_at(base, h, slice), frame, h.unit_nbytes)
    else:
        copy_bytes(base + h.at.array, frame, h.unit_nbytes, False)
    return close_frame(base, h, has_atime, atime_ns, slice)
