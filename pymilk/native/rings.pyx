"""Rings as Python sees them: `PrivateRing`, which a collector fills, and `RingCursor`, which reads any ring.

Frames are taken in two steps: `take` and `copy` move the cursor; the end of the `Turn` hands them over, or, if an
exception ends it, moves the cursor back. So an exception between the two loses no frame.
"""

cimport cython
from cpython.buffer cimport PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AsString, PyByteArray_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.stdint cimport int64_t, uint32_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, CLOCK_TAI, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u64, c_write, sem_init,
)
from ..protocol.clock cimport clock_ns, later
from ..protocol.cursor cimport (
    SPOILED_TRIES, Cursor, cursor_begin, cursor_copy, cursor_go, cursor_pass, cursor_rows, cursor_seek,
    cursor_skip_to, cursor_unread,
)
from ..protocol.flags cimport atomic_load_int, raise_flag
from ..protocol.frame cimport _TORN, _UNCERTAIN, _VERIFIED, GIL_RELEASE_NBYTES, Row, is_set, streams
from ..protocol.receive cimport Doubt, Job
from ..protocol.ring cimport (
    RING_PRIVATE, Ring, Total, find_ring, ring_anchor, ring_look, ring_oldest, ring_slot, ring_whole,
)
from ..protocol.semaphore cimport pymilk_fence_behind_take, pymilk_sem_wait_until, sem_post
from ..protocol.waiting cimport SLICE_NS
from .checks cimport take_buffer, timeout_ns
from .file cimport StreamFile
from .memory cimport anonymous

import math

import numpy as np

from ..arguments import check_count, check_dtype
from ..errors import FrameLostError, StreamBusyError, StreamUnsupportedError, carry
from .formats import FRAME_ROW

__all__ = ["PrivateRing", "RingCursor", "Rows", "Turn"]

# Asked of NumPy for each read, looked up once.
cdef object _ndarray = np.ndarray
cdef object _ROW = FRAME_ROW


