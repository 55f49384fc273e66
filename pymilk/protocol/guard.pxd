"""Mapped files that are cut while they are in use: what guard.h offers, for Cython."""

cdef extern from "pymilk/protocol/guard.h" nogil:
    enum:
        PYMILK_CLOSED
        PYMILK_LOST
    int pymilk_guard_add(void *base, size_t nbytes, int prot, int *flag)
    void pymilk_guard_remove(void *base)
