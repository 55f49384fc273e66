"""One reader of a stream: its semaphore, and the account of the frames that it received."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from .._isio cimport pid_t, sem_t
from ..protocol.cursor cimport Cursor
from ..protocol.order cimport Order
from ..protocol.pace cimport Pace
from ..protocol.posts cimport Posts
from ..protocol.receive cimport Job, Stamps
from ..protocol.waiting cimport Wait
from .file cimport StreamFile

# What the caller of a run asked for: the checked arguments of `receive`, `collect` and `Stream.publish_from`.
cdef struct Terms:
    int64_t timeout         # ns for each frame, FOREVER for no limit
    int64_t spin            # ns, FOREVER or LEARNED
    bint going_on           # `after` was given: continue the account that `arm` began
    uint64_t after
    bint new_file           # `missed` was given: the stream replaced another one
    uint64_t missed


@cython.final
@cython.no_gc
cdef class Reader:
    # Never None: `no_file()` before the reader is attached; without its memory once the reader is closed.
    cdef StreamFile file
    cdef int slot           # index of the semaphore that process `pid` took; -1: none
    cdef pid_t pid
    cdef int preferred      # index of the semaphore to take if it is free; -1: any
    cdef int64_t next_claim  # CLOCK_MONOTONIC: when to look for a free semaphore again
    cdef int shut           # flag: close() was called
    cdef int stopped        # flag: stop() was called, and no run has ended because of it yet
    cdef pid_t running      # the process whose thread is between `begin` and `end`; 0: none
    # The account. Other threads read `done` and `reached` while a run goes on; the rest is copied into the Job of a
    # run and back.
    cdef uint64_t done      # frames delivered by the present or last run
    cdef uint64_t reached   # number of the frame that a relay published last
    cdef Posts posts        # without `sem` and `owner`
    cdef Order order
    cdef Stamps stamps      # of the last frame delivered, or when the reader, its account or a wait began
    cdef bint noted         # `stamps` are those at the beginning of the present wait
    cdef bint awaited       # a wait has ended, and nothing was read since
    cdef uint64_t settled   # number of the frame behind which that wait began
    cdef int64_t arrived    # when the last frame was received, or the account began, CLOCK_TAI
    cdef Pace pace
    cdef Cursor cursor      # position in the ring of the stream; cursor.ring.kind is 0 if it has none
    cdef readonly uint64_t repeated
    cdef readonly uint64_t last
    cdef readonly uint64_t torn
    cdef readonly uint64_t uncertain    # frames that a relay published before their writer was seen to count late; grows
    cdef readonly uint64_t counter_set  # times, as found by a relay; grows while it runs
    cdef readonly int64_t cpu_ns

    # Keep other threads out, and let them in again. `begin` raises StreamBusyError.
    cdef int begin(self) except -1
    cdef void end(self) noexcept
    cdef bint is_running(self) noexcept

    # Between `begin` and `end`. `file` is the file that the caller holds.
    cdef int prepare_wait(self, Wait *w, StreamFile file, uint64_t last, int64_t timeout, int64_t spin) except -1
    cdef int prepare(self, Job *job, StreamFile file, const Terms *terms) except -1
    cdef int deliver(self, Job *job, const Terms *terms) except -1
    # `wait`, for callers that hold the file; takes the turn of this reader itself.
    cdef int await_frame(self, StreamFile file, const Terms *terms) except -1
    # After a wait that was prepared by `prepare_wait`, in whatever thread it ran: keep what was learned. posts: how many
    # were posted by this process to end it.
    cdef void keep_wait(self, Wait *w, int posts) noexcept

    # Copy the frame that the last wait ended with, of a writer that may count late. False: nothing was done.
    cdef bint receive_awaited(self, StreamFile file, char *dst, uint64_t *number, uint64_t *flags) except -1

    # The index of the semaphore of this reader, taking one if it has none; None: none is free.
    cdef object hold_semaphore(self)
    cdef object take_semaphore(self, object preferred)

    cdef int32_t *_owners(self, StreamFile file) noexcept
    cdef void _give_back(self, StreamFile file) noexcept
    cdef sem_t *_bell(self, StreamFile file) except? NULL
    cdef int _claim(self, StreamFile file) except -1
    cdef bint _take(self, StreamFile file, int i, bint take_dead) except -1
    cdef int _fill_wait(self, Wait *w, StreamFile file, int64_t timeout, int64_t spin) except -1
    cdef int _run(self, Wait *w, Job *job) except -1
    cdef int _raise_timeout(self, const Wait *w) except -1
    cdef uint64_t _start(self, Wait *w) noexcept
    cdef void _take_posts(self, Wait *w) noexcept
    cdef void _note_stamps(self, const char *base) noexcept
    cdef void _learn_stamps(self, const Wait *w) noexcept
    cdef void _keep(self, const Wait *w) noexcept
    cdef bint _may_be_late(self, StreamFile file) noexcept
    cdef bint _counts_posts(self, const Wait *w, object wait_on) except -1
    cdef int _take_rows(self, object info, object count, Py_buffer *rows) except -1


# Make a reader of a stream whose memory is there.
cdef Reader make_reader(StreamFile file)
# Check the arguments of a run; `name` is that of the stream.
cdef Terms terms_of(str name, object timeout, object after, object spin_ns, object missed) except *
