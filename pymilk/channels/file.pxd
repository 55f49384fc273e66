"""`ChannelFile`: see file.pyx."""

from libc.stdint cimport int64_t, uint32_t

from .._isio cimport dev_t, ino_t
from ..native.memory cimport Mapping
from ._log cimport ChannelHeader, Found


cdef class ChannelFile:
    cdef Mapping mapping
    cdef ChannelHeader *header
    cdef dev_t device
    cdef ino_t inode
    cdef bytes path_bytes
    cdef readonly str path
    cdef readonly str name
    # Objects that have it attached go on when its name leads nowhere, or to another file.
    cdef bint unnamed
    # Told after each read, so that it is readable while there is something: see pymilk.channels.base.
    cdef public object _descriptor

    cdef int open_file(self, int fd, str path, str name, uint32_t kind, bint shared) except -1
    cdef int check_header(self, bytes content, int64_t nbytes, uint32_t kind) except -1
    cdef int check_open(self) except -1
    cdef int check_whole(self) except -1
    cdef int check(self, Found found) except -1
    cdef bint is_gone(self) noexcept
    # Errors, to be raised.
    cdef object removed(self)
    cdef object read_only(self)
    cdef object not_locked(self, int error)
    cdef int tell(self) except -1
