"""The semaphores of a stream file: where they are, posting them, and emptying them.

Semaphores in files are posted and waited for through semaphore.h only: its calls survive a file that is cut.
"""

from libc.stdint cimport int64_t

from .._isio cimport SEMAPHORE_MAXVAL, SEMFILEDATA, sem_getvalue, sem_t, sem_trywait
from .layout cimport Header
from .port cimport PYMILK_ASSERT

cdef extern from "pymilk/protocol/semaphore.h" nogil:
    int sem_post "pymilk_sem_post"(sem_t *sem)
    bint pymilk_sem_usable(const sem_t *sem)
    void pymilk_fence_behind_take()
    int pymilk_sem_wait_until(sem_t *sem, int64_t monotonic_ns)


cdef inline sem_t *semaphore(char *base, const Header *h, int index) noexcept nogil:
    # An index that does not exist, such as -1, must never reach a semaphore call.
    PYMILK_ASSERT(0 <= index and index < h.n.sem)
    return &(<SEMFILEDATA *>(base + h.at.semfile))[index].semdata


cdef inline void ring_bell(sem_t *sem) noexcept nogil:
    """Post a semaphore below its cap.

    The check and the post are two steps, as in other libraries: a second writer can push the value to 11, which
    does no harm.
    """
    cdef int value = 0
    if sem_getvalue(sem, &value) == 0 and value < SEMAPHORE_MAXVAL:
        sem_post(sem)


cdef inline int drain(sem_t *sem) noexcept nogil:
    """Take all posts; returns how many. Bounded, because another process may post all the time."""
    cdef int count = 0
    while count < 4 * SEMAPHORE_MAXVAL and sem_trywait(sem) == 0:
        count += 1
    return count
