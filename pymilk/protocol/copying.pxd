"""Copying the newest frame of a stream out of the pixels that its writer fills: whole, or marked as torn.

A copy lies between two looks at the stream (look.pxd). Its fence pairs with that of open_frame (publish.pxd).
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u8,
    atomic_load_u64,
)
from .clock cimport EARLY_POST_SPIN_NS, POLL_NS, clock_ns, sleep_until, stamp_ns
from .flags cimport atomic_load_int
from .frame cimport _FROM_RING, _TORN, _VERIFIED, Row, copy_bytes
from .layout cimport Header
from .look cimport LOOK_TRIES, Look, look, same_look
from .port cimport pymilk_pause
from .ring cimport Ring, find_ring, ring_anchor, ring_look, ring_slot, ring_whole

cdef enum:
    # Tries to copy one frame before it is delivered as torn.
    COPY_TRIES = 8
    # Tries of a read that holds the GIL, before it releases the GIL and waits for the writer.
    EAGER_TRIES = 3
    # How long a reader waits for a writer to finish its frame. A writer that takes longer died there, was held up, or
    # does not clear `write`, which a dead one left at 1. After so many such frames without `write` seen at 0 in
    # between, it is the last, and the reader waits less.
    WRITE_GRACE_NS = 50_000_000
    STUCK_GRACE_NS = 100_000
    STUCK_FRAMES = 3
    # Single frames of this size and more are read past the caches, which they do not fit.
    STREAMING_READ_NBYTES = 4_194_304

# How long a copy waits for a writer that is in its frame, and what ends the wait.
cdef struct Patience:
    const int *closed       # Mapping.closed
    const int *stop
    int stuck               # frames in a row that no writer finished in time
    uint64_t stuck_at       # number of the frame before the last of them


cdef inline int64_t grace_of(const Patience *p, uint64_t number) noexcept nogil:
    """Return how long to wait for a writer that is in the frame after `number`, in ns."""
    if p.stuck == 0:
        return WRITE_GRACE_NS
    if p.stuck_at == number:
        return 0  # it was found dead in this same frame
    return WRITE_GRACE_NS if p.stuck < STUCK_FRAMES else STUCK_GRACE_NS


cdef inline void notice_life(const char *base, Patience *p) noexcept nogil:
    """Note whether `write` is cleared: a writer that was held up, or another one, goes on."""
    if p.stuck and atomic_load_u8(<uint8_t *>&(<IMAGE_METADATA *>base).write, __ATOMIC_RELAXED) == 0:
        p.stuck = 0


cdef inline void note_frame(const IMAGE_METADATA *md, Row *row) noexcept nogil:
    row.cnt1 = atomic_load_u64(<uint64_t *>&md.cnt1, __ATOMIC_RELAXED)
    row.atime_ns = stamp_ns(&md.atime)
    row.writetime_ns = stamp_ns(&md.writetime)


cdef inline uint64_t try_copy(const IMAGE_METADATA *md, const char *src, char *dst, uint64_t nbytes,
                              bint streaming, int tries, Look *seen, Row *row) noexcept nogil:
    """Copy the newest frame; returns FLAG_VERIFIED, or 0 if the writer was in it each time."""
    cdef Look after
    while tries > 0:
        look(md, seen)
        if seen.write == 0:
            copy_bytes(dst, src, nbytes, streaming)
            if row != NULL:
                note_frame(md, row)
            # The copy is finished before the second look. Pairs with the fence in open_frame.
            atomic_fence(__ATOMIC_ACQUIRE)
            look(md, &after)
            if same_look(seen, &after):
                return _VERIFIED
        else:
            pymilk_pause()
        tries -= 1
    return 0


cdef inline uint64_t copy_frame(char *base, const Header *h, char *dst, bint streaming, Row *row,
                                Patience *patience, Look *seen) noexcept nogil:
    """Copy the newest frame whole, waiting for a writer that is in it; returns its flags.

    A writer that stays in one frame for longer than its grace, or that leaves no time for a copy in
    COPY_TRIES tries, gets its frame delivered as torn.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>base
    cdef const char *src = base + h.at.array
    cdef uint64_t flags = 0, entered = 0
    cdef Look after
    cdef int tries = 0, met = 0, _
    cdef int64_t now, began = 0, grace = 0
    while tries < COPY_TRIES:
        flags = try_copy(md, src, dst, h.n.frame_nbytes, streaming, 1, seen, row)
        if flags or atomic_load_int(patience.closed) or atomic_load_int(patience.stop):
            break
        if seen.write == 0:
            tries += 1  # the frame changed during the copy
            patience.stuck = 0
            continue
        # The writer is in the next frame. Wait for it: a few microseconds if it is alive.
        now = clock_ns(CLOCK_MONOTONIC)
        if began == 0:
            began = now
            entered = seen.cnt0
            grace = grace_of(patience, entered)
        if seen.cnt0 != entered:
            # The counter moves while write stays 1: this writer never clears it, or every look falls into a
            # frame. In both cases the flag is of no use.
            met += 1
            entered = seen.cnt0
        if met >= COPY_TRIES or now - began > grace:
            break
        if now - began > EARLY_POST_SPIN_NS:
            sleep_until(now + POLL_NS)
    if flags:
        patience.stuck = 0
        return flags
    # No tries left: copy the pixels as they are, and flag them, unless the writer has just come to rest: a reader that
    # leaves out torn frames would wait for the next one, and never have the last of a burst.
    for _ in range(LOOK_TRIES):
        look(md, seen)
        if seen.write == 0:
            break
        pymilk_pause()  # it may have counted already, and clears `write` next
    copy_bytes(dst, src, h.n.frame_nbytes, False)
    if row != NULL:
        note_frame(md, row)
    atomic_fence(__ATOMIC_ACQUIRE)  # as in try_copy
    look(md, &after)
    if seen.write == 0 and same_look(seen, &after):
        patience.stuck = 0
        return _VERIFIED
    if tries < COPY_TRIES:
        patience.stuck += 1
        patience.stuck_at = seen.cnt0
    return _TORN


cdef inline uint64_t copy_newest_slice(char *base, const Header *h, char *dst, bint streaming,
                                       uint64_t *number) noexcept nogil:
    """Copy the newest slice of a temporal cube; returns its flags. The writer fills another slice meanwhile."""
    cdef Ring r
    cdef int _
    find_ring(&r, base, h)
    ring_anchor(&r)
    for _ in range(COPY_TRIES):
        ring_look(&r)
        number[0] = r.counter
        copy_bytes(dst, r.slots + ring_slot(&r, r.head) * h.unit_nbytes, h.unit_nbytes, streaming)
        if ring_whole(&r, r.head):
            return _VERIFIED | _FROM_RING
    return _TORN | _FROM_RING
