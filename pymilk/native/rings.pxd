"""Rings as Python sees them: the ring of a collector, and the position of one reader in a ring."""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from .._isio cimport sem_t
from ..protocol.cursor cimport Cursor
from ..protocol.frame cimport Row
from ..protocol.receive cimport Doubt, Job
from ..protocol.ring cimport Total
from .file cimport StreamFile
from .memory cimport Mapping


@cython.final
cdef class PrivateRing:
    cdef readonly object slots
    cdef Mapping _frames
    cdef Mapping _rows
    cdef Mapping _totals
    cdef Row *rows          # one for each slot
    cdef Total *totals      # beside the rows
    cdef Total total        # up to the last frame, from one collector to the next
    cdef uint64_t count     # slots: depth + 1
    cdef uint64_t nbytes    # of a frame
    cdef uint64_t written   # frames so far; its collector stores it last
    cdef Doubt doubt
    cdef sem_t bell         # posted for each frame; at most one post is kept
    cdef public int fd
    cdef int over           # flag: no frame comes any more

    # Make this ring the destination of a job. The caller stores `job.ring.total` in `total` after the run.
    cdef void receive_into(self, Job *job) noexcept


@cython.final
cdef class Rows:
    cdef Row *first
    cdef Py_ssize_t count
    cdef object memory
    cdef object made        # the array, once it was asked for
    cdef readonly Py_ssize_t handed_over


@cython.final
cdef class RingCursor:
    cdef Cursor c
    cdef Cursor given       # `c` when frames were last handed over to the user
    cdef Cursor before      # `given` before that
    cdef readonly uint64_t pending  # frames copied since
    cdef object keeper      # the PrivateRing, so that its memory stays; None for the ring of a stream
    cdef StreamFile file    # the stream; None for a private ring
    cdef readonly object slots
    cdef readonly str name
    cdef readonly str source

    cdef int _set(self, object keeper, object slots, str name, str source) except -1
    cdef bint _is_damaged(self) noexcept
    cdef int64_t copy_now(self, out, Rows rows, uint64_t count, bint newest, bint strict) except -2
    cdef uint64_t flag_doubtful(self, Row *rows, uint64_t count) noexcept
    cdef void note_likely(self, Cursor *c, const Row *rows, uint64_t count) noexcept
    cdef void settle_likely(self, Cursor *c) noexcept
    cdef object _lost(self, const Row *row)
    cdef void commit(self) noexcept
    cdef void roll_back(self, const Cursor *to) noexcept


@cython.final
cdef class Turn:
    cdef readonly str name
    cdef public RingCursor cursor   # the present one; None until there is one
    cdef public object given        # capture that an exception was given in this turn; None: none
    cdef public object receiver     # that exception
    cdef bint busy

    # Take the turn, or raise StreamBusyError.
    cdef int begin(self) except -1
    cdef int64_t read_now(self, out, Rows rows, uint64_t count, bint newest, bint strict) except -2


# Make a cursor in the ring of a stream; None if it has no ring of 2 slots or more.
cdef RingCursor stream_cursor(StreamFile file)
