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
    # Or, instead of the count: that one of these words has a value is news, whoever knows what.
    cdef const uint64_t *first  # NULL: the count is looked at
    cdef size_t words, stride   # how many, and bytes from one to the next
    cdef uint64_t mask, value
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
    # News is that one of `words` words, under a mask, has a value.
    cdef void look_for(self, size_t first, size_t words, size_t stride, uint64_t mask, uint64_t value)
    # The file was closed here, cut, or is no longer where it was. Asks the file system.
    cdef bint is_gone(self) noexcept nogil


# The bell of a channel file: where its futex, its count and its mark of the end (0: none) are in the mapping.
cdef Bell bell_in_file(Mapping mapping, size_t word, size_t count, size_t over, bytes path, dev_t device, ino_t inode)