@cython.final
@cython.auto_pickle(False)
cdef class PrivateRing:
    """A ring in memory of this process, filled by `Reader.collect`.

    Parameters
    ----------
    depth : int
        Frames that it holds, 1 or more. There is one slot more: the one being filled.
    shape : tuple of int
        Of a frame.
    dtype : dtype

    Attributes
    ----------
    slots : ndarray, shape (depth + 1, *shape)
        Page-aligned and pre-faulted; read-only.
    fd : int
        An eventfd that is written for each frame, or -1. It must stay open while the ring is filled.

    Raises
    ------
    StreamArgumentError
        The depth, the shape or the dtype is out of range.
    CaptureMemoryError
        The frames need more memory than is free.
    """

    def __cinit__(self, depth, shape, dtype):
        sem_init(&self.bell, 0, 0)
        self.fd = -1
        count = check_count("depth", depth, below=2**62) + 1
        kind = check_dtype("dtype", dtype)
        nbytes = max(math.prod(shape) * kind.itemsize, 1)
        what = f"a ring of {depth} frames {tuple(shape)} of {kind}"
        advice = "take a smaller depth"
        self._frames = anonymous(count * nbytes, what, advice)
        self._rows = anonymous(count * sizeof(Row), what, advice)
        self._totals = anonymous(count * sizeof(Total), what, advice)
        self.count = count
        self.nbytes = nbytes
        self.rows = <Row *>self._rows.base
        self.totals = <Total *>self._totals.base
        # Of a read-only region: no view of it can be made writable.
        self.slots = np.ndarray((count, *shape), kind, self._frames.region(0, count * nbytes, False))

    @property
    def written(self):
        """Frames put into the ring so far."""
        return atomic_load_u64(&self.written, __ATOMIC_ACQUIRE)

    @property
    def uncertain(self):
        """Frames put into the ring whose number is uncertain, those whose rows were flagged later included."""
        return atomic_load_u64(&self.doubt.frames, __ATOMIC_RELAXED)

    @property
    def unsettled(self):
        """Whether rows in the ring may still be flagged: the writer may count late, and its order is not known yet."""
        return atomic_load_u64(&self.doubt.pending, __ATOMIC_RELAXED) != 0

    def cursor(self, name=""):
        """Make a `RingCursor` of this ring."""
        cdef RingCursor cursor = RingCursor.__new__(RingCursor)
        cdef Ring *r = &cursor.c.ring
        r.kind = RING_PRIVATE
        r.depth = self.count
        r.nbytes = self.nbytes
        r.slots = self._frames.base
        r.written = &self.written
        r.rows = self.rows
        r.totals = self.totals
        cursor._set(self, self.slots, name, "collector")
        return cursor

    cdef void receive_into(self, Job *job) noexcept:
        job.dest.frames = self._frames.base
        job.dest.rows = self.rows
        job.dest.slots = self.count
        job.ring.totals = self.totals
        job.ring.total = self.total
        job.ring.bell = &self.bell
        job.ring.bell_fd = &self.fd
        job.ring.doubt = &self.doubt
        job.delivered = self.written
        job.done = &self.written

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
            # After the last post that was taken. Pairs with the fence in hand_over.
            pymilk_fence_behind_take()
            if atomic_load_u64(&self.written, __ATOMIC_RELAXED) > number:
                return True
            if atomic_load_int(&self.over) or now >= deadline:
                return False
            with nogil:
                pymilk_sem_wait_until(&self.bell, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            PyErr_CheckSignals()

    def nudge(self):
        """Wake a waiting thread; it checks its condition again."""
        sem_post(&self.bell)

    def end(self):
        """Announce that no frame follows: waits return, and the eventfd becomes readable."""
        cdef uint64_t one = 1
        raise_flag(&self.over, 1)  # the post orders it after `written`
        sem_post(&self.bell)
        if self.fd >= 0:
            c_write(self.fd, &one, 8)


@cython.final
@cython.auto_pickle(False)
cdef class Rows:
    """Memory for the rows of frames that are read: uninitialised, and known by its address.

    To ask a new NumPy array of records for its address takes 1 us, because NumPy writes its format as text first.

    Parameters
    ----------
    count : int
        Of rows.

    Attributes
    ----------
    array : ndarray of FRAME_ROW, shape (count,)
        The rows; keeps the memory. Made when it is asked for; ``rows[key]`` is ``rows.array[key]``.
    handed_over : int
        Rows of frames that `Turn.read_now` has handed over.

    Raises
    ------
    MemoryError
    """

    def __cinit__(self, Py_ssize_t count):
        if not 0 <= count <= PY_SSIZE_T_MAX // <Py_ssize_t>sizeof(Row):
            raise MemoryError(f"no memory for the rows of {count} frames")
        self.memory = PyByteArray_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(Row))
        self.first = <Row *>PyByteArray_AsString(self.memory)
        self.count = count

    @property
    def array(self):
        if self.made is None:
            self.made = _ndarray((self.count,), _ROW, self.memory)
        return self.made

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        return self.array[key]


# What an unset cursor reads.
cdef uint64_t _nothing_written = 0


