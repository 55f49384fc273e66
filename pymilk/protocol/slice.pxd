"""The time slice of a waiting thread: slice.h, for Cython."""

from libc.stdint cimport uint64_t

cdef extern from "pymilk/protocol/slice.h" nogil:
    uint64_t pymilk_shorten_slice()
    void pymilk_restore_slice(uint64_t before)
