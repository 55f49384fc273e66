"""Semaphores of a stream by index, for tools and for code that is used to them. Readers have one each: see reader."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t

from .._isio cimport CLOCK_MONOTONIC, sem_getvalue, sem_t, sem_trywait
from ..protocol.clock cimport clock_ns, later
from ..protocol.publish cimport post_all, post_one
from ..protocol.semaphore cimport drain, pymilk_sem_wait_until, ring_bell, semaphore
from ..protocol.waiting cimport SLICE_NS
from .checks cimport index_argument, timeout_ns
from .file cimport StreamFile

__all__ = []


cdef sem_t *semaphore_of(StreamFile file, char *base, object index) except NULL:
    """Return a semaphore; `base` is what a door of `file` returned."""
    return semaphore(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))


cdef int post(StreamFile file, object index) except -1:
    cdef char *base = file.use_to_write()
    if index is None:
        post_all(base, &file.h)
    else:
        post_one(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))
        ring_bell(<sem_t *>(base + file.h.at.semlog))
    return file.check_whole()


cdef object flush(StreamFile file, object index):
    cdef char *base = file.use_to_write()
    cdef int i, count = 0
    if index is not None:
        return file.whole(drain(semaphore_of(file, base, index)))
    for i in range(file.h.n.sem):
        count += drain(semaphore(base, &file.h, i))
    return file.whole(count)


cdef object value_of(StreamFile file, object index):
    cdef char *base = file.use_whole()
    cdef int value = 0
    sem_getvalue(semaphore_of(file, base, index), &value)
    file.check_file()
    return value


cdef object try_wait(StreamFile file, object index):
    cdef char *base = file.use_to_write()
    return file.whole(sem_trywait(semaphore_of(file, base, index)) == 0)


cdef bint wait_for_post(StreamFile file, object index, object timeout) except -1:
    cdef char *base = file.use_whole()
    cdef int64_t limit = timeout_ns(timeout, file.name)
    cdef sem_t *sem = semaphore_of(file, base, index)
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t deadline = later(now, limit)
    cdef int code
    file.use_to_write()
    while True:
        with nogil:
            code = pymilk_sem_wait_until(sem, min(deadline, later(now, SLICE_NS)))
            now = clock_ns(CLOCK_MONOTONIC)
        if code == 0:
            return True
        PyErr_CheckSignals()
        # Closed or damaged meanwhile?
        file.use_whole()
        file.check_whole()
        if now >= deadline:
            return False
