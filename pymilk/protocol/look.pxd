"""Looks at the state of a stream: what two of them prove.

Pixels that were copied between two looks are those of one whole frame if both looks are the same and `write`
was 0 in them. The stamps are compared besides the counter because of writers that clear `write` before they
count (see publish.pxd): between the two the counter alone shows nothing.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from .._isio cimport (
    IMAGE_METADATA, timespec, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u8, atomic_load_u64,
)
from .clock cimport stamp_ns
from .port cimport pymilk_pause

cdef enum:
    # Looks at words that belong together, until two looks in a row agree.
    LOOK_TRIES = 200

cdef struct Look:
    uint8_t write
    uint64_t cnt0
    timespec writetime
    timespec lastaccess


cdef inline void look(const IMAGE_METADATA *md, Look *seen) noexcept nogil:
    """Read the state of a stream: write first, so that a finished write is seen with its counter."""
    # Acquire: pairs with the release store of write in close_frame.
    seen.write = atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE)
    seen.cnt0 = atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_RELAXED)
    seen.writetime = md.writetime
    seen.lastaccess = md.lastaccesstime
    # What is read next is as new as counter and stamps. Pairs with the release of cnt0 in close_frame, and with the
    # fence in abandon_frame.
    atomic_fence(__ATOMIC_ACQUIRE)


cdef inline bint same_look(const Look *a, const Look *b) noexcept nogil:
    return (a.cnt0 == b.cnt0 and a.write == b.write
            and a.writetime.tv_nsec == b.writetime.tv_nsec
            and a.writetime.tv_sec == b.writetime.tv_sec
            and a.lastaccess.tv_nsec == b.lastaccess.tv_nsec
            and a.lastaccess.tv_sec == b.lastaccess.tv_sec)


cdef inline int64_t steady_stamp_ns(const IMAGE_METADATA *md, const timespec *stamp) noexcept nogil:
    """Read a stamp whole: never the seconds of one frame with the nanoseconds of the next.

    If the writer does not finish its frame, the stamp is returned as it is.
    """
    cdef Look before, after
    cdef int64_t ns = 0
    cdef int _
    for _ in range(LOOK_TRIES):
        look(md, &before)
        ns = stamp_ns(stamp)
        # Pairs with the fence in open_frame.
        atomic_fence(__ATOMIC_ACQUIRE)
        look(md, &after)
        if before.write == 0 and same_look(&before, &after):
            break
        pymilk_pause()
    return ns
