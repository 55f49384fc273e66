"""Semaphores of a stream by index."""

from .file cimport StreamFile

# Post one semaphore below the cap, or all of them if index is None.
cdef int post(StreamFile file, object index) except -1
# Take all posts off one, or off all. Returns how many there were.
cdef object flush(StreamFile file, object index)
cdef object value_of(StreamFile file, object index)
# Take one post if there is one; returns a bool.
cdef object try_wait(StreamFile file, object index)
# The same, waiting for it without the GIL.
cdef bint wait_for_post(StreamFile file, object index, object timeout) except -1
