"""Pixels as FITS stores them: the most significant byte first, unsigned ones with the highest bit turned."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    uint16_t swap16 "__builtin_bswap16"(uint16_t) noexcept nogil
    uint32_t swap32 "__builtin_bswap32"(uint32_t) noexcept nogil
    uint64_t swap64 "__builtin_bswap64"(uint64_t) noexcept nogil

__all__ = ["to_big_endian"]


@cython.boundscheck(False)
@cython.wraparound(False)
def to_big_endian(const uint8_t[::1] source, uint8_t[::1] target, Py_ssize_t itemsize, uint64_t flip):
    """Copy numbers of this machine with their bytes turned.

    Parameters
    ----------
    source : buffer of bytes
        Little-endian numbers.
    target : buffer of bytes, writable
        As long as `source`. May not overlap it.
    itemsize : {1, 2, 4, 8}
        Bytes of a number.
    flip : int
        Bits that are turned in each number; 0: none.

    Raises
    ------
    ValueError
        The lengths differ, or are no multiple of `itemsize`.

    Notes
    -----
    The GIL is released. Pieces that fit the cache are turned at about the speed of a copy.
    """
    cdef Py_ssize_t i, count = source.shape[0] // itemsize if itemsize in (1, 2, 4, 8) else -1
    cdef const uint8_t *raw
    cdef uint8_t *made
    if source.shape[0] != target.shape[0] or count * itemsize != source.shape[0]:
        raise ValueError(
            f"{source.shape[0]} bytes of numbers of {itemsize} bytes do not fit {target.shape[0]} bytes")
    if count == 0:
        return
    raw, made = &source[0], &target[0]
    with nogil:
        if itemsize == 1:
            for i in range(count):
                made[i] = raw[i] ^ <uint8_t>flip
        elif itemsize == 2:
            for i in range(count):
                (<uint16_t *>made)[i] = swap16((<const uint16_t *>raw)[i] ^ <uint16_t>flip)
        elif itemsize == 4:
            for i in range(count):
                (<uint32_t *>made)[i] = swap32((<const uint32_t *>raw)[i] ^ <uint32_t>flip)
        else:
            for i in range(count):
                (<uint64_t *>made)[i] = swap64((<const uint64_t *>raw)[i] ^ flip)
