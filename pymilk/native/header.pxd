"""The header of a stream file, read once and checked."""

cimport cython
from libc.stdint cimport uint64_t

from .._isio cimport dev_t, ino_t
from ..protocol.layout cimport Header, Layout

cdef enum:
    # An attach that meets an empty version waits this long for the creator to finish.
    READY_WAIT_MS = 100


@cython.final
cdef class Snapshot:
    cdef Header h
    cdef uint64_t raw[564]  # METADATA_MAX bytes, aligned for IMAGE_METADATA: as the file had them, not checked
    cdef dev_t device
    cdef ino_t inode        # of the file; h.inode is the one stored in the metadata


cdef int open_file(str path, bint writable, bint follow=*) except -1
cdef Snapshot take_snapshot(int fd, str path, int ready_wait_ms)

cdef str layout_name(Layout layout)
cdef Layout layout_of(object name) except *
cdef tuple shape_of(const Header *h)
cdef tuple frame_shape_of(const Header *h)
cdef str decode_text(const char *start, size_t limit)
