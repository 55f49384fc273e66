"""Marks: whether the pixels of a stream are others than before, without keeping a copy of them."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef enum:
    # Words of a frame that its mark depends on, spread over the frame.
    MARK_WORDS = 256


cdef inline uint64_t pixel_mark(const char *pixels, uint64_t nbytes) noexcept nogil:
    """Return a number that depends on some of the pixels.

    Two frames with different marks have different pixels. Those with the same mark may differ elsewhere.
    """
    cdef uint64_t mark = 0, word, step = max(nbytes // MARK_WORDS, <uint64_t>8), at = 0
    cdef int _
    for _ in range(MARK_WORDS):
        if at >= nbytes:
            break
        word = 0
        memcpy(&word, pixels + at, min(nbytes - at, <uint64_t>8))
        mark = (mark ^ word) * <uint64_t>0x9E3779B97F4A7C15
        mark ^= mark >> 29
        at += step
    return mark
