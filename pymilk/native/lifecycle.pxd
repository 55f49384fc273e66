"""The life of a stream file: make it, attach it, follow it to its successor, remove it."""

cimport cython
from libc.stdint cimport int64_t

from .._isio cimport dev_t, ino_t
from ..protocol.layout cimport Header
from .file cimport StreamFile
from .header cimport Snapshot
from .memory cimport Mapping


@cython.final
cdef class NewStream:
    # What a new stream is to be: the arguments of Stream.create as they were given, not checked.
    cdef str name
    cdef str path           # absolute; empty: a stream of this process alone
    cdef object shape
    cdef object dtype
    cdef object nbkw
    cdef object nbsem
    cdef object imagetype
    cdef object cb_size
    cdef object location
    cdef object layout
    cdef object version
    cdef object mode
    cdef object replace     # True, False or "if-free"
    cdef object keywords    # there when it appears
    cdef bint exclusive


@cython.final
cdef class Creation:
    # One stream that is being made. Use it through `create_file`; afterwards `file` and `lock` are set.
    cdef StreamFile file
    cdef object lock        # the WriterLock of an exclusive stream, or None

    cdef NewStream new
    cdef Header h
    cdef str directory
    cdef str temporary      # the name it has before it is in place
    cdef int fd
    cdef dev_t device
    cdef Mapping mapping
    # The stream that it replaces.
    cdef int old_fd         # -1: there is none, or it was not opened yet
    cdef bint old_writable
    cdef Snapshot old
    cdef Mapping old_mapping  # None: not a stream, so that it has no readers to be told
    cdef object old_lock    # held until the new stream is in place
    cdef bint old_missing   # nothing has the name
    cdef bint warned        # that it has a living writer

    cdef int open_temporary(self) except -1
    cdef int reserve(self) except -1
    cdef int fill(self) except -1
    cdef int lock_new(self) except -1
    cdef int take_place(self) except -1
    cdef int open_old(self) except -1
    cdef bint guard_old(self) except -1
    cdef int check_writers(self) except -1
    cdef int check_users(self) except -1
    cdef int keep_permissions(self) except -1
    cdef bint move(self) except -1
    cdef int close_old(self) except -1
    cdef int let_go(self) except -1


cdef Creation create_file(NewStream new)
cdef StreamFile make_local(NewStream new)
cdef StreamFile attach_file(str path, bint writable, int ready_wait_ms, bint prefault)
cdef StreamFile attach_successor(StreamFile old, int64_t deadline)
# What the file tells of its writers: a `pymilk.system.living.Traces`.
cpdef object traces_of(StreamFile file)
cdef int remove_file(StreamFile file) except -1
