"""The compiled core: memory, streams and readers. Mechanism only.

`Mapping` owns memory, `Stream` is one attached stream file, `Reader` waits for its frames. Nothing in
here knows orientation codes, prints, or decides how long to wait.

How a frame is published is stated in protocol/publish.pxd, how it is received in protocol/receive.pxd, and how
rings are read in protocol/ring.pxd.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EFAULT, EINTR, EINVAL, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, INT64_MAX
from libc.string cimport memcpy, memmove, memset, strchr

from ._isio cimport *
from .native.checks cimport (
    bad_argument, closed_error, index_argument, on_gpu_error, take_buffer, count_frames, time_argument, timeout_ns,
)
from .native.checks cimport (
    bad_argument as _bad_argument, closed_error as _closed, count_frames as _count_frames, damaged_error as _damaged,
    index_argument as _index, on_gpu_error as _on_gpu, take_buffer as _take_buffer,
)
from .native.file cimport StreamFile, make_file
from .native.header cimport (
    READY_WAIT_MS, Snapshot, decode_text, frame_shape_of as _frame_shape_of, layout_of, open_file, take_snapshot,
)
from .native.memory cimport KEPT_NBYTES, Block, Mapping, anonymous, map_file, map_pages, take_block
from .native.metadata cimport StreamMetadata
from .protocol.clock cimport *
from .protocol.copying cimport *
from .protocol.cursor cimport *
from .protocol.filestate cimport *
from .protocol.flags cimport *
from .protocol.frame cimport *
from .protocol.guard cimport *
from .protocol.layout cimport *
from .protocol.look cimport *
from .protocol.pace cimport *
from .protocol.pacing cimport *
from .protocol.port cimport *
from .protocol.posts cimport *
from .protocol.process cimport *
from .protocol.publish cimport *
from .protocol.receive cimport *
from .protocol.ring cimport *
from .protocol.semaphore cimport *
from .protocol.turn cimport *
from .protocol.waiting cimport *

import errno as _errno
import math
import operator
import os
import stat as _stat
import threading
import time as _time
from collections import namedtuple

import numpy as np

from .errors import (
    CaptureMemoryError,
    FrameLostError,
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    KeywordTableFullError,
    StreamArgumentError,
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamDamagedError,
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamPermissionError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamStorageError,
    StreamTimeoutError,
    StreamTypeChangedError,
    StreamUnsupportedError,
)
from .native import header as _header_room
from .native import memory as _memory_room
from .native.checks import checked_timeout
from .native.formats import (
    DTYPES,
    FLAG_COUNTER_RESET,
    FLAG_FROM_RING,
    FLAG_NEW_FILE,
    FLAG_REPEATED_POST,
    FLAG_TORN,
    FLAG_VERIFIED,
    FRAME_ROW,
    IMAGETYPES,
    MATH_DATA,
    NELEMENT_MAX,
    SECTION_DTYPES,
    TIMESPEC,
)
from .native.header import build_info, read_header
from .native.memory import ArrayExporter, allocate, free_memory, prefault, turn_copy
from .names import check_name, stream_name, stream_path
from .system.notices import warn_of_tear as _warn_of_tear
from .system.processes import process_alive
from .spellings import FRAME_OPTIONS, positional_too
from .system.temporary import aside_path, mark_busy, mark_idle, remove_abandoned, temporary_path
from .system.locks import check_free, check_stream, lock_stream, lock_writer

__all__ = [
    "FLAG_COUNTER_RESET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "ArrayExporter",
    "Claim",
    "FrameAccess",
    "FrameFeed",
    "Keyword",
    "Mapping",
    "PrivateRing",
    "Reader",
    "RingCursor",
    "Stream",
    "allocate",
    "build_info",
    "checked_timeout",
    "free_memory",
    "prefault",
    "read_header",
    "turn_copy",
    "wait_for_any",
]

# --------------------------------------------------------------------------------------------------
# Constants
# --------------------------------------------------------------------------------------------------

cdef enum:
    # A file that is no stream is being made, by a program that makes it in place, unless it stays like that.
    HALF_MADE_NS = 100_000_000
    # Readers of keywords compare two copies, this often at most.
    KEYWORD_TRIES = 4

# Older names of what is in rooms of its own now. (A class that is cimported does not become a Python name by itself.)
_DTYPES, _MATH_DATA, _NELEMENT_MAX, _SECTION_DTYPES, _TIMESPEC = DTYPES, MATH_DATA, NELEMENT_MAX, SECTION_DTYPES, TIMESPEC
globals().update(
    Block=_memory_room.Block, Mapping=_memory_room.Mapping, Region=_memory_room.Region, _Snapshot=_header_room.Snapshot)

# What is asked of numpy on hot paths, looked up once.
cdef object _ndarray = np.ndarray
cdef object _empty = np.empty
cdef object _asarray = np.asarray
cdef object _copyto = np.copyto

Keyword = namedtuple("Keyword", "name value comment cnt", defaults=("", None), module=__name__)
Keyword.__doc__ = """One keyword of a stream.

Parameters
----------
name : str
    1 to 16 bytes of UTF-8.
value : int, float or str
    Stored as int64 (L), double (D), or up to 16 bytes of text (S).
comment : str, default ""
    Up to 80 bytes.
cnt : int or None
    Times the keyword was written. None when writing: one more than in the stream.
