"""Bells: futex words that those who sleep on them share with those who have news."""

from libc.stdint cimport int64_t, uint32_t

cdef extern from "pymilk/protocol/bell.h" nogil:
    uint32_t pymilk_bell_look(uint32_t *bell)
    void pymilk_bell_ring(uint32_t *bell)
    int pymilk_bell_sleep(uint32_t *bell, uint32_t seen, int64_t monotonic_ns)