@cython.final
@cython.auto_pickle(False)
cdef class RingCursor:
    """The position of one reader in a ring: takes frames in order, in place or as copies, and keeps account.

    Made by `Stream.ring_cursor` and `PrivateRing.cursor`. It never waits. It numbers the frames of the ring itself
    (`seq`); the numbers of the stream are in the rows. `protocol/ring.pxd` states the protocol. Not for use by two
    threads at once, except for `overwritten`.

    Attributes
    ----------
    name : str
        Of the stream.
    source : {"temporal", "fast", "collector"}
    slots : ndarray, shape (depth, *shape)
        The ring as a read-only view.
    pending : int
        Frames copied and not handed over yet: see `Turn`.
    """

    def __cinit__(self):
        # Until `_set` it reads an empty ring.
        self.c.ring.kind = RING_PRIVATE
        self.c.ring.depth = self.c.ring.nbytes = 1
        self.c.ring.written = &_nothing_written

    def __init__(self):
        raise TypeError("a RingCursor is made by Stream.ring_cursor or PrivateRing.cursor")

    cdef int _set(self, object keeper, object slots, str name, str source) except -1:
        self.keeper = keeper
        self.slots = slots
        self.name = name
        self.source = source
        ring_anchor(&self.c.ring)
        cursor_begin(&self.c, self.c.ring.head + 1)
        self.commit()
        return 0

    cdef void commit(self) noexcept:
        self.before = self.given
        self.given = self.c
        self.pending = 0

    cdef void roll_back(self, const Cursor *to) noexcept:
        """Go back to an older position and account; what the looks at the ring have shown since stays known."""
        cdef Ring ring = self.c.ring
        ring.reset = ring.reset or to.ring.reset or ring.counter < to.ring.counter
        self.c = to[0]
        self.c.ring = ring
        self.pending = 0

    cdef bint _is_damaged(self) noexcept:
        """Tell whether the memory holds no frames any more: its file was cut, or its header rewritten."""
        return self.file is not None and self.file.is_damaged()

    def begin(self, start):
        """Go to the "next" frame to come, or to the "newest" or "oldest" one in the ring. Begin a new account."""
        ring_look(&self.c.ring)
        head = self.c.ring.head
        oldest = ring_oldest(&self.c.ring)
        seq = {"next": head + 1, "newest": max(oldest, head), "oldest": oldest}[start]
        cursor_begin(&self.c, min(seq, head + 1))
        self.c.received = self.c.lost = self.c.skipped = self.c.counter_set = self.c.unflagged = 0
        self.commit()

    def after_file(self, missed):
        """Go to the first frame of a new file of the stream.

        `missed` frames of the old file were not received: they count as lost before the first frame of this one.
        """
        if self.c.ring.kind == RING_PRIVATE:
            raise StreamUnsupportedError(
                f"stream {self.name!r}: a private ring goes on from file to file by itself", stream=self.name)
        cursor_seek(&self.c, 0)
        self.c.new_file = True
        self.c.missed = missed
        self.commit()

    def go_on(self, RingCursor old not None):
        """Go on with the account of the cursor of an older source, including frames not handed over yet."""
        self.c.received += old.c.received
        self.c.lost += old.c.lost
        self.c.skipped += old.c.skipped
        self.c.counter_set += old.c.counter_set
        self.c.unflagged += old.c.unflagged
        self.commit()
        self.pending = old.pending
        # If those frames are never handed over, they are lost: the older source is gone.
        self.given.received = old.given.received
        self.given.lost += old.c.received - old.given.received

    def take_back(self, seq):
        """Mark the frames handed over last as unread again, if frame `seq` is still the next one."""
        if self.given.next == <uint64_t>seq:
            self.roll_back(&self.before)
            self.given = self.c

    def take_back_to(self, first):
        """Mark the frames handed over last as unread again, if frame `first` was the next one before."""
        if self.given.next != <uint64_t>first and self.before.next == <uint64_t>first:
            self.roll_back(&self.before)
            self.given = self.c

    @property
    def next(self):
        """Frame that is read next, as the cursor numbers them."""
        return self.c.next

    @property
    def capacity(self):
        """Frames that the ring holds at most: all slots but the one that may be changing."""
        return self.c.ring.depth - 1

    @property
    def received(self):
        """Frames taken or copied, each counted once."""
        return self.c.received

    @property
    def lost(self):
        """Frames published since `begin` that were overwritten before they were read."""
        return self.c.lost

    @property
    def skipped(self):
        """Frames skipped on request."""
        return self.c.skipped

    @property
    def counter_set(self):
        """Times that another program set the counter of the stream, as the rows of these frames say."""
        return self.c.counter_set

    @property
    def unflagged(self):
        """Rows taken from a private ring before their writer was seen to count late: they should have been flagged."""
        self.settle_likely(&self.c)
        return self.c.unflagged

    @property
    def last(self):
        """Number of the frame before the next one; of the ring of a stream only."""
        return self.c.last

    @property
    def counter(self):
        """Counter of the stream at the last look; of a private ring, the frames written."""
        return self.c.ring.head if self.c.ring.kind == RING_PRIVATE else self.c.ring.counter

    @property
    def missing(self):
        """Frames that the stream published after the last one taken, by its counter; 0 if it is damaged."""
        cdef uint64_t counter
        if self.c.ring.kind == RING_PRIVATE:
            return self.c.ring.head - self.c.seen
        if self._is_damaged():
            return 0
        counter = atomic_load_u64(&self.c.ring.md.cnt0, __ATOMIC_ACQUIRE)
        if counter <= self.c.last or is_set(counter - self.c.last, clock_ns(CLOCK_TAI) - self.c.arrived):
            return 0
        return counter - self.c.last

    def unread(self):
        """Look how far the writer is; returns the number of unread frames. 0 if the stream is damaged."""
        cdef uint64_t oldest
        ring_look(&self.c.ring)
        if self._is_damaged():
            return 0
        oldest = max(self.c.next, ring_oldest(&self.c.ring))
        return self.c.ring.head + 1 - oldest if self.c.ring.head >= oldest else 0

    def idle(self):
        """Look how far the writer is; returns the counter to wait after, or None if there are unread frames.

        One look for both: with a counter of a second look, a frame that came in between would be missed.
        """
        ring_look(&self.c.ring)
        return None if cursor_unread(&self.c) and not self._is_damaged() else self.counter

    def take(self, limit, *, consume=True, newest=False, strict=False):
        """Take the next frames that are contiguous in memory, in place.

        Parameters
        ----------
        limit : int
            Largest number of frames, 1 or more.
        consume : bool, default True
            False leaves the cursor where it is.
        newest : bool, default False
            Skip all but the newest one.
        strict : bool, default False
            Raise before a frame that follows lost ones; the next call continues with it.

        Returns
        -------
        (int, int, ndarray of FRAME_ROW) or None
            seq and slot of the first frame, and one row a frame. None if there are no frames, or the stream is
            damaged.

        Raises
        ------
        FrameLostError
            Only if strict.
        """
        cdef Cursor *c = &self.c
        cdef Ring *r = &c.ring
        cdef uint64_t count, losing, seq, slot, wanted = limit
        cdef Rows made
        cdef Row *rows
        cdef int64_t arrival
        cdef int tries = 0
        while True:
            ring_look(r)
            if newest and cursor_unread(c) > 1:
                cursor_skip_to(c, r.head)
            c.next = max(c.next, ring_oldest(r))
            if tries > SPOILED_TRIES and cursor_unread(c) > 1:
                c.next = r.head  # filling rows takes longer than the writer takes for a lap
            count = min(cursor_unread(c), wanted)
            if count == 0:
                return None
            seq = c.next
            slot = ring_slot(r, seq)
            count = min(count, r.depth - slot)
            made = Rows(count)
            rows = made.first
            arrival = clock_ns(CLOCK_TAI)
            losing = cursor_rows(c, count, rows, 0, arrival)
            if strict and losing > 1:
                count = losing - 1
                cursor_rows(c, count, rows, 0, arrival)
            tries += 1
            if ring_whole(r, seq) or tries > 4 * SPOILED_TRIES:
                break  # the rows are those of these frames
        if self._is_damaged():
            return None
        self.flag_doubtful(rows, count)
        if strict and losing == 1:
            # Kept if the turn is rolled back: the next call continues.
            c.excused = self.given.excused = seq
            raise self._lost(rows)
        if consume:
            cursor_pass(c, count, rows)
            self.note_likely(c, rows, count)
        return seq, slot, made.array[:count] if strict and losing else made.array

    def copy(self, out, Rows rows not None, first, *, limit=None, strict=False):
        """Copy unread frames into memory of the caller, each verified to be whole.

        Parameters
        ----------
        out : ndarray, shape (n, *shape), dtype of the ring, C-contiguous, writable
        rows : Rows
            Of n frames.
        first : int
            Row to begin at.
        limit : int, optional
            Largest number of frames.
        strict : bool, default False
            As for `take`; frames before the lost ones are delivered first.

        Returns
        -------
        int
            `first` plus the number of frames copied.

        Notes
        -----
        512 KiB and more are copied without the GIL.
        """
        cdef Cursor c = self.c
        cdef Py_buffer frames
        cdef Row *info
        cdef uint64_t room, at = first, got
        cdef bint losing = False, hold = strict
        cdef bint streaming
        take_buffer(out, &frames, True, self.name, "out")
        try:
            room = min(frames.len // c.ring.nbytes, <uint64_t>rows.count)
            room = room - at if room > at else 0
            if limit is not None:
                room = min(room, <uint64_t>limit)
            info = rows.first + at
            streaming = streams(c.ring.nbytes, frames.len)
            ring_look(&c.ring)
            if min(room, cursor_unread(&c)) * c.ring.nbytes < GIL_RELEASE_NBYTES:
                got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes, info, room, streaming, hold, &losing)
            else:
                with nogil:
                    got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes, info, room, streaming, hold,
                                      &losing)
            if self._is_damaged():
                return at
            self.note_likely(&c, info, got)
            self.c = c
            self.pending += got
            if losing and got == 0:
                raise self._lost(info)
            if losing:
                self.c.excused = 0  # raised by the next call
        finally:
            PyBuffer_Release(&frames)
        return at + got

    cdef int64_t copy_now(self, out, Rows rows, uint64_t count, bint newest, bint strict) except -2:
        """Do the work of `Turn.read_now`."""
        cdef Cursor c = self.c
        cdef Py_buffer frames
        cdef int64_t began = clock_ns(CLOCK_MONOTONIC)
        cdef bint losing = False
        cdef uint64_t got
        ring_look(&c.ring)
        if newest:
            c.next = max(c.next, ring_oldest(&c.ring))
            if cursor_unread(&c) > 1:
                cursor_skip_to(&c, c.ring.head)
        if cursor_unread(&c) < count or count * c.ring.nbytes >= GIL_RELEASE_NBYTES:
            return -1
        take_buffer(out, &frames, True, self.name, "out")
        got = 0
        if frames.len >= <Py_ssize_t>(count * c.ring.nbytes) and rows.count >= <Py_ssize_t>count:
            got = cursor_copy(&c, <char *>frames.buf, rows.first, count, False, strict, &losing)
        PyBuffer_Release(&frames)
        if got < count or self._is_damaged():
            return -1
        self.flag_doubtful(rows.first, count)
        self.note_likely(&c, rows.first, count)
        # Nothing is called from here on: all of it, or nothing.
        self.c = c
        self.commit()
        rows.handed_over = count
        return clock_ns(CLOCK_MONOTONIC) - began

    def amend(self, Rows rows not None, count):
        """Flag those of the first `count` rows that were copied before their writer was seen to count late."""
        cdef uint64_t flagged
        self.settle_likely(&self.c)
        flagged = self.flag_doubtful(rows.first, count)
        # They were taken as likely, and are told now.
        self.c.unflagged -= min(flagged, self.c.unflagged)

    cdef void note_likely(self, Cursor *c, const Row *rows, uint64_t count) noexcept:
        """Count the rows that were taken and may be flagged when they are gone."""
        cdef const Doubt *doubt
        cdef int64_t since, arrival
        cdef uint64_t i
        if c.ring.kind != RING_PRIVATE or self.keeper is None:
            return
        self.settle_likely(c)
        doubt = &(<PrivateRing>self.keeper).doubt
        since = doubt.likely
        if since != c.likely_since:
            c.likely, c.likely_since = 0, since
        if since == 0 and c.told == 0:
            return
        for i in range(count):
            arrival = rows[i].arrival_ns
            if rows[i].flags & _VERIFIED == 0:
                continue
            if since and arrival >= since:
                c.likely += 1
            elif c.told and doubt.since <= arrival <= <int64_t>c.told:
                c.unflagged += 1  # until `amend` flags it

    cdef void settle_likely(self, Cursor *c) noexcept:
        """Note whether the rows of `likely` have been flagged since."""
        cdef const Doubt *doubt
        cdef uint64_t until
        if c.ring.kind != RING_PRIVATE or self.keeper is None:
            return
        doubt = &(<PrivateRing>self.keeper).doubt
        # Acquire: pairs with the release in flag_likely.
        until = atomic_load_u64(&doubt.until, __ATOMIC_ACQUIRE)
        if until != c.told:
            c.told = until
            if c.likely_since == doubt.flagged:
                c.unflagged += c.likely
            c.likely = 0

    cdef uint64_t flag_doubtful(self, Row *rows, uint64_t count) noexcept:
        """Do the work of `amend`; returns how many rows were flagged."""
        cdef const Doubt *doubt
        cdef int64_t until
        cdef uint64_t i, flagged = 0
        cdef Row *row
        if self.c.ring.kind != RING_PRIVATE or self.keeper is None:
            return 0
        doubt = &(<PrivateRing>self.keeper).doubt
        # Acquire: pairs with the release in flag_likely.
        until = atomic_load_u64(&doubt.until, __ATOMIC_ACQUIRE)
        if until == 0:
            return 0
        for i in range(count):
            row = rows + i
            if doubt.since <= row.arrival_ns <= until and row.flags & _VERIFIED:
                row.flags = (row.flags & ~<uint32_t>_VERIFIED) | _TORN | _UNCERTAIN
                flagged += 1
        return flagged

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
        """Skip up to `count` unread frames; returns how many were skipped."""
        cdef uint64_t seq, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        self.c.next = max(self.c.next, ring_oldest(&self.c.ring))
        seq = min(self.c.next + wanted, self.c.ring.head + 1)
        done = seq - self.c.next if seq > self.c.next else 0
        cursor_skip_to(&self.c, seq)
        return done

    def rewind(self, count):
        """Go back by up to `count` frames that are still whole; returns by how many. They are not counted again."""
        cdef uint64_t oldest, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        oldest = ring_oldest(&self.c.ring)
        if oldest >= self.c.next:
            return 0
        done = min(self.c.next - oldest, wanted)
        cursor_go(&self.c, self.c.next - done)
        return done

    def overwritten(self, seq, count):
        """Return how many of `count` frames from `seq` on may have been overwritten by now."""
        cdef Ring now = self.c.ring
        cdef uint64_t first = seq, oldest
        # The look comes after every read before it. Pairs with the fence of the writer (protocol/ring.pxd).
        atomic_fence(__ATOMIC_ACQUIRE)
        ring_look(&now)
        oldest = ring_oldest(&now)
        if self._is_damaged():
            return count
        return min(oldest - first, <uint64_t>count) if oldest > first else 0

    def fork(self):
        """Make a second cursor at the same position, with an account of its own."""
        cdef RingCursor other = RingCursor.__new__(RingCursor)
        other.c.ring = self.c.ring
        other.keeper = self.keeper
        other.file = self.file
        other.slots = self.slots
        other.name = self.name
        other.source = self.source
        cursor_begin(&other.c, self.c.next)
        other.commit()
        return other