"""




# --------------------------------------------------------------------------------------------------
# Readers
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Reader:
    """One reader of a stream: its own semaphore, and the account of the frames it received.

    Made by `Stream.reader`. Two readers never share a semaphore, be they in two processes, two threads
    or one: a shared one would lose each of them half of the wake-ups. A reader that finds no free
    semaphore, or whose stream is read-only or has none, watches the counter instead.

    The semaphore is taken at the first wait, given back by `close` or when the reader is collected,
    and taken over by others once the process has ended. After a fork the child takes a new one.

    Attributes
    ----------
    name : str
        Of the stream.
    received : int
        Frames delivered by the present or last `receive`; grows while it runs.
    repeated : int
        Semaphore posts since `arm` that were ignored because they announced nothing new.
    last : int
        Counter of the frame delivered last.
    torn : int
        Frames that `relay` left out because they never came out whole.
    cpu_ns : int
        Processor time spent in `receive`, in nanoseconds.
    """

    cdef Mapping mapping
    cdef Header h
    cdef dev_t device
    cdef ino_t file_inode
    cdef bytes path
    cdef readonly str name
    cdef int slot
    cdef int preferred      # semaphore to take if it is free; -1: any
    cdef pid_t pid
    cdef int64_t next_claim
    cdef int shut
    cdef int stopped
    cdef pid_t running      # the process that waits; 0: none
    cdef uint64_t done
    cdef uint64_t owed      # the account of posts, from one receive to the next (see Job)
    cdef uint64_t ahead
    cdef bint silent
    cdef Pace pace
    cdef Cursor cursor      # where it is in the ring of the stream; ring.kind is 0 if there is none
    cdef readonly uint64_t repeated
    cdef readonly uint64_t last
    cdef uint64_t reached   # job.last, for others to see while it runs
    cdef readonly uint64_t torn
    cdef readonly int64_t cpu_ns

    def __init__(self):
        raise TypeError("a Reader is made by Stream.reader()")

    def __dealloc__(self):
        # The class takes no part in garbage collection (no_gc), so the mapping is still there; it
        # cannot be part of a cycle itself.
        if self.mapping is not None:
            self._give_back(self.mapping)

    @property
    def received(self):
        return atomic_load_u64(&self.done, __ATOMIC_ACQUIRE)

    @property
    def progress(self):
        """Number of the frame that a `relay` published last; grows while it runs."""
        return atomic_load_u64(&self.reached, __ATOMIC_RELAXED)

    @property
    def interval_ns(self):
        """Time between frames as learned by waits with ``spin_ns=-2``, in nanoseconds; None: not known yet."""
        return self.pace.interval if self.pace.known >= PACE_KNOWN else None

    @property
    def sem_index(self):
        """Index of the semaphore that this reader holds, or None."""
        return self.slot if self.slot >= 0 and self.pid == own_pid else None

    @property
    def closed(self):
        """Whether the reader or its stream was closed."""
        return self.mapping is None or self.mapping.closed & PYMILK_CLOSED != 0

    cdef Mapping _hold(self):
        """Return the mapping, to be kept for as long as pointers into it are used.

        Any Python code may let another thread close the reader: no method uses self.mapping twice.
        """
        cdef Mapping mapping = self.mapping
        if mapping is None or mapping.closed & PYMILK_CLOSED:
            raise _closed(self.name)
        if mapping.closed:
            raise _damaged(self.name)
        return mapping

    cdef int32_t *_owners(self, Mapping mapping) noexcept:
        return <int32_t *>(mapping.base + self.h.at.sem_read_pid)

    cdef void _give_back(self, Mapping mapping) noexcept:
        """Free the semaphore, if it is still ours and not our parent's."""
        cdef int32_t expected = self.pid
        if self.slot >= 0 and self.pid == own_pid:
            # Only our own entry is cleared: by now it may belong to another process.
            atomic_swap_if_i32(&self._owners(mapping)[self.slot], &expected, -1, False,
                               __ATOMIC_RELEASE, __ATOMIC_RELAXED)
        self.slot = -1

    cdef sem_t *_bell(self, Mapping mapping) except? NULL:
        """Return the semaphore of this reader, taking one if it has none; NULL if none is to be had."""
        cdef int32_t *owners
        if not mapping.writable or self.h.n.sem == 0:
            return NULL
        owners = self._owners(mapping)
        if self.pid != own_pid or (
                self.slot >= 0 and atomic_load_i32(&owners[self.slot], __ATOMIC_RELAXED) != own_pid):
            # A child after fork leaves its parent's alone; a stolen one belongs to the thief.
            self.slot = -1
            self.next_claim = 0
        if self.slot < 0 and clock_ns(CLOCK_MONOTONIC) >= self.next_claim:
            self._claim(mapping)
            self.next_claim = clock_ns(CLOCK_MONOTONIC) + 1_000_000_000
            if self.slot >= 0:
                drain(semaphore(mapping.base, &self.h, self.slot))  # posts for who had it before
        return NULL if self.slot < 0 else semaphore(mapping.base, &self.h, self.slot)

    cdef int _claim(self, Mapping mapping) except -1:
        cdef int i
        self.pid = own_pid
        if 0 <= self.preferred < self.h.n.sem and self._take(mapping, self.preferred, True):
            return 0
        # Entries that say "free" come first. An entry of a process that cannot be seen may belong to
        # one in another PID namespace, so it is taken only if there is no other.
        for take_dead in (False, True):
            for i in range(self.h.n.sem):
                if self._take(mapping, i, take_dead):
                    return 0
        return 0

    cdef bint _take(self, Mapping mapping, int i, bint take_dead) except -1:
        """Take semaphore i if it is free, or its owner dead and that is allowed; never one that is overwritten."""
        cdef int32_t *owners = self._owners(mapping)
        cdef int32_t owner = atomic_load_i32(&owners[i], __ATOMIC_RELAXED)
        if not pymilk_sem_usable(semaphore(mapping.base, &self.h, i)):
            return False
        if owner > 0 and (not take_dead or process_alive(owner)):
            return False
        # Acquire: pairs with the release in _give_back. Of all that try, one succeeds.
        if atomic_swap_if_i32(&owners[i], &owner, own_pid, False, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED):
            self.slot = i
            return True
        return False

    cdef int _begin(self) except -1:
        """Keep a second thread out of this reader."""
        if self.running == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: this reader is waiting in another thread; "
                "give each thread a reader of its own", stream=self.name)
        self.running = own_pid
        return 0

    cdef int _prepare_wait(self, Wait *w, Mapping mapping, int64_t timeout, object spin_ns) except -1:
        """Set every field of a wait but the counter to wait behind."""
        if spin_ns < LEARNED:
            raise _bad_argument(
                self.name, "spin_ns", spin_ns, "nanoseconds, -1 to spin for ever, or -2 to learn")
        memset(w, 0, sizeof(Wait))
        w.spin.ns = min(spin_ns, INT64_MAX)
        if w.spin.ns == LEARNED:
            w.spin.ns = 0
            # With one core a reader that spins keeps the writer from it.
            if pymilk_may_spin():
                w.spin.pace = &self.pace
        w.timeout = timeout
        w.check_signals = threading.current_thread() is threading.main_thread()
        w.source = Source(base=mapping.base, h=&self.h, path=self.path, device=self.device,
                          inode=self.file_inode, closed=&mapping.closed)
        w.shut = &self.shut
        w.stop = &self.stopped
        w.posts.sem = self._bell(mapping)
        if w.posts.sem != NULL:
            w.posts.owner = &self._owners(mapping)[self.slot]
        return 0

    cdef int _prepare(self, Job *job, Mapping mapping, int64_t timeout, object spin_ns) except -1:
        """Set every field of a run but where its frames go."""
        cdef Look seen
        memset(job, 0, sizeof(Job))
        look(<IMAGE_METADATA *>mapping.base, &seen)
        self._prepare_wait(&job.wait, mapping, timeout, spin_ns)
        job.stamps.access = seen.lastaccess
        job.stamps.write = seen.writetime
        job.patience = Patience(closed=&mapping.closed, stop=&self.stopped, grace=WRITE_GRACE_NS)
        job.done = &self.done
        return 0

    cdef int _run(self, Wait *w, Job *job) except -1:
        """Run a wait, or the loop of a job, to its end, looking at signals between its runs.

        job: the one that the wait belongs to; NULL: wait only. The caller holds the mapping.
        """
        cdef int event = EV_CHECK
        try:
            while event == EV_CHECK:
                with nogil:
                    event = wait_for_frame(w) if job == NULL else run_receive(job)
                if event == EV_CHECK:
                    PyErr_CheckSignals()
        finally:
            restore_slack(&w.slack)
        if event == EV_CLOSED:
            raise _closed(self.name)
        if event == EV_DAMAGED:
            raise _damaged(self.name)
        if event == EV_REPLACED:
            raise StreamReplacedError(
                f"stream {self.name!r} was replaced by a new file; attach it again",
                stream=self.name, field="inode", expected=self.file_inode, found=None)
        if event == EV_TIMEOUT:
            self._raise_timeout(w)
        if event == EV_STOPPED:
            # A stop ends one receive, be it called before or during it.
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
        return event

    cdef int _raise_timeout(self, const Wait *w) except -1:
        cdef const Source *source = &w.source
        cdef IMAGE_METADATA *md = <IMAGE_METADATA *>source.base
        seconds = w.timeout / 1e9
        counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        written = stamp_ns(&md.writetime)
        if file_state(source.path, source.device, source.inode, source.h.at.total) == FILE_GONE:
            why = "its file was deleted"
        elif written:
            age = (clock_ns(CLOCK_TAI) - written) / 1e9
            why = f"last written {age:.3g} s ago; is its writer running?"
        else:
            why = "its writer stores no times; is it running?"
        raise StreamTimeoutError(
            f"stream {self.name!r}: no frame after number {w.last} within {seconds:g} s; "
            f"its counter is {counter}, {why}",
            stream=self.name, timeout=seconds, counter=counter)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame, without the GIL and without copying anything.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.
        after : int, optional
            Wait until the counter differs from this one. Default: the counter at the call, so that
            the next frame to be published ends the wait.
        spin_ns : int, default 0
            Nanoseconds to watch the counter before sleeping on the semaphore; -1 never sleeps; -2 sleeps
            until the frame is due, as this reader has learned the rhythm of the stream, and spins then.

        Returns
        -------
        int
            The counter of the newest frame. After `stop` it may not have moved.

        Raises
        ------
        StreamTimeoutError
            No new frame in time.
        StreamReplacedError
            The stream has a new file (found within 50 ms).
        StreamClosedError
            Closed before or during the wait.
        """
        cdef Wait w
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef IMAGE_METADATA *md = <IMAGE_METADATA *>mapping.base
        cdef uint64_t last = (
            atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE) if after is None
            else <uint64_t>_index(self.name, "after", after, 2**64))
        self._begin()
        try:
            self._prepare_wait(&w, mapping, limit, spin_ns)
            w.last = last
            # What was posted before belongs to frames that are not waited for.
            w.posts.owed = 1
            w.posts.silent = self.silent
            if w.posts.sem != NULL and drain(w.posts.sem) > 0:
                w.posts.silent = False
            try:
                self._run(&w, NULL)
            finally:
                self.silent = w.posts.silent
        finally:
            self.running = 0
        counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        if damaged(mapping.base, &self.h, &mapping.closed):
            raise _damaged(self.name)
        return counter

    def arm(self):
        """Begin a new account: forget old posts and an old `stop`, and set `received` to 0.

        Returns
        -------
        int
            The counter now, to be given to `receive` as `after`.
        """
        cdef Mapping mapping = self._hold()
        cdef uint64_t counter
        self._begin()
        try:
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
            counter = self._start(mapping, self._bell(mapping))
        finally:
            self.running = 0
        return counter

    cdef uint64_t _start(self, Mapping mapping, sem_t *sem) noexcept:
        self.done = 0
        self.repeated = 0
        self.owed = 1  # the post of the newest frame may still be on its way
        self.ahead = 0
        # Old posts first, then the counter: a post that comes between is one of a frame that is not
        # waited for, and the account allows for one.
        if sem != NULL:
            drain(sem)
        if self.cursor.ring.kind:
            ring_anchor(&self.cursor.ring)
            cursor_begin(&self.cursor, self.cursor.ring.head + 1)
            return self.cursor.last
        return atomic_load_u64(&(<IMAGE_METADATA *>mapping.base).cnt0, __ATOMIC_ACQUIRE)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there: its counter, or None. Never waits."""
        cdef uint64_t number = _index(self.name, "after", after, 2**64)
        cdef Mapping mapping = self._hold()
        cdef uint64_t counter = atomic_load_u64(
            &(<IMAGE_METADATA *>mapping.base).cnt0, __ATOMIC_ACQUIRE)
        if damaged(mapping.base, &self.h, &mapping.closed):
            raise _damaged(self.name)
        return None if counter == number else counter

    def flush(self):
        """Take all posts off the semaphore of this reader. Returns how many there were."""
        cdef Mapping mapping = self._hold()
        cdef sem_t *sem
        self._begin()
        try:
            sem = self._bell(mapping)
            return 0 if sem == NULL else drain(sem)
        finally:
            self.running = 0

    def receive(self, out, info=None, *, timeout=5.0, after=None, first=0, spin_ns=0, missed=None):
        """Receive the next frames into memory of the caller: wait, copy, verify and account.

        One block without the GIL: no Python, no allocation. Each frame is delivered once, in order and
        whole; one that never came out whole is flagged. From a stream with a ring of 2 slots or more,
        frames are taken out of the ring, so that none is lost for as long as the ring lasts.

        Parameters
        ----------
        out : buffer, shape (n, *frame_shape), stream dtype, C-contiguous, writable
            Must not overlap the stream.
        info : ndarray of FRAME_ROW, shape (n,) or longer, optional
            One row a frame.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds.
        after : int, optional
            Deliver frames newer than this number, going on with the account that `arm` began. Default:
            `arm` now, so that the first frame is the next one published.
        first : int, default 0
            Start at this row of `out` and `info`.
        spin_ns : int, default 0
            As for `wait`.
        missed : int, optional
            The stream replaced another one, of which so many frames were not received: they count as
            lost before the first frame delivered, which gets `FLAG_NEW_FILE`.

        Returns
        -------
        int
            Rows of `out` that are filled. Less than n only after `stop`, which lasts until `arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError
            As for `wait`. What was received until then is in `out`; `received` tells how many rows.
        FrameMismatchError
            `out` or `info` do not fit.

        Notes
        -----
        In the main thread the GIL is taken every 50 ms to look at signals. In other threads it is
        never taken.
        """
        cdef Job job
        cdef Py_buffer frames, rows
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        _take_buffer(out, &frames, True, self.name, "out")
        try:
            count = _count_frames(out, &frames, &self.h, _frame_shape_of(&self.h), self.name, "out")
            row = _index(self.name, "first", first, count + 1)
            if info is not None:
                self._take_rows(info, count, &rows)
            try:
                self._begin()
                try:
                    self._prepare(&job, mapping, limit, spin_ns)
                    job.dest.frames = <char *>frames.buf
                    job.dest.rows = <Row *>rows.buf if info is not None else NULL
                    job.wanted = job.dest.slots = count
                    job.dest.streaming = streams(self.h.unit_nbytes, frames.len)
                    job.delivered = row
                    self.done = row
                    self._deliver(&job, mapping, after is not None, last, missed)
                finally:
                    self.running = 0
            finally:
                if info is not None:
                    PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&frames)
        return job.delivered

    cdef int _deliver(self, Job *job, Mapping mapping, bint going_on, uint64_t after,
                      object missed) except -1:
        """Run a job that has its destination, with the account of the receives before it."""
        cdef int64_t began
        job.dest.nbytes = self.h.unit_nbytes
        if missed is not None:
            job.account.new_file = True
            job.account.missed = _index(self.name, "missed", missed, 2**64)
        if not going_on:
            after = self._start(mapping, job.wait.posts.sem)
        elif self.cursor.ring.kind and (self.cursor.ring.edge == 0 or self.cursor.last != after):
            # Not where the last receive ended: find the frame behind that number.
            ring_anchor(&self.cursor.ring)
            cursor_seek(&self.cursor, after)
        if self.cursor.ring.kind and job.target.base == NULL:
            job.cursor = &self.cursor
            job.wait.spin.pace = NULL  # a ring loses nothing while its reader wakes up
            self.cursor.new_file = job.account.new_file
            self.cursor.missed = job.account.missed
        job.wait.last = after
        job.wait.posts.owed = self.owed
        job.wait.posts.ahead = self.ahead
        job.wait.posts.silent = self.silent
        self.last = after
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        try:
            self._run(&job.wait, job)
        finally:
            self.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began
            self.repeated += job.wait.posts.repeated
            self.torn += job.target.torn
            self.owed = job.wait.posts.owed
            self.ahead = job.wait.posts.ahead
            self.silent = job.wait.posts.silent
            self.last = self.cursor.last if job.cursor != NULL else job.wait.last
        return 0

    def collect(self, PrivateRing ring not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Receive frames into a ring of this process until `stop`, as `receive` does into a cube.

        Parameters
        ----------
        ring : PrivateRing
            Of the stream's frame shape and dtype. One collector at a time.
        after, timeout, spin_ns, missed
            As for `receive`.

        Returns
        -------
        int
            Frames in the ring so far, those of earlier calls included.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, FrameMismatchError
            As for `receive`.
        """
        cdef Job job
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        if ring.slots.shape[1:] != _frame_shape_of(&self.h) or ring.slots.dtype != _DTYPES[self.h.datatype]:
            raise FrameMismatchError(
                f"stream {self.name!r}: the ring is for frames {ring.slots.shape[1:]} of {ring.slots.dtype}",
                stream=self.name, field="shape", expected=_frame_shape_of(&self.h),
                found=ring.slots.shape[1:])
        self._begin()
        try:
            self._prepare(&job, mapping, limit, spin_ns)
            job.dest.frames = ring.start
            job.dest.streaming = self.h.unit_nbytes >= STREAMING_NBYTES
            job.dest.rows = ring.rows
            job.ring.totals = ring.totals
            job.ring.total = ring.total
            job.dest.slots = ring.count
            job.ring.bell = &ring.bell
            job.ring.bell_fd = &ring.fd
            job.wanted = <uint64_t>-1
            job.delivered = ring.written
            job.done = &ring.written
            try:
                self._deliver(&job, mapping, after is not None, last, missed)
            finally:
                ring.total = job.ring.total
        finally:
            self.running = 0
        return job.delivered

    def relay(self, Stream target not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Publish the frames of this stream in another one until `stop`, without the GIL.

        Each keeps its acquisition time. The first frame of a target without frames gets the number that it
        has in this stream, if `after` is given. Frames that were lost or torn leave a gap in the numbers of the
        target, so that its readers count them as lost.

        Parameters
        ----------
        target : Stream
            Of the same frame shape and dtype; nobody else may write to it.
        after, timeout, spin_ns, missed
            As for `receive`.

        Returns
        -------
        int
            Frames published by all calls of this reader since `arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, StreamReadOnlyError, StreamBusyError
        FrameMismatchError
            The frames of the two streams differ.
        StreamFormatError
            This stream is a temporal circular cube, or its pixels are on a GPU.
        """
        cdef Job job
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        # Kept, so that closing the target meanwhile cannot take its memory away.
        cdef StreamFile into = target.file
        cdef char *base = into.use_to_write()
        into.need_pixels()
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        if self.h.temporal:
            raise StreamFormatError(
                f"stream {self.name!r} is a ring already (temporal circular cube); read it directly",
                stream=self.name, field="imagetype", expected="a plain stream", found="temporal cube")
        for field, expected, found in (
            ("shape", _frame_shape_of(&self.h), target.frame_shape),
            ("dtype", _DTYPES[self.h.datatype], target.dtype),
        ):
            if expected != found:
                raise FrameMismatchError(
                    f"stream {target.name!r} has {field} {found}, but {self.name!r} has {expected}",
                    stream=target.name, field=field, expected=expected, found=found)
        self._begin()
        try:
            target._take_turn()
            try:
                self._prepare(&job, mapping, limit, spin_ns)
                job.target.base = base
                job.target.h = &into.h
                job.target.closed = &into.mapping.closed
                job.wanted = <uint64_t>-1
                if after is None:
                    self.done = 0
                elif target.counter == 0:
                    job.target.jump = last
                job.delivered = self.done
                job.target.reached = &self.reached
                self._deliver(&job, mapping, after is not None, last, missed)
            except StreamDamagedError:
                into.check_whole()  # says whose file it is
                raise
            finally:
                target.busy = 0
        finally:
            self.running = 0
        return job.delivered

    cdef int _take_rows(self, object info, object count, Py_buffer *rows) except -1:
        if getattr(info, "dtype", None) != FRAME_ROW or info.ndim != 1 or info.shape[0] < count:
            raise FrameMismatchError(
                f"stream {self.name!r}: info needs {count} rows of FRAME_ROW, "
                f"not {getattr(info, 'shape', None)} of {getattr(info, 'dtype', type(info))}",
                stream=self.name, field="shape", expected=count, found=getattr(info, "shape", None))
        return _take_buffer(info, rows, True, self.name, "info")

    def stop(self):
        """End a `receive`, `collect`, `relay` or `wait` of another thread, within 50 ms.

        It returns what it has. A stop that comes before it ends it at once. `arm` forgets it.
        """
        raise_flag(&self.stopped, 1)

    def close(self):
        """Give the semaphore back. A wait in another thread ends with `StreamClosedError`."""
        cdef Mapping mapping = self.mapping
        raise_flag(&self.shut, 1)
        self.mapping = None
        if mapping is not None:
            self._give_back(mapping)




# --------------------------------------------------------------------------------------------------
# Rings
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class PrivateRing:
    """A ring in memory of this process, filled by `Reader.collect`.

    Parameters
    ----------
    depth : int
        Frames that can be had at any time, 1 or more. One slot more is made: that being filled.
    shape : tuple of int
        Of a frame.
    dtype : dtype

    Attributes
    ----------
    slots : ndarray, shape (depth + 1, *shape)
        Page-aligned and pre-faulted; read-only.
    fd : int
        An eventfd to be written to for each frame, or -1. It must stay open while the ring is filled.

    Raises
    ------
    StreamArgumentError
        The depth, the shape or the dtype cannot be.
    CaptureMemoryError
        The frames need more memory than is free.
    """

    cdef readonly object slots
    cdef Mapping _frames
    cdef Mapping _rows
    cdef Mapping _totals
    cdef char *start
    cdef Row *rows
    cdef Total *totals
    cdef Total total
    cdef uint64_t count
    cdef uint64_t nbytes
    cdef uint64_t written
    cdef sem_t bell
    cdef public int fd
    cdef int over

    def __cinit__(self, depth, shape, dtype):
        sem_init(&self.bell, 0, 0)
        self.fd = -1
        if not (hasattr(depth, "__index__") and 1 <= depth < 2**62):
            raise StreamArgumentError(
                f"depth is a number of frames, 1 or more, not {depth!r}", argument="depth", found=depth)
        kind = np.dtype(dtype)
        nbytes = max(math.prod(shape) * kind.itemsize, 1)
        count = depth.__index__() + 1
        what = f"a ring of {depth} frames {tuple(shape)} of {kind}"
        advice = "take a smaller depth"
        self._frames = anonymous(count * nbytes, what, advice)
        self._rows = anonymous(count * sizeof(Row), what, advice)
        self._totals = anonymous(count * sizeof(Total), what, advice)
        self.count = count
        self.nbytes = nbytes
        self.start = self._frames.base
        self.rows = <Row *>self._rows.base
        self.totals = <Total *>self._totals.base
        # Not even numpy can make views of a read-only region writable.
        self.slots = _ndarray(
            (count, *shape), kind, self._frames.region(0, count * nbytes, False))

    @property
    def written(self):
        """Frames that were put into the ring so far."""
        return atomic_load_u64(&self.written, __ATOMIC_ACQUIRE)

    def cursor(self, name=""):
        """Make a `RingCursor` of this ring."""
        cdef RingCursor cursor = RingCursor.__new__(RingCursor)
        cdef Ring *r = &cursor.c.ring
        r.kind = RING_PRIVATE
        r.depth = self.count
        r.nbytes = self.nbytes
        r.slots = self.start
        r.written = &self.written
        r.rows = self.rows
        r.totals = self.totals
        cursor._dress(self, self.slots, name, "collector")
        return cursor

    def wait(self, seen, timeout=None):
        """Wait, without the GIL, until more than `seen` frames were written.

        Returns
        -------
        bool
            False if they did not come in time, or the ring was ended.
        """
        cdef uint64_t number = seen
        cdef int64_t limit = timeout_ns(timeout, "")
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t deadline = later(now, limit)
        while True:
            if atomic_load_u64(&self.written, __ATOMIC_ACQUIRE) > number:
                return True
            if self.over or now >= deadline:
                return False
            with nogil:
                pymilk_sem_wait_until(&self.bell, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            PyErr_CheckSignals()

    def nudge(self):
        """End a wait early; it looks again."""
        sem_post(&self.bell)

    def end(self):
        """Say that no frame comes any more: waits return, and the eventfd is readable."""
        cdef uint64_t one = 1
        raise_flag(&self.over, 1)  # behind `written`, by the post
        sem_post(&self.bell)
        if self.fd >= 0:
            c_write(self.fd, &one, 8)


cdef uint64_t _nothing_written = 0


@cython.final
@cython.auto_pickle(False)
cdef class RingCursor:
    """Where one reader is in a ring: takes frames in order, in place or as copies, and keeps account.

    Made by `Stream.ring_cursor` and `PrivateRing.cursor`. Never waits. It numbers the frames of the
    ring itself (`seq`); their own numbers are in the rows. `protocol/ring.pxd` states the protocol. Not for use
    by two threads at once, except for `overwritten`.

    Attributes
    ----------
    name : str
        Of the stream.
    source : {"temporal", "fast", "collector"}
    slots : ndarray, shape (depth, *shape)
        The ring as a read-only view.
    """

    cdef Cursor c
    cdef object keeper
    cdef Mapping mapping    # of the stream; None: the ring is memory of this process
    cdef Header h
    cdef readonly object slots
    cdef readonly str name
    cdef readonly str source

    def __cinit__(self):
        # An object that was made by no one reads an empty ring.
        self.c.ring.kind = RING_PRIVATE
        self.c.ring.depth = self.c.ring.nbytes = 1
        self.c.ring.written = &_nothing_written

    def __init__(self):
        raise TypeError("a RingCursor is made by Stream.ring_cursor or PrivateRing.cursor")

    cdef int _dress(self, object keeper, object slots, str name, str source) except -1:
        self.keeper = keeper
        self.slots = slots
        self.name = name
        self.source = source
        ring_anchor(&self.c.ring)
        cursor_begin(&self.c, self.c.ring.head + 1)
        return 0

    cdef bint _gone(self) noexcept:
        """Tell whether the memory holds frames no more: its file was cut, or its header rewritten."""
        return self.mapping is not None and damaged(self.mapping.base, &self.h, &self.mapping.closed)

    def begin(self, start):
        """Go to "next" (the next frame to come), "newest" or "oldest" of what is there, and count anew."""
        ring_look(&self.c.ring)
        head = self.c.ring.head
        oldest = ring_oldest(&self.c.ring)
        seq = {"next": head + 1, "newest": max(oldest, head), "oldest": oldest}[start]
        cursor_begin(&self.c, min(seq, head + 1))
        self.c.received = self.c.lost = self.c.skipped = 0

    def after_file(self, missed):
        """Say that the ring belongs to a new file of the stream, all of whose frames are wanted.

        `missed` frames of the old one were not received: they are lost before the first of this one.
        """
        if self.c.ring.kind == RING_PRIVATE:
            raise StreamUnsupportedError(
                f"stream {self.name!r}: a private ring goes on from file to file by itself", stream=self.name)
        cursor_seek(&self.c, 0)
        self.c.new_file = True
        self.c.missed = missed

    @property
    def capacity(self):
        """Frames that can be had at most: all slots but the one that may be changing."""
        return self.c.ring.depth - 1

    @property
    def received(self):
        """Frames taken or copied, each counted once."""
        return self.c.received

    @property
    def lost(self):
        """Frames published since the begin that could not be had."""
        return self.c.lost

    @property
    def skipped(self):
        """Frames left out on request."""
        return self.c.skipped

    @property
    def last(self):
        """Number of the frame before the next one (of shared rings)."""
        return self.c.last

    @property
    def counter(self):
        """Counter of the stream at the last look; of a private ring, the frames written."""
        return self.c.ring.head if self.c.ring.kind == RING_PRIVATE else self.c.ring.counter

    @property
    def missing(self):
        """Frames that the stream published behind the last one taken, as its counter tells; 0 if it is damaged."""
        cdef uint64_t counter
        if self.c.ring.kind == RING_PRIVATE:
            return self.c.ring.head - self.c.seen
        if self._gone():
            return 0
        counter = atomic_load_u64(&self.c.ring.md.cnt0, __ATOMIC_ACQUIRE)
        return counter - self.c.last if counter > self.c.last else 0

    def unread(self):
        """Look at the writer; returns how many frames are there to be taken. None of a damaged stream."""
        cdef uint64_t oldest
        ring_look(&self.c.ring)
        if self._gone():
            return 0
        oldest = max(self.c.next, ring_oldest(&self.c.ring))
        return self.c.ring.head + 1 - oldest if self.c.ring.head >= oldest else 0

    def idle(self):
        """Look at the writer; returns the counter to wait behind, or None if there are unread frames.

        In one step: a counter of another look would let a frame pass that came between.
        """
        ring_look(&self.c.ring)
        return None if cursor_unread(&self.c) and not self._gone() else self.counter

    def take(self, limit, *, consume=True, newest=False, strict=False):
        """Take the next run of frames that lie side by side, in place.

        Parameters
        ----------
        limit : int
            Frames wanted at most, 1 or more.
        consume : bool, default True
            False leaves the cursor where it is.
        newest : bool, default False
            Skip all but the newest one.
        strict : bool, default False
            Raise in front of a frame that follows lost ones; the next call goes on with it.

        Returns
        -------
        (int, int, ndarray of FRAME_ROW) or None
            seq, slot and rows of the first frame and those that follow it; None if there is none, or none any
            more because the stream was damaged.

        Raises
        ------
        FrameLostError
            Only if strict.
        """
        cdef Cursor *c = &self.c
        cdef Ring *r = &c.ring
        cdef uint64_t count, losing, seq, slot, wanted = limit
        cdef Py_buffer view
        cdef Row *rows
        cdef int64_t arrival
        cdef int tries = 0
        while True:
            ring_look(r)
            if newest and cursor_unread(c) > 1:
                cursor_skip_to(c, r.head)
            c.next = max(c.next, ring_oldest(r))
            if tries > SPOILED_TRIES and cursor_unread(c) > 1:
                c.next = r.head  # rows take longer to fill than the ring lasts
            count = min(cursor_unread(c), wanted)
            if count == 0:
                return None
            seq = c.next
            slot = ring_slot(r, seq)
            count = min(count, r.depth - slot)
            info = _empty(count, FRAME_ROW)
            PyObject_GetBuffer(info, &view, PyBUF_C_CONTIGUOUS)
            rows = <Row *>view.buf
            arrival = clock_ns(CLOCK_TAI)
            losing = cursor_rows(c, count, rows, 0, arrival)
            if strict and losing > 1:
                count = losing - 1
                cursor_rows(c, count, rows, 0, arrival)
            tries += 1
            if ring_whole(r, seq) or tries > 4 * SPOILED_TRIES:
                break  # the rows are those of these frames
            PyBuffer_Release(&view)
        try:
            if self._gone():
                return None
            if strict and losing == 1:
                c.excused = seq
                raise self._lost(rows)
            if strict and losing:
                info = info[:count]
            if consume:
                cursor_pass(c, count, rows)
        finally:
            PyBuffer_Release(&view)
        return seq, slot, info

    def copy(self, out, info, first, *, strict=False):
        """Copy unread frames into memory of the caller, each verified to be whole.

        Parameters
        ----------
        out : ndarray, shape (n, *shape), dtype of the ring, C-contiguous, writable
        info : ndarray of FRAME_ROW, shape (n,)
        first : int
            Row to begin at.
        strict : bool, default False
            As for `take`; frames in front of the lost ones are delivered first.

        Returns
        -------
        int
            Rows that are filled now: `first`, and as many as there were and found room.

        Notes
        -----
        512 KiB and more are copied without the GIL.
        """
        cdef Cursor c = self.c
        cdef Py_buffer frames, rows
        cdef uint64_t room, at = first, got
        cdef bint losing = False, hold = strict
        cdef bint streaming
        _take_buffer(out, &frames, True, self.name, "out")
        try:
            _take_buffer(info, &rows, True, self.name, "info")
            try:
                room = min(frames.len // c.ring.nbytes, rows.len // sizeof(Row))
                room = room - at if room > at else 0
                streaming = streams(c.ring.nbytes, frames.len)
                ring_look(&c.ring)
                if min(room, cursor_unread(&c)) * c.ring.nbytes < GIL_RELEASE_NBYTES:
                    got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes, <Row *>rows.buf + at,
                                      room, streaming, hold, &losing)
                else:
                    with nogil:
                        got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes,
                                          <Row *>rows.buf + at, room, streaming, hold, &losing)
                if self._gone():
                    return at
                self.c = c
                if losing and got == 0:
                    raise self._lost(<Row *>rows.buf + at)
                if losing:
                    self.c.excused = 0  # raised by the next call
            finally:
                PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&frames)
        return at + got

    cdef object _lost(self, const Row *row):
        number, lost = row.cnt0, row.lost
        newest = self.c.ring.counter
        if self.c.ring.kind == RING_PRIVATE:
            newest = self.c.ring.rows[ring_slot(&self.c.ring, self.c.ring.head)].cnt0
        return FrameLostError(
            f"stream {self.name!r}: frame {number - lost} was lost before it was read (the ring keeps "
            f"{self.c.ring.depth - 1} frames, oldest kept {number}, newest {newest}, {lost} lost); "
            "read faster, or take a deeper ring",
            stream=self.name, seq=number - lost, oldest=number, newest=newest, lost=lost)

    def skip(self, count):
        """Leave out unread frames; returns how many there were to leave out."""
        cdef uint64_t seq, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        self.c.next = max(self.c.next, ring_oldest(&self.c.ring))
        seq = min(self.c.next + wanted, self.c.ring.head + 1)
        done = seq - self.c.next if seq > self.c.next else 0
        cursor_skip_to(&self.c, seq)
        return done

    def rewind(self, count):
        """Go back to frames that are still whole; returns by how many. They are not counted again."""
        cdef uint64_t oldest, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        oldest = ring_oldest(&self.c.ring)
        if oldest >= self.c.next:
            return 0
        done = min(self.c.next - oldest, wanted)
        cursor_go(&self.c, self.c.next - done)
        return done

    def overwritten(self, seq, count):
        """Tell how many of these frames, from the first on, may have been overwritten by now."""
        cdef Ring now = self.c.ring
        cdef uint64_t first = seq, oldest
        # Everything that was read before is read. Pairs with the fence of the writer (protocol/ring.pxd).
        atomic_fence(__ATOMIC_ACQUIRE)
        ring_look(&now)
        oldest = ring_oldest(&now)
        if self._gone():
            return count
        return min(oldest - first, <uint64_t>count) if oldest > first else 0

    def fork(self):
        """Make a second cursor at the same place, with an account of its own."""
        cdef RingCursor other = RingCursor.__new__(RingCursor)
        other.c.ring = self.c.ring
        other.keeper = self.keeper
        other.mapping = self.mapping
        other.h = self.h
        other.slots = self.slots
        other.name = self.name
        other.source = self.source
        cursor_begin(&other.c, self.c.next)
        return other


