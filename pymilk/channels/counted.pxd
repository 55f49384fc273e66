"""`CountedFile`: see counted.pyx."""

from libc.stdint cimport int64_t, uint64_t

from ..native.bell cimport Bell
from ..protocol.clock cimport Slack
from .file cimport ChannelFile


cdef class CountedFile(ChannelFile):
    cdef Bell bell              # made when somebody waits for several things
    cdef int64_t next_look      # at the place of the file

    # The count up to which this object has read.
    cdef uint64_t known(self) noexcept nogil
    cdef bint has_news(self, uint64_t known) noexcept nogil
    cdef int check_place(self) except -1
    cdef bint wait_beyond(self, uint64_t known, timeout) except -1
    cdef bint await_news(self, uint64_t known, int64_t now, int64_t deadline, Slack *slack) except -1
