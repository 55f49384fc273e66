"""The bell of a channel, for those who wait for several things at once."""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from .._isio cimport dev_t, ino_t
from .memory cimport Mapping


@cython.final
cdef class Bell:
    cdef Mapping mapping        # the file; None: of this process alone
    cdef uint32_t *word         # futex, see protocol/bell.h
    cdef const uint64_t *count  # changes with each record
    cdef const uint32_t *over   # not 0: no record comes any more. NULL: never
    cdef bytes path
    cdef const char *path_chars
    cdef dev_t device
    cdef ino_t inode
    cdef uint32_t own_word      # of a bell without a file
    cdef uint64_t own_count

    # Can be slept on: else it has to be looked at. Whoever may not write to the file cannot be woken.
    cdef bint wakes(self) noexcept nogil
    # There is news for those who know `count`, or none will come.
    cdef bint has_news(self, uint64_t count) noexcept nogil
    # The file was closed here, cut, or is no longer where it was. Asks the file system.
    cdef bint is_gone(self) noexcept nogil


# The bell of a channel file: where its futex, its count and its mark of the end are in the mapping.
cdef Bell bell_in_file(Mapping mapping, size_t word, size_t count, size_t over, bytes path, dev_t device, ino_t inode)