# --------------------------------------------------------------------------------------------------
# Waiting for any of several
# --------------------------------------------------------------------------------------------------

# What one thread of `wait_for_any` watches: a stream (wait), or a private ring (written).
cdef struct Watch:
    Wait wait
    uint64_t *written
    uint64_t seen
    sem_t *bell
    const int *over
    const int *stop
    sem_t *common           # posted at the end
    int event


cdef void *watch(void *argument) noexcept nogil:
    cdef Watch *w = <Watch *>argument
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t deadline
    w.event = EV_CHECK
    if w.written == NULL:
        while w.event == EV_CHECK:
            w.event = wait_for_frame(&w.wait)
    else:
        deadline = later(now, w.wait.timeout)
        while atomic_load_u64(w.written, __ATOMIC_ACQUIRE) <= w.seen and not atomic_load_int(w.over):
            if atomic_load_int(w.stop) or now >= deadline:
                w.event = EV_STOPPED
                break
            pymilk_sem_wait_until(w.bell, min(deadline, later(now, SLICE_NS)))
            now = clock_ns(CLOCK_MONOTONIC)
    sem_post(w.common)
    return NULL


cdef bint is_ready(const Watch *w) noexcept nogil:
    if w.written == NULL:
        return has_moved(&w.wait)
    return atomic_load_u64(w.written, __ATOMIC_ACQUIRE) > w.seen or atomic_load_int(w.over)


