"""What a handle tells about its stream besides frames."""

from libc.stdint cimport int64_t

from .file cimport StreamFile

cdef class StreamMetadata:
    # Never None: `no_file()` before the stream is attached; without its memory once the handle is closed.
    cdef StreamFile file
    cdef int64_t next_look  # when `is_replaced` asks the file system again
    cdef bint was_replaced  # what it found last

    # `replaced`, for other methods.
    cdef bint is_replaced(self) except -1
    cdef bint look_again(self, int64_t tick) except -1
    # To be called after pixels were copied.
    cdef int check_behind_copy(self) except -1