@cython.final
@cython.auto_pickle(False)
cdef class Turn:
    """Let one thread at a time read, and hand over at the end what it took; for the ``with`` statement.

    Leaving it without an exception hands the frames over; an exception makes them unread again. No exception can
    come between taking the turn and being able to give it back: Python handles no signal inside these methods.

    Attributes
    ----------
    cursor : RingCursor
        The cursor that the frames are taken from.
    given, receiver : Capture and BaseException, or None
        What was handed over with an exception in this turn, and that exception; until it leaves the read.
    """

    def __init__(self, str name not None):
        self.name = name

    def locked(self):
        """Tell whether a thread has the turn."""
        return self.busy

    def after_fork(self):
        """Give the turn back that a thread of the parent has; what it took is unread."""
        if self.busy:
            self.cursor.roll_back(&self.cursor.given)
            self.busy = False

    cdef int begin(self) except -1:
        # The GIL is held from the test to the store.
        if self.busy:
            raise StreamBusyError(
                f"stream {self.name!r}: another thread is reading from this ring reader, or a signal handler "
                "interrupted a read; give each a reader of its own", stream=self.name)
        self.busy = True
        return 0

    def __enter__(self):
        self.begin()
        self.given = self.receiver = None
        return self

    cdef int64_t read_now(self, out, Rows rows, uint64_t count, bint newest, bint strict) except -2:
        """Copy the next frames if so many are unread, in a turn of its own: all of this, or nothing.

        There is no step of Python between the first look at the ring and the handing over, in which an exception could
        come. `rows.handed_over` tells an exception that comes behind it.

        Parameters
        ----------
        out, rows
            As for `RingCursor.copy`, of `count` frames.
        count : int
            Of less than 512 KiB.
        newest : bool
            Skip all but the newest one; `count` is 1.
        strict : bool
            Not if frames were lost.

        Returns
        -------
        int
            Nanoseconds that it took; -1 if nothing was done, and waiting is needed, or an error due.

        Raises
        ------
        StreamBusyError
            Another thread has the turn.
        FrameMismatchError
            `out` is not contiguous, or read-only.
        """
        self.begin()
        try:
            return self.cursor.copy_now(out, rows, count, newest, strict)
        finally:
            self.busy = False

    def __exit__(self, kind, error, trace):
        if self.cursor is not None:
            if kind is None:
                self.cursor.commit()
            else:
                self.cursor.roll_back(&self.cursor.given)
        self.busy = False

    def give(self, error, capture):
        """Hand over the frames with an exception, as its `capture`; if it takes none, they stay unread."""
        try:
            error.capture = capture
        except Exception:
            return
        self.cursor.commit()
        self.given = capture
        self.receiver = error

    def carry(self, error, capture):
        """Let an exception that came after the turn carry `capture`; None: what the turn gave to another one."""
        if capture is None:
            capture = self.given
        self.given = self.receiver = None
        if capture is not None:
            carry(error, capture=capture)


cdef RingCursor stream_cursor(StreamFile file):
    cdef char *base = file.use_whole()
    cdef RingCursor cursor = RingCursor.__new__(RingCursor)
    cdef Ring *r = &cursor.c.ring
    file.need_pixels()
    if not find_ring(r, base, &file.h):
        return None
    slots = np.ndarray(
        (r.depth, *file.frame_shape), file.dtype, file.mapping.region(r.slots - base, r.depth * r.nbytes, False))
    cursor.file = file
    cursor._set(None, slots, file.name, "temporal" if file.h.temporal else "fast")
    return cursor
