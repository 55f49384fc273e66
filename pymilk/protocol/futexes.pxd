"""Sleeping on several semaphores and bells at once."""

from libc.stdint cimport int64_t, uint32_t

from .._isio cimport sem_t

cdef extern from "pymilk/protocol/futexes.h" nogil:
    enum:
        PYMILK_FUTEXES_MAX
    ctypedef struct Futex "struct pymilk_futex":
        pass
    bint pymilk_futex_of_sem(Futex *futex, sem_t *sem)
    void pymilk_sem_leave(sem_t *sem)
    bint pymilk_futex_of_bell(Futex *futex, uint32_t *bell, bint shared)
    int pymilk_futexes_sleep(const Futex *futexes, unsigned int count, int64_t monotonic_ns)
