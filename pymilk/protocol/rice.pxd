"""The code RICE_1 of FITS: what rice.h offers, for Cython."""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "pymilk/protocol/rice.h" nogil:
    size_t pymilk_rice_most(size_t count, size_t itemsize)
    size_t pymilk_rice_pack(const uint8_t *pixels, size_t count, size_t itemsize, uint32_t flip, uint8_t *target,
                            int plain)
    int pymilk_rice_unpack(const uint8_t *packed, size_t nbytes, size_t count, size_t itemsize, uint32_t flip,
                           size_t block, uint8_t *pixels)