def wait_for_any(sources, timeout=None):
    """Wait until one of several readers or private ring has something new.

    Parameters
    ----------
    sources : list of (Reader, int) or (PrivateRing, int)
        With the counter of the last frame known, or the number of frames written. Each reader only once.
    timeout : float or None, default None
        Seconds; None waits for ever, 0 only looks.

    Returns
    -------
    list of int
        Indices of those that have something new or were replaced; empty after the timeout.

    Raises
    ------
    StreamClosedError
        One of them was closed.

    Notes
    -----
    Each source is waited for by a thread of the operating system that lives for this call and never
    needs the GIL, on the semaphore of its reader; about 20 us a source where nothing is ready yet.
    """
    cdef size_t count = len(sources), i, started = 0
    cdef int64_t limit = timeout_ns(timeout, "")
    cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), limit)
    cdef int64_t now
    cdef bint found = False
    cdef Reader reader
    cdef PrivateRing ring
    cdef Mapping mapping
    cdef pthread_t *threads
    cdef Watch *watches
    cdef Watch *w
    cdef sem_t *common
    cdef int *stop
    held = []
    begun = []
    # Nothing of it is on this stack: at the exit of the interpreter a daemon thread ends within this call, and
    # those that it started go on for a moment.
    memory = bytearray(sizeof(sem_t) + sizeof(int64_t) + (sizeof(Watch) + sizeof(pthread_t)) * count)
    common = <sem_t *><char *>memory
    stop = <int *>(common + 1)
    watches = <Watch *>(<char *>stop + sizeof(int64_t))
    threads = <pthread_t *>(watches + count)
    sem_init(common, 0, 0)
    try:
        for i in range(count):
            source, number = sources[i]
            w = &watches[i]
            w.stop = stop
            w.common = common
            w.wait.timeout = limit
            if isinstance(source, PrivateRing):
                ring = source
                w.written = &ring.written
                w.seen = number
                w.bell = &ring.bell
                w.over = &ring.over
                continue
            reader = source
            mapping = reader._hold()
            held.append(mapping)
            reader._begin()
            begun.append(reader)
            reader._prepare_wait(&w.wait, mapping, limit, 0)
            w.wait.check_signals = False
            w.wait.stop = stop
            w.wait.last = number
            w.wait.posts.owed = 1
            w.wait.posts.silent = reader.silent
            if w.wait.posts.sem != NULL and drain(w.wait.posts.sem) > 0:
                w.wait.posts.silent = False
        # A frame is rarely far away: look a little before threads are started.
        with nogil:
            now = clock_ns(CLOCK_MONOTONIC)
            while not found:
                for i in range(count):
                    found = found or is_ready(&watches[i])
                pymilk_pause()
                if clock_ns(CLOCK_MONOTONIC) > min(now + EARLY_POST_SPIN_NS, deadline):
                    break
        if not found and limit != 0:
            try:
                for i in range(count):
                    if pthread_create(&threads[i], NULL, watch, &watches[i]) != 0:
                        raise StreamError("no thread can be started to wait for several streams")
                    started += 1
                while not found and now < deadline:
                    with nogil:
                        found = pymilk_sem_wait_until(common, min(deadline, later(now, SLICE_NS))) == 0
                        now = clock_ns(CLOCK_MONOTONIC)
                    PyErr_CheckSignals()
            finally:
                with nogil:
                    raise_flag(stop, 1)
                    for i in range(started):
                        # Ours to post: nobody else waits for it.
                        if watches[i].written != NULL:
                            sem_post(watches[i].bell)
                        elif watches[i].wait.posts.sem != NULL:
                            sem_post(watches[i].wait.posts.sem)
                    for i in range(started):
                        pthread_join(threads[i], NULL)
        for i in range(started):
            if watches[i].event == EV_CLOSED:
                raise _closed((<Reader>sources[i][0]).name)
        return [index for index in range(count)
                if is_ready(&watches[index])
                or (started and watches[index].event in (EV_REPLACED, EV_DAMAGED))]
    finally:
        for source in begun:
            reader = source
            reader.running = False


# --------------------------------------------------------------------------------------------------
# Streams
# --------------------------------------------------------------------------------------------------

cdef sem_t *semaphore_of(StreamFile file, char *base, object index) except NULL:
    return semaphore(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))


cdef uint64_t publish_turned(char *base, const Header *h, pymilk_turn *turn, bint has_atime, int64_t atime_ns,
                              int64_t slice) noexcept nogil:
    open_frame(base)
    pymilk_turn_copy(turn)
    return close_frame(base, h, has_atime, atime_ns, slice)


cdef uint64_t publish_bytes(char *base, const Header *h, char *target, const char *source, uint64_t nbytes,
                             bint has_atime, int64_t atime_ns, int64_t slice) noexcept nogil:
    open_frame(base)
    if slice >= 0 and (source + nbytes <= target or target + nbytes <= source):
        fill_slot(target, source, nbytes)
    else:
        memmove(target, source, nbytes)  # the frame may be a view of this very stream
    return close_frame(base, h, has_atime, atime_ns, slice)


