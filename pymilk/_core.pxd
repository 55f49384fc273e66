"""The heart, for other compiled rooms: `Stream` with what needs no Python call."""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from ._isio cimport pid_t
from .native.file cimport StreamFile
from .native.metadata cimport StreamMetadata
from .native.reader cimport Reader, Terms


@cython.final
cdef class Stream(StreamMetadata):
    # Writing.
    cdef pid_t busy         # the process that is in a frame; 0: none
    cdef pid_t admitted     # the process that was seen to be allowed to write; 0: none yet
    cdef bint alone         # nobody else may write: the lock is needed
    cdef object lock        # WriterLock, or None
    cdef int64_t next_place  # when to look whether the file is in its place; INT64_MAX once it was found gone
    # Reading. The first two are about the frame that was copied last.
    cdef readonly uint64_t frame_counter
    cdef readonly uint64_t frame_flags
    cdef int stuck          # of Patience (protocol/copying.pxd)
    cdef uint64_t stuck_at
    # Posts of the semaphore of this handle were taken by index up to this frame.
    cdef readonly uint64_t told
    cdef Reader own_reader  # made at the first wait of the stream itself; None before
    cdef object __weakref__

    # Begin to write; the caller sets `busy` to 0 when it is done.
    cdef int take_turn(self) except -1
    cdef int admit(self) except -1
    # `publish`; `acquired` is used if has_atime.
    cdef object publish_frame(self, object frame, bint has_atime, int64_t acquired)

    # Reading, in two steps: who waits in between has the memory before the wait. An array of the shape and dtype of a
    # frame, or whether an exact ndarray can be such a one; then the copy of the newest frame into it, which is returned.
    cdef object new_frame(self)
    cdef bint fits(self, object out) except -1
    cdef object fill(self, object frame)
    cdef int copy_newest(self, StreamFile file, char *base, char *dst, uint64_t nbytes) except -1

    # After posts of a semaphore were taken by index, or of all of them (None).
    cdef int note_taken(self, object index) except -1

    # The reader of the stream itself, and one that is not waiting at the moment.
    cdef Reader first_reader(self)
    cdef Reader idle_reader(self)


# The error for a claim that is left without being entered.
cdef object not_entered(object name)
