"""Tiles of FITS images: pixels packed by the code RICE_1 of the FITS standard, and unpacked."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

from ..protocol.rice cimport pymilk_rice_most, pymilk_rice_pack, pymilk_rice_unpack

__all__ = ["longest_tile", "pack_tiles", "unpack_tile"]


cdef Py_ssize_t pixels_of(Py_ssize_t nbytes, Py_ssize_t itemsize) except -1:
    """Return how many pixels of 1, 2 or 4 bytes these are."""
    if itemsize not in (1, 2, 4) or nbytes % itemsize:
        raise ValueError(f"{nbytes} bytes are no pixels of {itemsize} bytes, and those of 1, 2 and 4 bytes are packed")
    return nbytes // itemsize


def longest_tile(Py_ssize_t nbytes, Py_ssize_t itemsize):
    """Return how many bytes of memory a tile of so many bytes of pixels takes at most while it is packed."""
    return pymilk_rice_most(pixels_of(nbytes, itemsize), itemsize)


@cython.boundscheck(False)
@cython.wraparound(False)
def pack_tiles(const uint8_t[::1] source, Py_ssize_t itemsize, uint32_t flip, uint8_t[::1] target,
               int64_t[::1] lengths, bint plain=False):
    """Pack equal parts of an array, each of them a tile, one behind the other.

    Parameters
    ----------
    source : buffer of bytes
        Numbers of this machine.
    itemsize : {1, 2, 4}
        Bytes of a number.
    flip : int
        Bits that are turned in each number; 0: none.
    target : buffer of bytes, writable
        ``len(lengths)`` times what `longest_tile` gives, or longer.
    lengths : ndarray of int64, writable
        One for each tile: gets how many bytes it takes.
    plain : bool, default False
        In little time, and as long as it was: see rice.h.

    Returns
    -------
    int
        Bytes that all tiles take.

    Raises
    ------
    ValueError
        `source` is no number of such tiles, or `target` is too short.

    Notes
    -----
    The GIL is released. `source` may change meanwhile: its tiles have other pixels then.
    """
    cdef Py_ssize_t i, count = lengths.shape[0], done = 0
    cdef Py_ssize_t nbytes = source.shape[0] // count if count else 0
    cdef size_t pixels = pixels_of(nbytes, itemsize)
    if source.shape[0] != nbytes * count or target.shape[0] < <Py_ssize_t>pymilk_rice_most(pixels, itemsize) * count:
        raise ValueError(f"{source.shape[0]} bytes are no {count} tiles, or {target.shape[0]} bytes are too few for them")
    if not nbytes:
        lengths[:] = 0
        return 0
    with nogil:
        for i in range(count):
            lengths[i] = pymilk_rice_pack(&source[i * nbytes], pixels, itemsize, flip, &target[done], plain)
            done += lengths[i]
    return done


@cython.boundscheck(False)
@cython.wraparound(False)
def unpack_tile(const uint8_t[::1] source, uint8_t[::1] target, Py_ssize_t itemsize, uint32_t flip, Py_ssize_t block=32):
    """Unpack a tile.

    Parameters
    ----------
    source : buffer of bytes
    target : buffer of bytes, writable
        Gets the numbers of this machine.
    itemsize, flip
        See `pack_tiles`.
    block : int, default 32
        Numbers that are coded together; files of others may have another one.

    Raises
    ------
    ValueError
        It is damaged: what is in `target` means nothing. Or `target` is no number of pixels.

    Notes
    -----
    The GIL is released.
    """
    cdef size_t pixels = pixels_of(target.shape[0], itemsize)
    cdef int fault
    if block < 1:
        raise ValueError(f"a block of {block} pixels")
    if not pixels:
        return
    if not source.shape[0]:
        raise ValueError("a tile is damaged: it is empty")
    with nogil:
        fault = pymilk_rice_unpack(&source[0], source.shape[0], pixels, itemsize, flip, block, &target[0])
    if fault:
        raise ValueError(f"a tile of {source.shape[0]} bytes is damaged: it ends before its {pixels} pixels do")