@cython.final
@cython.auto_pickle(False)
cdef class Stream(StreamMetadata):
    """One attached stream file: frames, counters, keywords, semaphores, ring slots.

    Made by `Stream.create` or `Stream.attach`; a context manager that closes. Shapes are in C order,
    slowest axis first: ``shape == size[::-1]``, where ``size`` is the order of the file.

    Views keep the memory alive: they stay valid after `close`, and after the stream was deleted.

    Attributes
    ----------
    name, path : str
        Of the file.
    shape : tuple of int
        Of the pixels in the file.
    frame_shape : tuple of int
        Of one frame: `shape`, or that of a slice where the stream is a temporal circular cube.
    dtype : numpy.dtype
    nbytes : int
        Bytes of the pixels in the file.
    writable : bool
        False if attached read-only. Then waiting watches the counter, since semaphores cannot be
        touched.
    note : str
        Why it is read-only, or empty.
    frame_counter : int
        Counter of the frame that `copy_frame` or `read` copied last.
    frame_flags : int
        Its flags: `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame.
    """

    cdef pid_t busy         # the process that is in a frame; 0: none
    cdef pid_t admitted     # the process that was seen to be allowed to write; 0: none yet
    cdef bint alone         # nobody else may write: the lock is needed
    cdef object lock        # WriterLock, or None
    cdef readonly uint64_t frame_counter
    cdef readonly uint64_t frame_flags
    cdef int64_t grace      # for a writer that is in a frame; STUCK_GRACE_NS after one that died
    cdef uint64_t stuck_at  # counter of the frame that it died in
    cdef Reader own_reader
    cdef object __weakref__

    def __init__(self):
        raise TypeError("use Stream.create or Stream.attach")

    # -- making --------------------------------------------------------------------------------

    @staticmethod
    def attach(name_or_path, *, writable=True, exclusive=False, prefault=True):
        """Attach an existing stream.

        Parameters
        ----------
        name_or_path : str or PathLike
            A name in the stream directory, or the path of a ``.im.shm`` file.
        writable : bool, default True
            False maps the file read-only. If True and the file permits reading only, it is attached
            read-only; `note` and ``repr`` say so.
        exclusive : bool, default False
            Have the stream for writing to this handle alone, until it is closed or the process ends: frames,
            exclusive attaches and replacements by other handles of pymilk, in this process or another one, are
            refused. Programs that do not know of it are not kept out, and neither is a handle that has
            published before.
        prefault : bool, default True
            Have all pages of a file up to 256 MiB mapped now, which takes up to 20 ms for 200 MB. False leaves
            each page to its first use: for a look at the metadata.

        Returns
        -------
        Stream

        Raises
        ------
        StreamNotFoundError
            No such file.
        StreamPermissionError
            It cannot even be read.
        StreamFormatError
            It is not a stream, is not ready, or its header contradicts itself or the file size.
        StreamNameError
            Not a name or path of a stream.
        StreamLockedError
            With `exclusive`: another handle has it to itself.
        StreamReadOnlyError, StreamUnsupportedError
            With `exclusive`: it cannot be written, or its file system knows no locks.

        Notes
        -----
        Everything is checked on one snapshot of the header before a pixel is mapped. A file whose
        version is still empty is given 0.1 s to become ready.
        """
        return _attach(
            os.path.abspath(stream_path(name_or_path)), writable, READY_WAIT_MS, prefault, exclusive)

    @staticmethod
    def create(name_or_path, shape, dtype, *, nbkw=50, nbsem=10, imagetype=MATH_DATA, cb_size=0,
               mode=None, exist_ok=True, location=-1, version="2.00", layout=None, exclusive=False):
        """Create a stream, replacing one of the same name.

        Nobody ever sees it half made: the file is filled under a temporary name, with its memory
        reserved, and renamed into place. Readers of a replaced stream keep their memory and are told.

        Parameters
        ----------
        name_or_path : str or PathLike
        shape : tuple of int
            0 to 3 axes in C order, slowest first. No axes is stored as one element.
        dtype : dtype
            uint8 to uint64, int8 to int64, float16, float32, float64, complex64, complex128, or bool,
            which is stored as uint8. Stored little endian.
        nbkw : int, default 50
            Room for keywords, 0 to 65535.
        nbsem : int, default 10
            Semaphores, 0 to 65535: one for each reader that sleeps.
        imagetype : int, default MATH_DATA
            Bits of `IMAGETYPES`.
        cb_size : int, default 0
            Slots of the fast circular buffer.
        mode : int, optional
            Permissions of the file, 0 to 0o777, whatever the umask: 0o600 keeps other users out, 0o644 lets
            them read. Default 0o666 less the umask, which is never touched.
        exist_ok : bool, default True
            False raises `StreamExistsError` instead of replacing.
        location : int, default -1
            A GPU number makes a stream without pixels in the file; whoever owns the device memory
            stores its handle in `cuda_handle`.
        version : str, default "2.00"
            Structure version to store: "2." and more.
        layout : {"default", "dao", "writehistory", "dao+writehistory"}, optional
            Build options of the programs that are to read it. Default: those of the header that
            pymilk was compiled with.
        exclusive : bool, default False
            As for `attach`.

        Returns
        -------
        Stream
            Attached, all zero, counter 0: what ImageStreamIO's own create leaves.

        Raises
        ------
        StreamArgumentError, StreamNameError
            An argument is out of range; nothing was created.
        StreamNotFoundError, StreamPermissionError
            The directory does not exist or is not writable.
        StreamStorageError
            The file system is full.
        StreamExistsError
            It exists, and `exist_ok` is false.
        StreamLockedError
            It exists, and another handle has it to itself for writing.
        StreamUnsupportedError
            With `exclusive`: the file system knows no locks.

        Notes
        -----
        A process that is killed here leaves a temporary file at most, never half a stream. The next `create` in
        the same directory removes it.
        """
        cdef Header h
        path = os.path.abspath(stream_path(name_or_path))
        name = stream_name(path)
        if len(os.fsencode(path)) >= 200:
            raise StreamNameError(
                f"{path}: ImageStreamIO opens paths of less than 200 bytes only", stream=name, name=name)
        _plan(&h, name, shape, dtype, nbkw, nbsem, imagetype, cb_size, location, layout)
        if mode is not None:
            mode = index_argument(name, "mode", mode, 0o1000)
        if not (isinstance(version, str) and version.startswith("2.") and version.isascii()
                and version.isprintable() and len(version) < 32):
            raise StreamArgumentError(
                f"stream {name!r}: version is '2.' and at most 29 more letters, not {version!r}",
                stream=name, argument="version", found=version)
        return _create(&h, path, name, version.encode(), mode, exist_ok, exclusive)

    @staticmethod
    def local(name, shape, dtype, *, nbkw=50, nbsem=10, imagetype=MATH_DATA, cb_size=0):
        """Make a stream of this process alone: no file, invisible to others, otherwise the same.

        Parameters
        ----------
        name : str
            What it is called in messages; any number of local streams may share one.
        shape, dtype, nbkw, nbsem, imagetype, cb_size
            As for `create`.

        Returns
        -------
        Stream
            With `shared` 0 and an empty `path`. Its memory is freed with the last view of it;
            `destroy` closes it. A child after fork has a copy of its own.

        Raises
        ------
        StreamArgumentError, StreamNameError
        CaptureMemoryError
            The memory cannot be had.
        """
        cdef Header h
        cdef Stream stream = Stream.__new__(Stream)
        _plan(&h, check_name(name), shape, dtype, nbkw, nbsem, imagetype, cb_size, -1, None)
        cdef Mapping mapping = anonymous(h.at.total, f"stream {name!r}", "make it smaller")
        _fill_new(mapping.base, &h, os.fsencode(name), b"2.00", False)
        stream.file = make_file(mapping, &h, "", name, "local to this process", 0, 0)
        stream.grace = WRITE_GRACE_NS
        return stream

    # -- life ----------------------------------------------------------------------------------

    cdef int _take_turn(self) except -1:
        """Begin to write; the caller sets busy to 0 when it is done. A thread of our parent is not in our way."""
        if self.busy == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: a frame is being written through this handle already; "
                "leave its claim first", stream=self.name)
        self.busy = own_pid
        if self.admitted != own_pid:
            self._admit()
        return 0

    cdef int _admit(self) except -1:
        """Before the first frame of this process: take the lock, or see that nobody else has it."""
        cdef StreamFile file = self.file
        try:
            if self.alone:
                self.lock = lock_stream(file.path, file.device, file.inode, file.name)
            elif file.path:  # a local one is nobody else's
                check_stream(file.path, file.device, file.inode, file.name)
        except BaseException:
            self.busy = 0
            raise
        self.admitted = own_pid
        return 0

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.file.mapping is None

    @property
    def writable(self):
        cdef Mapping mapping = self.file.mapping
        return mapping is not None and bool(mapping.writable)

    @property
    def exclusive(self):
        """Whether this handle has the stream to itself for writing. False in a child after fork."""
        return self.file.mapping is not None and self.lock is not None and self.lock.held

    def close(self):
        """Let go of the stream. Waits of other threads end with `StreamClosedError`; views stay."""
        cdef StreamFile file = self.file
        if file.mapping is not None:
            raise_flag(&file.mapping.closed, PYMILK_CLOSED)
            if self.own_reader is not None:
                self.own_reader.close()
                self.own_reader = None
            self.file = file.without_memory()
            if self.lock is not None:
                self.lock.release()

    def __enter__(self):
        self.file.use_whole()
        return self

    def __exit__(self, *exc):
        self.close()

    def destroy(self):
        """Delete the stream: remove its file, tell its readers, close.

        Raises
        ------
        StreamReplacedError
            The path leads to a stream that another process made meanwhile. It is left alone, and this
            handle stays open.
        StreamNotFoundError
            The file is gone already.
        """
        cdef StreamFile file = self.file
        cdef int fd
        file.use()
        if not file.path:  # a local one has no file
            self.close()
            return
        state = file.state()
        if state == FILE_GONE:
            raise self._gone()
        if state == FILE_OTHER:
            raise self._not_ours()
        # Another process may put its stream there this very moment: the file is taken aside, looked at
        # once more, and put back if it is not ours.
        aside = aside_path(file.path, file.inode)
        try:
            fd = open_file(file.path, False)
        except StreamNotFoundError:
            raise self._gone() from None
        try:
            mark_busy(fd)
            try:
                os.rename(file.path, aside)
            except FileNotFoundError:
                raise self._gone() from None
            except PermissionError:
                raise StreamPermissionError(
                    f"{self.path}: no permission to delete it", stream=self.name, path=self.path) from None
            if file_state(os.fsencode(aside), file.device, file.inode, file.h.at.total) == FILE_OTHER:
                try:
                    os.link(aside, file.path, follow_symlinks=False)
                except FileExistsError:
                    pass  # there is a newer one already
                os.unlink(aside)
                raise self._not_ours()
            os.unlink(aside)
            retire(fd, file.mapping, &file.h)
        finally:
            c_close(fd)
        self.close()

    def _gone(self):
        return StreamNotFoundError(
            f"stream {self.name!r}: {self.path} was deleted already", stream=self.name, path=self.path)

    def _not_ours(self):
        try:
            found = os.stat(self.path).st_ino
        except OSError:
            found = None
        return StreamReplacedError(
            f"stream {self.name!r}: {self.path} is another stream now (not inode {self.file.inode}); "
            "it was not deleted", stream=self.name, field="inode", expected=self.file.inode, found=found)

    def successor(self, timeout=0.0):
        """Attach the stream that took the place of this one.

        Parameters
        ----------
        timeout : float, default 0
            Seconds to wait for it. Other programs delete the old file before they make the new one, and
            show it before it is complete.

        Returns
        -------
        Stream
            Under the same path, with frames of the same shape and dtype. This handle stays as it is. If it is
            exclusive, so is the new one from its first frame on.

        Raises
        ------
        StreamShapeChangedError, StreamTypeChangedError, StreamChangedError
            Shape, dtype or location differ.
        StreamNotFoundError, StreamNotReadyError
            As `attach`.
        StreamFormatError
            As `attach`, once the file has been like that for 0.1 s: a program may be writing it.
        """
        cdef Stream new
        cdef StreamFile file = self.file
        cdef bint writable
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, self.name))
        cdef int64_t odd_since = 0
        file.use()
        writable = file.mapping.writable
        while True:
            try:
                new = _attach(file.path, writable, 0, True, False)
                break
            except (StreamNotFoundError, StreamNotReadyError):
                odd_since = 0
                if clock_ns(CLOCK_MONOTONIC) >= deadline:
                    raise
            except StreamFormatError:
                odd_since = odd_since or clock_ns(CLOCK_MONOTONIC)
                if clock_ns(CLOCK_MONOTONIC) - odd_since >= HALF_MADE_NS:
                    raise
            _time.sleep(0.002)
        for field, expected, found in (
            ("shape", self.frame_shape, new.frame_shape),
            ("dtype", self.dtype, new.dtype),
            ("location", self.location, new.location),
        ):
            if expected != found:
                new.close()
                kinds = {"shape": StreamShapeChangedError, "dtype": StreamTypeChangedError}
                raise kinds.get(field, StreamChangedError)(
                    f"stream {self.name!r} was recreated with another {field}: it was {expected}, "
                    f"now it is {found}; attach it again",
                    stream=self.name, field=field, expected=expected, found=found)
        new.alone = self.alone
        return new

    def __repr__(self):
        if self.closed:
            return f"<Stream {self.name!r} closed>"
        if self.damaged:
            return f"<Stream {self.name!r} damaged: its file was cut or rewritten>"
        note = f", {self.note}" if self.note else ""
        return (f"<Stream {self.name!r} shape={self.shape} dtype={self.dtype} "
                f"counter={self.counter}{note}>")

    def __reduce__(self):
        raise TypeError("a Stream cannot be pickled; pass its name and attach it on the other side")

    # -- frames --------------------------------------------------------------------------------

    def view(self, *, writable=False):
        """Return the pixels without copying.

        Parameters
        ----------
        writable : bool, default False
            Writing to the view is seen by readers at once and is not counted; `claim` is the right
            way to fill a frame.

        Returns
        -------
        ndarray, shape `shape`
            Memory that stays valid for ever. It holds the newest frame only until the writer begins
            the next one.
        """
        cdef StreamFile file = self.file
        file.use_whole()
        file.need_pixels()
        if writable:
            file.use_to_write()
        return _ndarray(
            file.shape, file.dtype, file.mapping.region(file.h.at.array, file.h.n.frame_nbytes, writable))

    def copy_frame(self, out):
        """Copy the newest frame into `out`, whole: retried while a writer is in it.

        Parameters
        ----------
        out : buffer, C-contiguous, writable
            Of the bytes of one frame. On a temporal circular cube that is its newest slice; of `nbytes`
            bytes, the whole cube.

        Returns
        -------
        int
            `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame (a writer
            is waited for up to 50 ms).

        Notes
        -----
        Frames of 512 KiB and more are copied without the GIL.
        """
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        file.need_pixels()
        take_buffer(out, &view, True, file.name, "out")
        try:
            if <uint64_t>view.len != file.h.unit_nbytes and <uint64_t>view.len != file.h.n.frame_nbytes:
                raise FrameMismatchError(
                    f"stream {file.name!r}: out has {view.len} bytes, a frame has "
                    f"{file.h.unit_nbytes}", stream=file.name, field="nbytes",
                    expected=file.h.unit_nbytes, found=view.len)
            self._copy_newest(file, base, <char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        self.check_behind_copy()
        return self.frame_flags

    def read(self):
        """Return the newest frame in a new array: `copy_frame` into memory of its own.

        Returns
        -------
        frame : ndarray, shape `frame_shape`, C-contiguous
            Larger ones use memory that was used for frames before, so that it need not be provided anew.
        flags : int
            What `copy_frame` would return.
        number : int
            Its counter.
        """
        frame = self._read()
        self.check_behind_copy()
        return frame, self.frame_flags, self.frame_counter

    cdef object _read(self):
        cdef Py_buffer view
        cdef Block block
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        file.need_pixels()
        block = take_block(file.h.unit_nbytes) if file.h.unit_nbytes >= KEPT_NBYTES else None
        if block is not None:
            frame = _ndarray(file.frame_shape, file.dtype, block)
            self._copy_newest(file, base, block.base, file.h.unit_nbytes)
            return frame
        frame = _empty(file.frame_shape, file.dtype)
        PyObject_GetBuffer(frame, &view, PyBUF_WRITABLE)
        try:
            self._copy_newest(file, base, <char *>view.buf, file.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return frame

    cdef bint _read_into(self, object out) except -1:
        """Copy the newest frame into an array if it is C-contiguous, and of its shape and dtype."""
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int axis
        cdef bint fits
        file.need_pixels()
        if out.dtype is not file.dtype:
            return False
        try:
            PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        except (BufferError, ValueError):
            return False
        try:
            fits = view.ndim == file.h.naxis - file.h.temporal
            for axis in range(view.ndim if fits else 0):
                fits = fits and view.shape[view.ndim - 1 - axis] == file.h.size[axis]
            if fits:
                self._copy_newest(file, base, <char *>view.buf, file.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return fits

    cdef int _copy_newest(self, StreamFile file, char *base, char *dst, uint64_t nbytes) except -1:
        """Copy the newest frame, or all of a temporal cube, and note its flags. `base` is that of `file`."""
        cdef Look seen
        cdef uint64_t flags = 0
        cdef Patience patience
        cdef int never = 0
        cdef bint streaming = nbytes >= STREAMING_READ_NBYTES
        cdef uint64_t number = 0
        if file.h.temporal and file.h.size[2] > 1 and nbytes == file.h.unit_nbytes:
            if nbytes < GIL_RELEASE_NBYTES:
                flags = copy_newest_slice(base, &file.h, dst, False, &number)
            else:
                with nogil:
                    flags = copy_newest_slice(base, &file.h, dst, streaming, &number)
            file.check_whole()
            self.frame_counter = number
            self.frame_flags = flags
            return 0
        if nbytes < GIL_RELEASE_NBYTES:
            flags = try_copy(<IMAGE_METADATA *>base, base + file.h.at.array, dst, nbytes, False,
                             EAGER_TRIES, &seen, NULL)
        if flags:
            self.grace = WRITE_GRACE_NS
        else:
            # A writer that was found dead in this very frame is not waited for again.
            patience = Patience(closed=&file.mapping.closed, stop=&never, grace=self.grace)
            if patience.grace == STUCK_GRACE_NS and self.stuck_at == atomic_load_u64(
                    &(<IMAGE_METADATA *>base).cnt0, __ATOMIC_RELAXED):
                patience.grace = 0
            with nogil:
                flags = copy_frame(base, &file.h, dst, streaming, NULL, &patience, &seen)
            self.grace = patience.grace
            self.stuck_at = seen.cnt0
        file.check_whole()
        self.frame_counter = seen.cnt0
        self.frame_flags = flags
        return 0

    def publish(self, frame, *, atime_ns=None):
        """Copy a frame into the stream and announce it.

        Parameters
        ----------
        frame : array_like, shape `shape`, stream dtype
            Any memory order; C-contiguous is fastest, transposed and flipped images are turned in blocks.
            On a temporal circular cube an array of shape
            ``shape[1:]`` fills the next slice. bool is accepted where the stream is uint8.
        atime_ns : int, optional
            Acquisition time, nanoseconds of CLOCK_TAI. Default: now.

        Returns
        -------
        int
            The counter of the frame.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        The order of the steps is at the top of this module. Frames of 512 KiB and more are copied
        without the GIL. Two writers of one stream lose no counts but may mix their pixels.
        """
        if atime_ns is None:
            return self._publish(frame, False, 0)
        return self._publish(frame, True, time_argument(self.name, atime_ns))

    cdef object _publish(self, object frame, bint has_atime, int64_t acquired):
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef char *target = base + file.h.at.array
        cdef uint64_t nbytes = file.h.n.frame_nbytes, counter
        cdef int64_t slice = -1
        cdef bint contiguous, turned = False
        cdef pymilk_turn turn
        file.need_pixels()
        if type(frame) is not _ndarray:
            frame = _asarray(frame)
        dtype = frame.dtype
        if dtype is not file.dtype and dtype != file.dtype:
            frame = self._fitting(frame)
        shape = frame.shape
        if shape != file.shape:
            if not shape and file.h.nelement == 1:
                shape = file.shape
                frame = frame.reshape(shape)
            elif not (file.h.temporal and shape == file.frame_shape):
                raise FrameMismatchError(
                    f"stream {file.name!r}: the frame has shape {shape}, the stream {file.shape}",
                    stream=file.name, field="shape", expected=file.shape, found=shape)
            else:
                slice = next_slice(base, &file.h)
                nbytes = file.h.unit_nbytes
                target = frame_at(base, &file.h, slice)
        PyObject_GetBuffer(frame, &view, PyBUF_STRIDES)
        contiguous = PyBuffer_IsContiguous(&view, b"C")
        if not contiguous:
            # Not where the frame is a view of this very stream, in another order: NumPy copies it first.
            turned = describe_turn(&turn, target, NULL, <const char *>view.buf, view.strides, view.shape,
                                   view.ndim, view.itemsize)
        try:
            self._take_turn()
        except BaseException:
            PyBuffer_Release(&view)
            raise
        try:
            if turned and nbytes < GIL_RELEASE_NBYTES:
                counter = publish_turned(base, &file.h, &turn, has_atime, acquired, slice)
            elif turned:
                with nogil:
                    counter = publish_turned(base, &file.h, &turn, has_atime, acquired, slice)
            elif not contiguous:
                pixels = _ndarray(shape, file.dtype, file.mapping.region(target - base, nbytes, True))
                open_frame(base)
                try:
                    _copyto(pixels, frame)
                except BaseException:
                    abandon_frame(base)
                    raise
                counter = close_frame(base, &file.h, has_atime, acquired, slice)
            elif nbytes < GIL_RELEASE_NBYTES:
                counter = publish_bytes(base, &file.h, target, <char *>view.buf, nbytes, has_atime,
                                              acquired, slice)
            else:
                with nogil:
                    counter = publish_bytes(base, &file.h, target, <char *>view.buf, nbytes, has_atime,
                                                  acquired, slice)
        finally:
            self.busy = 0
            PyBuffer_Release(&view)
        file.check_whole()
        return counter

    cdef object _fitting(self, object frame):
        """Accept bool where the stream is uint8, as it is stored."""
        dtype = frame.dtype
        if self.file.h.datatype == _DATATYPE_UINT8 and dtype == np.bool_:
            return frame.view(np.uint8)
        raise FrameMismatchError(
            f"stream {self.name!r}: the frame is {dtype}, the stream {self.dtype}; convert it first",
            stream=self.name, field="dtype", expected=self.dtype, found=dtype)

    def announce(self, *, atime_ns=None):
        """Publish what stands in the pixels: count, times, semaphores, and the next slot of a ring.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        int
            The counter of the frame. `cnt1` of a temporal circular cube stays: its writer has set it.

        Raises
        ------
        StreamReadOnlyError, StreamClosedError, StreamBusyError
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef bint has_atime = atime_ns is not None
        cdef int64_t acquired
        file.need_pixels()
        acquired = time_argument(file.name, atime_ns) if has_atime else 0
        self._take_turn()
        try:
            open_frame(base)
            counter = close_frame(base, &file.h, has_atime, acquired, -1)
        finally:
            self.busy = 0
        file.check_whole()
        return counter

    def claim(self, *, atime_ns=None):
        """Take the next frame to fill in place.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        Claim
            A context manager. Entering gives a writable view of the pixels, which still hold the
            newest frame (on a temporal circular cube: of the next slice, which holds its oldest);
            leaving publishes it; an exception abandons it: nothing is announced, but what was changed
            stays changed.
        """
        self.file.use_to_write()
        self.file.need_pixels()
        cdef Claim claim = Claim.__new__(Claim)
        claim.stream = self
        claim.has_atime = atime_ns is not None
        claim.atime_ns = 0 if atime_ns is None else time_argument(self.name, atime_ns)
        return claim

    def publish_many(self, frames, count=None, *, interval_ns=0, atimes_ns=None):
        """Publish many frames one by one, without the GIL, optionally at a steady rate.

        Parameters
        ----------
        frames : ndarray, shape (k, *frame_shape), stream dtype, C-contiguous
            On a temporal circular cube each one fills the next slice.
        count : int, optional
            How many to publish, going round `frames`. Default k.
        interval_ns : int, default 0
            Nanoseconds from one frame to the next; 0 is as fast as possible. A frame that is late by
            more than one interval shifts those behind it, as a camera would; there are no bursts.
        atimes_ns : ndarray of int64, shape (k,), optional
            Acquisition times of `frames`, nanoseconds of CLOCK_TAI. Default: as each is published.

        Returns
        -------
        int
            The counter of the last frame.

        Raises
        ------
        FrameMismatchError, StreamArgumentError, StreamReadOnlyError, StreamClosedError
        """
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef Series series
        cdef uint64_t total, held
        cdef int64_t interval = interval_ns
        cdef bint check = threading.current_thread() is threading.main_thread()
        cdef const int64_t[::1] times = None
        cdef const int64_t *atimes = NULL
        file.need_pixels()
        take_buffer(frames, &view, False, self.name, "frames")
        try:
            held = count_frames(frames, &view, &file.h, self.frame_shape, self.name, "frames")
            if atimes_ns is not None:
                if not (isinstance(atimes_ns, np.ndarray) and atimes_ns.dtype == np.int64
                        and atimes_ns.shape == (held,)):
                    raise bad_argument(
                        self.name, "atimes_ns", atimes_ns, f"an int64 array of {held} nanoseconds")
                if held:
                    times = np.ascontiguousarray(atimes_ns)
                    atimes = &times[0]
            if held < 1 or interval < 0 or (count is not None and count < 0):
                raise StreamArgumentError(
                    f"stream {self.name!r}: publish_many got {held} frames, count {count}, "
                    f"interval {interval} ns; it needs at least one frame and no negative numbers",
                    stream=self.name, argument="count", found=count)
            total = held if count is None else count
            series = Series(frames=<char *>view.buf, atimes=atimes, held=held, total=total, done=0,
                            interval=interval, due=0, counter=(<IMAGE_METADATA *>base).cnt0)
            self._take_turn()
            try:
                while series.done < total:
                    with nogil:
                        publish_series(base, &file.h, &series, check, &file.mapping.closed)
                    PyErr_CheckSignals()
                    file.check_whole()
                    if file.mapping.closed:
                        raise closed_error(self.name)
            finally:
                self.busy = 0
        finally:
            PyBuffer_Release(&view)
        return series.counter

    def publish_feed(self, FrameFeed feed not None):
        """Publish the frames that another thread hands over, each at its time, until there are no more.

        Parameters
        ----------
        feed : FrameFeed
            With frames of `frame_shape` and `dtype`. Only one stream can publish from it.

        Raises
        ------
        FrameMismatchError, StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        In any thread but the main one the GIL is not taken once in all that time; in the main one every 50 ms,
        for signals.
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef bint ended = False, check = threading.current_thread() is threading.main_thread()
        file.need_pixels()
        for field, expected, found in (("shape", self.frame_shape, feed.slots.shape[1:]),
                                       ("dtype", self.dtype, feed.slots.dtype)):
            if found != expected:
                raise FrameMismatchError(
                    f"stream {self.name!r}: the feed has frames of {field} {found}, the stream {expected}",
                    stream=self.name, field=field, expected=expected, found=found)
        self._take_turn()
        try:
            while not ended:
                with nogil:
                    ended = publish_feed(base, &file.h, &feed.feed, check, &file.mapping.closed)
                PyErr_CheckSignals()
        finally:
            self.busy = 0
        file.check_whole()
        if file.mapping.closed:
            raise closed_error(self.name)

    # -- waiting -------------------------------------------------------------------------------

    def reader(self):
        """Make a `Reader` of this stream, with a semaphore of its own."""
        cdef Reader reader = Reader.__new__(Reader)
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        reader.mapping = file.mapping
        reader.h = file.h
        reader.device = file.device
        reader.file_inode = file.inode
        reader.path = file.path_bytes
        reader.name = file.name
        reader.slot = -1
        reader.preferred = -1
        reader.pid = own_pid
        reader.owed = 1
        find_ring(&reader.cursor.ring, base, &file.h)
        return reader

    def ring_cursor(self):
        """Make a `RingCursor` of this stream, or return None if it has no ring of 2 slots or more."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        file.need_pixels()
        cdef RingCursor cursor = RingCursor.__new__(RingCursor)
        if not find_ring(&cursor.c.ring, base, &file.h):
            return None
        slots = self.view() if file.h.temporal else self.section("ring_slots")
        cursor.mapping = file.mapping
        cursor.h = file.h
        cursor._dress(file.mapping, slots, file.name, "temporal" if file.h.temporal else "fast")
        return cursor

    cdef Reader _own_reader(self):
        """The reader behind the waiting methods of the stream itself, whose semaphore is that of the handle."""
        cdef Reader reader = self.own_reader
        self.file.use_whole()
        if reader is None:
            reader = self.own_reader = self.reader()
        return reader

    cdef Reader _own(self):
        """A reader to wait with: while one thread waits, the next gets one for the time of its call."""
        cdef Reader reader = self._own_reader()
        return self.reader() if reader.running == own_pid else reader

    def free_reader(self):
        """Return the reader behind the waiting methods, or another one while that one waits."""
        return self._own()

    @property
    def sem_index(self):
        """Index of the semaphore of this handle's own reader, taken if it has none yet, or None."""
        cdef Reader reader = self._own_reader()
        cdef StreamFile file = self.file
        file.use_whole()
        reader._bell(file.mapping)
        return reader.sem_index

    def take_semaphore(self, preferred):
        """Return `sem_index`; if none is held yet, take semaphore `preferred` where it is free.

        Parameters
        ----------
        preferred : int
            Any other number means any semaphore.

        Returns
        -------
        int or None
            The lowest free one if the preferred one is not; None if all are taken, or the stream is
            read-only. Posts that nobody has taken stay.
        """
        cdef Reader reader = self._own_reader()
        cdef StreamFile file = self.file
        file.use_whole()
        if reader.sem_index is None:
            reader.preferred = preferred if 0 <= preferred < file.h.n.sem else -1
            if file.mapping.writable and file.h.n.sem:
                reader._claim(file.mapping)
        return file.whole(reader.sem_index)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame; see `Reader.wait`."""
        return self._own().wait(timeout, after=after, spin_ns=spin_ns)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there; see `Reader.try_wait`."""
        return self._own().try_wait(after)

    def receive(self, out, info=None, **options):
        """Receive the next frames into memory of the caller; see `Reader.receive`."""
        return self._own().receive(out, info, **options)

    # -- semaphores ----------------------------------------------------------------------------

    def post(self, index=None):
        """Post one semaphore, or all of them, where below the cap of 10. No frame is counted."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        if index is None:
            post_all(base, &file.h)
        else:
            post_one(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))
            ring_bell(<sem_t *>(base + file.h.at.semlog))
        file.check_whole()

    def flush(self, index=None):
        """Take all posts off one semaphore, or off every one. Returns how many there were."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef int i, count = 0
        if index is not None:
            return file.whole(drain(semaphore_of(file, base, index)))
        for i in range(file.h.n.sem):
            count += drain(semaphore(base, &file.h, i))
        return file.whole(count)

    def sem_value(self, index):
        """Return the value of one semaphore: posts that nobody has taken yet."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int value = 0
        sem_getvalue(semaphore_of(file, base, index), &value)
        file.check_file()
        return value

    def sem_values(self):
        """Return the values of all semaphores as a list."""
        return [self.sem_value(i) for i in range(self.nbsem)]

    def sem_try_wait(self, index):
        """Take one post off a semaphore if there is one; returns whether there was."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        return file.whole(sem_trywait(semaphore_of(file, base, index)) == 0)

    def sem_wait(self, index, timeout=None):
        """Wait for a post of one semaphore and take it; returns whether it came in time.

        A post says nothing about frames: `wait` is for those. Releases the GIL; Ctrl-C ends it.
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int64_t limit = timeout_ns(timeout, file.name)
        cdef sem_t *sem = semaphore_of(file, base, index)
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t deadline = later(now, limit)
        cdef int code
        file.use_to_write()
        while True:
            with nogil:
                code = pymilk_sem_wait_until(sem, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            if code == 0:
                return True
            PyErr_CheckSignals()
            file.use_whole()
            file.check_whole()
            if now >= deadline:
                return False

    # -- keywords ------------------------------------------------------------------------------

    def read_keywords(self):
        """Read the keywords.

        Returns
        -------
        list of Keyword
            In the order of the stream. Text that is not UTF-8 is decoded with surrogate escapes, so
            that it can be written back unchanged.

        Notes
        -----
        Writers do not lock: the table is copied until two copies agree, four times at most.
        """
        cdef StreamFile file = self.file
        cdef const char *start = file.use_whole() + file.h.at.keywords
        cdef size_t nbytes = file.h.n.nbkw * sizeof(IMAGE_KEYWORD)
        cdef const IMAGE_KEYWORD *slot
        table = start[:nbytes]
        for _ in range(KEYWORD_TRIES):
            again = start[:nbytes]
            if again == table:
                break
            table = again
        file.check_file()
        slot = <const IMAGE_KEYWORD *><const char *>table
        keywords = []
        for _ in range(file.h.n.nbkw):
            if not slot.name[0]:
                break
            keywords.append(Keyword(
                decode_text(slot.name, KEYWORD_MAX_STRING), _keyword_value(slot),
                decode_text(slot.comment, KEYWORD_MAX_COMMENT), slot.cnt))
            slot += 1
        return keywords

    def write_keywords(self, keywords):
        """Replace all keywords.

        Parameters
        ----------
        keywords : iterable of Keyword or of (name, value[, comment[, cnt]])

        Raises
        ------
        KeywordError
            Too many, or a text too long, or a value that is not int64, float or str; nothing was
            changed.
        """
        cdef IMAGE_KEYWORD *slots
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef int i
        try:
            entries = list(keywords)
        except TypeError:
            raise KeywordError(
                f"stream {self.name!r}: keywords are a list of (name, value[, comment[, cnt]]), "
                f"not {keywords!r}", stream=self.name) from None
        new = [_encode_keyword(self.name, entry) for entry in entries]
        if len(new) > file.h.n.nbkw:
            raise KeywordTableFullError(
                f"Too many keywords provided: stream {self.name!r} has room for {file.h.n.nbkw} keywords, "
                f"not {len(new)}; recreate it with a larger nbkw",
                stream=self.name, keyword=None, limit=file.h.n.nbkw, found=len(new))
        counts = {keyword.name: keyword.cnt for keyword in self.read_keywords()}
        slots = <IMAGE_KEYWORD *>(base + file.h.at.keywords)
        for i, entry in enumerate(new):
            name = entry[0].decode("utf-8", "surrogateescape")
            cnt = (counts.get(name, 0) + 1) % 2**64 if entry[4] is None else entry[4]
            _store_keyword(&slots[i], entry, cnt)
        # The first empty name ends the list; what stands behind it is of no account.
        i = len(new)
        if i < file.h.n.nbkw and slots[i].name[0]:
            memset(&slots[i], 0, sizeof(IMAGE_KEYWORD))
        file.check_file()

    def update_keyword(self, name, value, comment=None):
        """Change one keyword, keeping its place, and its comment unless one is given.

        A number that stays of its type is replaced by one 8-byte store: readers see the old or the
        new value and nothing in between.

        Raises
        ------
        KeywordNotFoundError
            The stream has no such keyword.
        KeywordError
            As for `write_keywords`.
        """
        cdef StreamFile file = self.file
        cdef IMAGE_KEYWORD *slot = <IMAGE_KEYWORD *>(file.use_to_write() + file.h.at.keywords)
        cdef int _
        entry = _encode_keyword(self.name, Keyword(name, value, "" if comment is None else comment))
        for _ in range(file.h.n.nbkw):
            if not slot.name[0]:
                break
            if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] == entry[0]:
                if comment is None:
                    entry = (*entry[:3], None, None)
                _store_keyword(slot, entry, slot.cnt + 1)
                file.check_file()
                return
            slot += 1
        file.check_file()
        raise KeywordNotFoundError(
            f"stream {self.name!r} has no keyword {name!r}; add it with SHM.set_keywords or Stream.write_keywords",
            stream=self.name, keyword=name)

    def clear_keywords(self):
        """Remove all keywords."""
        self.write_keywords([])


cdef object _keyword_value(const IMAGE_KEYWORD *slot):
    if slot.type == c"L":
        return slot.value.numl
    if slot.type == c"D":
        return slot.value.numf
    # S; and N, which an unused slot has: a name without a value.
    return decode_text(slot.value.valstr, KEYWORD_MAX_STRING) if slot.type == c"S" else None


cdef bytes _encode_text(str stream, object keyword, str what, object text, int limit):
    if not isinstance(text, str):
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} has to be str, "
            f"not {type(text).__name__}", stream=stream, keyword=str(keyword))
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} cannot be encoded: {text!r}",
            stream=stream, keyword=str(keyword)) from None
    if len(encoded) > limit or b"\0" in encoded:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} takes {limit} bytes without NUL; "
            f"{text!r} has {len(encoded)}",
            stream=stream, keyword=str(keyword), limit=limit, found=len(encoded))
    return encoded


cdef tuple _encode_keyword(str stream, object keyword):
    """Check one keyword and turn it into (name, type, value, comment, cnt) as stored."""
    try:
        name, value, comment, cnt = Keyword(*keyword)
    except TypeError:
        raise KeywordError(
            f"stream {stream!r}: a keyword is (name, value[, comment[, cnt]]), not {keyword!r}",
            stream=stream) from None
    encoded = _encode_text(stream, name, "name", name, KEYWORD_MAX_STRING)
    if not encoded:
        raise KeywordError(
            f"stream {stream!r}: a keyword needs a name", stream=stream, keyword="",
            limit=KEYWORD_MAX_STRING, found=0)
    note = _encode_text(stream, name, "comment", comment, KEYWORD_MAX_COMMENT)
    if cnt is not None and not (hasattr(cnt, "__index__") and 0 <= cnt < 2**64):
        raise KeywordError(
            f"stream {stream!r}: cnt of keyword {name!r} is an int of 0 to 2**64 - 1, not {cnt!r}",
            stream=stream, keyword=name, limit=2**64 - 1, found=cnt)
    if value is None:
        return encoded, b"N", 0, note, cnt  # a name and a comment only
    if isinstance(value, str):
        return encoded, b"S", _encode_text(stream, name, "value", value, KEYWORD_MAX_STRING), note, cnt
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        value = operator.index(value)
    except TypeError:
        pass  # no integer
    else:
        if not -2**63 <= value < 2**63:
            raise KeywordError(
                f"stream {stream!r}: keyword {name!r} stores 64-bit integers; {value} needs more",
                stream=stream, keyword=name, limit=64, found=value.bit_length())
        return encoded, b"L", value, note, cnt
    try:
        if np.ndim(value):
            raise TypeError("an array of one element is not a number")
        # Not float(): that reads numbers from bytes.
        return encoded, b"D", value.__float__(), note, cnt
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise KeywordError(
            f"stream {stream!r}: keyword {name!r} takes an int, a float or a str, "
            f"not {type(value).__name__}", stream=stream, keyword=name) from None


cdef int _store_keyword(IMAGE_KEYWORD *slot, tuple entry, uint64_t cnt) except -1:
    cdef double number
    cdef uint64_t word
    cdef char kind = entry[1][0]
    if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] != entry[0]:
        # Another keyword's slot: hide it from readers while it changes.
        memset(&slot.value, 0, sizeof(slot.value))
        _store_text(slot.name, entry[0], KEYWORD_MAX_STRING)
    if entry[3] is not None:
        _store_text(slot.comment, entry[3], KEYWORD_MAX_COMMENT)
    if kind == c"S":
        _store_text(slot.value.valstr, entry[2], KEYWORD_MAX_STRING)
    else:
        if kind == c"D":
            number = entry[2]
            memcpy(&word, &number, 8)
        else:
            word = <uint64_t><int64_t>entry[2]
        # One store: no reader sees half of a number. Relaxed, as readers of keywords do not lock.
        atomic_store_u64(<uint64_t *>&slot.value, word, __ATOMIC_RELAXED)
    slot.type = kind
    # Release: the keyword is complete before its count says so.
    atomic_store_u64(&slot.cnt, cnt, __ATOMIC_RELEASE)
    return 0


cdef int _store_text(char *field, bytes text, int nbytes) except -1:
    """Fill a text field; one that is filled completely has no NUL."""
    padded = text.ljust(nbytes, b"\0")
    memcpy(field, <const char *>padded, nbytes)
    return 0


# --------------------------------------------------------------------------------------------------
# Claims and series of frames
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class Claim:
    """The next frame of a stream, to be filled in place; made by `Stream.claim`.

    Attributes
    ----------
    counter : int or None
        Counter of the frame once it was published.
    """

    cdef Stream stream
    cdef StreamFile file    # of the frame that was begun; None: not entered, or left
    cdef bint has_atime
    cdef int64_t atime_ns
    cdef int64_t slice
    cdef readonly object counter

    def __init__(self):
        raise TypeError("a Claim is made by Stream.claim()")

    def __enter__(self):
        """Begin the frame; returns a writable view of shape `Stream.frame_shape`."""
        if self.stream is None:
            raise TypeError("a Claim is made by Stream.claim()")
        # Kept, so that closing the stream meanwhile cannot take the memory away.
        cdef StreamFile file = self.stream.file
        cdef char *base = file.use_to_write()
        file.need_pixels()
        frame = self.stream.view(writable=True)
        self.stream._take_turn()
        self.file = file
        open_frame(base)
        self.slice = next_slice(base, &file.h)
        return frame if self.slice < 0 else frame[self.slice]

    def __exit__(self, kind, error, trace):
        cdef StreamFile file = self.file
        if file is None:
            name = None if self.stream is None else self.stream.name
            raise StreamBusyError(
                f"stream {name!r}: this claim was not entered, or was left already", stream=name)
        self.file = None
        self.stream.busy = 0
        if kind is None:
            counter = close_frame(file.mapping.base, &file.h, self.has_atime, self.atime_ns, self.slice)
            file.check_whole()
            self.counter = counter
        else:
            abandon_frame(file.mapping.base)


@cython.final
@cython.auto_pickle(False)
cdef class FrameFeed:
    """Slots through which one thread hands frames to another, which publishes each of them at its time.

    The one fills slots, in turn, and hands them over; the other is in `Stream.publish_feed`, without the GIL
    from the first frame to the last.

    Parameters
    ----------
    depth : int
        Slots, 1 or more.
    shape : tuple of int
        Of a frame, as the stream has it.
    dtype : dtype
    slack_ns : int or None
        None publishes frames as soon as they are there. Else each waits for its time, and one that is late by
        more than so many nanoseconds shifts those behind it: there are no bursts.

    Attributes
    ----------
    slots : ndarray, shape (depth, *shape)
        To be filled; pre-faulted.
    steps : ndarray of int64, shape (depth,)
        To be filled: nanoseconds from the frame before to that of each slot. That of the first frame has no
        effect.
    dues, moments : ndarray of int64, shape (depth,)
        When the frame of each slot was due, and when it had been published: nanoseconds of CLOCK_MONOTONIC.
        Valid for frames that are done, until their slots are handed over again.

    Raises
    ------
    StreamArgumentError, CaptureMemoryError
    """

    cdef Feed feed
    cdef Mapping _frames
    cdef int64_t[::1] _steps
    cdef int64_t[::1] _dues
    cdef int64_t[::1] _moments
    cdef readonly object slots
    cdef readonly object steps
    cdef readonly object dues
    cdef readonly object moments

    def __cinit__(self, depth, shape, dtype, slack_ns):
        if not (hasattr(depth, "__index__") and 1 <= depth < 2**62):
            raise StreamArgumentError(
                f"depth is a number of frames, 1 or more, not {depth!r}", argument="depth", found=depth)
        if slack_ns is not None and not (hasattr(slack_ns, "__index__") and 0 <= slack_ns < 2**62):
            raise StreamArgumentError(
                f"slack_ns is nanoseconds, 0 or more, or None, not {slack_ns!r}",
                argument="slack_ns", found=slack_ns)
        kind = np.dtype(dtype)
        count = depth.__index__()
        nbytes = math.prod(shape) * kind.itemsize
        self._frames = anonymous(
            count * nbytes, f"a feed of {count} frames {tuple(shape)} of {kind}", "take a smaller depth")
        self.slots = _ndarray((count, *shape), kind, self._frames.region(0, count * nbytes, True))
        self._steps = self.steps = np.zeros(count, np.int64)
        self._dues = self.dues = np.zeros(count, np.int64)
        self._moments = self.moments = np.zeros(count, np.int64)
        self.feed.slots = self._frames.base
        self.feed.depth = count
        self.feed.nbytes = nbytes
        self.feed.dues = &self._dues[0]
        self.feed.moments = &self._moments[0]
        if slack_ns is not None:
            self.feed.steps = &self._steps[0]
            self.feed.slack = slack_ns

    @property
    def ready(self):
        """Frames that were handed over so far."""
        return self.feed.ready

    @property
    def done(self):
        """Frames that were published so far."""
        return atomic_load_u64(&self.feed.done, __ATOMIC_ACQUIRE)

    @property
    def starved(self):
        """Of these, those that had not been handed over when they were due."""
        return self.feed.starved

    def hand_over(self, count):
        """Say that the next `count` slots, behind those that are ready, are filled.

        Raises
        ------
        StreamArgumentError
            So many are not free.
        """
        room = self.feed.depth - (self.feed.ready - self.done)
        added = _index("", "count", count, room + 1)
        # Pairs with the acquire load in publish_feed: who sees the number sees the frames.
        atomic_store_u64(&self.feed.ready, self.feed.ready + <uint64_t>added, __ATOMIC_RELEASE)

    def end(self):
        """Say that no frame comes behind those that are ready: publishing ends with them."""
        # Release: pairs with the acquire load in publish_feed, which then sees all that was handed over.
        atomic_store_i32(<int32_t *>&self.feed.over, 1, __ATOMIC_RELEASE)

    def stop(self):
        """End the publishing now, within 50 ms."""
        raise_flag(&self.feed.stopped, 1)


# --------------------------------------------------------------------------------------------------
# The usual case of reading and writing
# --------------------------------------------------------------------------------------------------

@cython.auto_pickle(False)
cdef class FrameAccess:
    """Base of `SHM`: reads and writes frames. The usual case is here; a Python method costs as much as the copy.

    What is not the usual case (another orientation, waiting, a stream that was replaced, memory of other kinds)
    is left to `_get_frame` and `_set_frame` of the subclass.

    Attributes
    ----------
    _stream : Stream or None
        None once it is closed.
    _view : ndarray
        The pixels as the user sees them.
    _plain : bool
        Frames, or slices of a temporal cube, are given and taken as the stream has them.
    _seen : int
        Number of the frame that was read or waited for last.
    """

    cdef public object _stream
    cdef public object _view
    cdef public bint _plain
    cdef public uint64_t _seen

    def get_data(self, check=False, *positional, timeout=5.0, copy=True, checkSemAndFlush=True,
                 autorelink_if_need=True, return_none_on_timeout=False, cube=False, out=None, reform=True,
                 sleepT=0.001):
        """Return a frame: the newest one, or the next one.

        Parameters
        ----------
        check : bool, default False
            Wait for a new frame first. The GIL is released, Ctrl-C ends the wait.
        timeout : float or None, default 5.0
            Seconds to wait; None, 0 and negative wait for ever.
        copy : bool, default True
            False gives a view: memory that stays valid for ever, and holds the frame until the writer
            begins the next one. Whether it is whole cannot be checked. What is written to it is seen by
            everybody, and announced with `repost`; it is read-only if the stream is.
        checkSemAndFlush : bool, default True
            Wait for a frame published after the call. False also takes one that was published since
            this object last waited or read one.
        autorelink_if_need : bool, default True
            Follow a stream that was replaced. False reads on in the old file; waiting in it raises
            `StreamReplacedError`.
        return_none_on_timeout : bool, default False
            On a timeout return None instead of the old frame.
        cube : bool, default False
            Of a temporal circular cube, return all slices in the order of the file instead of the newest
            one. Its writer does not wait: one of them, behind the newest, may be changing.
        out : array or buffer, shape `shape`, stream dtype, optional
            Filled and returned: nothing is allocated. NumPy arrays, memory-mapped files, shared memory,
            whatever has the buffer protocol or DLPack on the CPU; memory without a shape has as many
            bytes. C-contiguous is fastest. With `cube`: shape (slices, *shape).
        reform, sleepT
            Accepted because older calls pass them, also by position (a bool behind `check` is `reform`);
            without effect.

        Returns
        -------
        ndarray, shape `shape`, or None
            A copy is never torn, unless a `FrameTornWarning` says so. Of a temporal circular cube: its
            newest slice, or with `cube` all of them, shape (slices, *shape).

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError
            `out` does not fit, or is given with ``copy=False``.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            No new frame in time, and the old one is returned.
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.

        Notes
        -----
        Copies of frames from 128 KiB on come in page-aligned memory of frames that nobody has any more; at most
        8 such blocks and 256 MiB are kept for that. From 512 KiB on the GIL is released for the copy.
        """
        cdef Stream stream
        if check is False and cube is False and self._plain and not positional and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if stream.file.mapping is not None and not (autorelink_if_need and stream.is_replaced()):
                if out is None and copy is True:
                    frame = stream._read()
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return frame
                if out is None and copy is False and not stream.file.h.temporal:
                    self._seen = atomic_load_u64(
                        &(<IMAGE_METADATA *>stream.file.mapping.base).cnt0, __ATOMIC_ACQUIRE)
                    return self._view.view()
                if copy is True and type(out) is _ndarray and stream._read_into(out):
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return out
        return self._get_frame(check, positional, timeout, copy, checkSemAndFlush, autorelink_if_need,
                               return_none_on_timeout, cube, out, reform, sleepT)

    def set_data(self, data, check_dt=False, autorelink_if_need=False):
        """Publish a frame.

        Parameters
        ----------
        data : array_like, shape `shape`
            Any memory and byte order. An array must have the dtype of the stream; lists and scalars are
            converted, to integers if that changes no value, and to floating-point numbers by rounding.
        check_dt : bool, default False
            Convert an array of another dtype, with NumPy's usual (unsafe) rules.
        autorelink_if_need : bool, default False
            Follow a stream that was replaced. False raises `StreamReplacedError` then: nobody could
            read what is written to the old file.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError, StreamChangedError
        """
        cdef Stream stream
        if self._plain and type(data) is _ndarray and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if (stream.file.mapping is not None and data.dtype is stream.file.dtype and not stream.is_replaced()
                    and not (stream.file.h.temporal and data.shape != stream.file.frame_shape)):
                stream._publish(data, False, 0)
                return
        self._set_frame(data, check_dt, autorelink_if_need)


# How editors and help show it: what is read from *positional are parameters that may be given by position.
positional_too(*FRAME_OPTIONS)(FrameAccess.get_data)


# --------------------------------------------------------------------------------------------------
# Making and attaching
# --------------------------------------------------------------------------------------------------

cdef Stream _attach(str path, bint writable, int ready_wait_ms, bint prefault, bint exclusive):
    cdef Stream stream = Stream.__new__(Stream)
    cdef Snapshot shot
    cdef Mapping mapping
    cdef int fd
    cdef str note = "" if writable else "read-only as asked"
    try:
        fd = open_file(path, writable)
    except StreamPermissionError:
        if not writable:
            raise
        fd = open_file(path, False)
        writable = False
        note = "read-only: the file does not permit writing"
    try:
        shot = take_snapshot(fd, path, ready_wait_ms)
        mapping = map_file(fd, shot.h.at.total, writable, path)
        if prefault:
            map_pages(mapping, fd)
    finally:
        c_close(fd)
    if not writable:
        note += ", waiting watches the counter"
    stream.file = make_file(mapping, &shot.h, path, stream_name(path), note, shot.device, shot.inode)
    stream.grace = WRITE_GRACE_NS
    if exclusive:
        stream.alone = True
        stream.file.use_to_write()  # raises if it is not
        try:
            stream._take_turn()
        except StreamReplacedError:  # just now
            return _attach(path, writable, ready_wait_ms, prefault, True)
        stream.busy = 0
    return stream


cdef int _plan(Header *h, str name, object shape, object dtype, object nbkw, object nbsem,
               object imagetype, object cb_size, object location, object layout) except -1:
    """Check what a stream is to be, and work out where everything goes."""
    cdef int i, code = 0
    memset(h, 0, sizeof(Header))
    try:
        # operator.index: neither text nor fractions are axes.
        axes = shape if not hasattr(shape, "__index__") else (shape,)
        axes = tuple([operator.index(axis) for axis in axes])
    except TypeError:
        raise bad_argument(name, "shape", shape, "a tuple of 0 to 3 axes") from None
    if len(axes) > 3:
        raise bad_argument(name, "shape", shape, "a tuple of at most 3 axes")
    if not all([1 <= axis < 2**32 for axis in axes]):
        raise bad_argument(name, "shape", shape, "axes of 1 to 2**32 - 1")
    # One element where there is no axis, as the format has no scalars.
    axes = axes or (1,)
    if math.prod(axes) > NELEMENT_MAX:
        raise bad_argument(
            name, "shape", shape, f"at most {NELEMENT_MAX} elements, which is what ImageStreamIO opens")
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        raise bad_argument(name, "dtype", dtype, "a NumPy dtype") from None
    if wanted == np.bool_:
        wanted = np.dtype(np.uint8)
    for known, candidate in DTYPES.items():
        if (candidate.kind, candidate.itemsize) == (wanted.kind, wanted.itemsize):
            code = known
    if not code:
        raise bad_argument(
            name, "dtype", str(wanted), "an integer of 8 to 64 bits, float16 to float64, "
            "complex64, complex128 or bool")
    for argument, found, limit in (
        ("nbkw", nbkw, 2**16), ("nbsem", nbsem, 2**16), ("cb_size", cb_size, 2**32),
        ("imagetype", imagetype, 2**64),
    ):
        if not (hasattr(found, "__index__") and 0 <= found < limit):
            raise bad_argument(name, argument, found, f"an int of 0 to {limit - 1}")
    if not (hasattr(location, "__index__") and -1 <= location < 128):
        raise bad_argument(name, "location", location, "-1 (pixels in the file) or a GPU number")
    if imagetype & 0xF000F == CIRCULAR_BUFFER and len(axes) != 3:
        raise bad_argument(
            name, "imagetype", imagetype, "a circular buffer only for streams with 3 axes")
    h.naxis = len(axes)
    for i in range(h.naxis):
        h.size[i] = axes[h.naxis - 1 - i]
    h.datatype = code
    h.item_nbytes = DTYPES[code].itemsize
    h.nelement = math.prod(axes)
    h.layout = layout_of(layout)
    h.n = Counts(
        imagetype=imagetype, frame_nbytes=h.nelement * h.item_nbytes, slices=h.size[2],
        cbsize=cb_size, sem=nbsem, nbkw=nbkw, nbtrace=IMAGE_NB_PROCTRACE, location=location)
    note_unit(h)
    if not plan_sections(h.layout, &h.n, &h.at) or h.at.total >= <uint64_t>2**62:
        raise bad_argument(name, "cb_size", cb_size, "small enough for a file below 2**62 bytes")
    return 0


cdef Stream _create(Header *h, str path, str name, bytes version, object mode, bint exist_ok,
                    bint exclusive):
    """Make the file under a temporary name, fill it, and move it into place."""
    cdef Stream stream = Stream.__new__(Stream)
    cdef Snapshot old = None
    cdef Mapping mapping, old_mapping = None
    cdef stat st
    cdef int fd = -1, old_fd = -1, code = EINTR
    cdef object guard = None
    cdef bint new
    directory = os.path.dirname(path) or "."
    temporary = temporary_path(path)
    try:
        remove_abandoned(directory)
    except OSError:
        pass  # what is wrong with the directory shows below, where it matters
    try:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                     0o666 if mode is None else mode)
    except (FileNotFoundError, NotADirectoryError):
        raise StreamNotFoundError(
            f"stream {name!r}: directory {directory} does not exist; create it or set MILK_SHM_DIR",
            stream=name, path=directory) from None
    except OSError as error:
        if error.errno in (_errno.EACCES, _errno.EPERM, _errno.EROFS):
            raise StreamPermissionError(
                f"stream {name!r}: no permission to create files in {directory}",
                stream=name, path=directory) from None
        if error.errno == _errno.ENOSPC:
            raise _no_space(name, directory, h.at.total) from None
        raise StreamError(f"{temporary}: cannot be created: {error.strerror}", stream=name) from error
    try:
        mark_busy(fd)
        if mode is not None:
            os.fchmod(fd, mode)
        room = os.statvfs(directory)
        if h.at.total > room.f_bavail * room.f_frsize:
            raise _no_space(name, directory, h.at.total)  # rather than fill the disk before it fails
        while code == EINTR:
            PyErr_CheckSignals()
            with nogil:
                code = posix_fallocate(fd, 0, h.at.total)
        if code and code != _errno.ENOSPC:
            raise StreamStorageError(
                f"stream {name!r}: reserving {h.at.total} bytes in {directory} failed: "
                f"{os.strerror(code)}", stream=name, path=directory, needed=h.at.total)
        if code:
            raise _no_space(name, directory, h.at.total)
        if fstat(fd, &st) != 0:
            raise StreamError(f"{temporary}: {os.strerror(errno)}", stream=name)
        mapping = map_file(fd, h.at.total, True, path)
        map_pages(mapping, fd)
        h.inode = st.st_ino
        _fill_new(mapping.base, h, os.fsencode(name), version, True)
        if exclusive:
            # Through a descriptor of its own: memory that is mapped through this one would keep the lock.
            mark_idle(fd)
            stream.lock = lock_writer(os.open(temporary, os.O_RDONLY | os.O_CLOEXEC), name, path)
            stream.alone = True
            stream.admitted = own_pid
        try:
            while True:
                PyErr_CheckSignals()
                if old_fd >= 0:
                    mark_idle(old_fd)
                    c_close(old_fd)
                    old_fd = -1
                old_mapping = None
                new = False
                try:
                    old_fd = open_file(path, True, follow=False)  # a link is replaced, and not what it leads to
                    old = take_snapshot(old_fd, path, 0)
                    old_mapping = map_file(old_fd, old.h.at.total, True, path)
                except StreamNotFoundError:
                    new = True
                except StreamError:
                    pass  # nothing that has readers to be told
                # Who has the old file to himself keeps it; and nobody gets it until the new one is in place.
                if exist_ok and old_fd >= 0 and not exclusive:
                    check_free(old_fd, name, path)
                elif exist_ok and old_fd >= 0:
                    guard = lock_writer(os.dup(old_fd), name, path)
                    if not os.path.exists(path) or not os.path.samestat(os.fstat(old_fd), os.stat(path)):
                        guard.release()
                        continue  # it was replaced just now
                try:
                    if exist_ok and not (exclusive and new):
                        os.rename(temporary, path)
                    else:
                        os.link(temporary, path)  # unlike a rename, a link never replaces
                        os.unlink(temporary)
                    break
                except FileExistsError:
                    if not exist_ok:
                        raise StreamExistsError(
                            f"stream {name!r} exists at {path}; remove it, or create with exist_ok=True",
                            stream=name, path=path) from None
        except IsADirectoryError:
            raise StreamExistsError(
                f"stream {name!r}: {path} is a directory", stream=name, path=path) from None
        except PermissionError:
            raise StreamPermissionError(
                f"stream {name!r}: no permission to replace {path}, which belongs to another user",
                stream=name, path=path) from None
        if old_mapping is not None:
            retire(old_fd, old_mapping, &old.h)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass  # it was in place already
        raise
    finally:
        if guard is not None:
            guard.release()
        if old_fd >= 0:
            mark_idle(old_fd)
            c_close(old_fd)
        mark_idle(fd)
        c_close(fd)
    stream.file = make_file(mapping, h, path, name, "", st.st_dev, st.st_ino)
    stream.grace = WRITE_GRACE_NS
    return stream


cdef int retire(int fd, Mapping mapping, const Header *h) except -1:
    """Mark a stream that nobody can open any more, and wake its readers so that they see it.

    Not if it still has a name: it may have been reached through a link.
    """
    cdef stat st
    if fstat(fd, &st) == 0 and st.st_nlink == 0 and mapping.writable:
        (<IMAGE_METADATA *>mapping.base).inode = 0
        post_all(mapping.base, h)
    return 0


cdef object _no_space(str name, str directory, uint64_t needed):
    room = os.statvfs(directory)
    available = room.f_bavail * room.f_frsize
    return StreamStorageError(
        f"stream {name!r} needs {needed} bytes in {directory}, where {available} are free; "
        "remove streams that nobody uses, or enlarge the file system",
        stream=name, path=directory, needed=needed, available=available)


cdef int _fill_new(char *base, const Header *h, bytes name, bytes version, bint shared) except -1:
    """Write what a new stream holds. The memory is all zero; the version comes last."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint64_t nbytes = h.n.frame_nbytes
    cdef IMAGE_KEYWORD *keywords = <IMAGE_KEYWORD *>(base + h.at.keywords)
    cdef STREAM_PROC_TRACE *trace = <STREAM_PROC_TRACE *>(base + h.at.trace)
    cdef int i
    memcpy(md.name, <const char *>name, min(len(name), STRINGMAXLEN_IMAGE_NAME - 1))
    md.naxis = h.naxis
    for i in range(3):
        md.size[i] = h.size[i]
    md.nelement = h.nelement
    md.datatype = h.datatype
    md.imagetype = h.n.imagetype
    md.creatorPID = own_pid
    md.shared = shared
    md.inode = h.inode
    md.location = h.n.location
    md.sem = h.n.sem
    md.NBproctrace = h.n.nbtrace
    md.NBkw = h.n.nbkw
    md.CBsize = h.n.cbsize
    memcpy(base + at_imdatamemsize(h.layout), &nbytes, 8)
    for i in range(h.n.nbkw):
        keywords[i].type = c"N"
    for i in range(h.n.sem):
        sem_init(semaphore(base, h, i), 1, 0)
        (<int32_t *>(base + h.at.sem_read_pid))[i] = -1
        (<int32_t *>(base + h.at.sem_write_pid))[i] = -1
    for i in range(h.n.nbtrace):
        trace[i].trigsemindex = -1
    md.lastaccesstime = to_timespec(clock_ns(CLOCK_TAI))
    md.creationtime = to_timespec(clock_ns(CLOCK_TAI))
    # Everything else is there before the version says that the stream is ready.
    atomic_fence(__ATOMIC_RELEASE)
    memcpy(md.version, <const char *>version, len(version))
    return 0
