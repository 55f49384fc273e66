"""Frames in order, in place, from any stream, while Python is busy.

`RingReader` reads one of three rings: the slices of a temporal circular cube, the slots of a fast circular
buffer, or, for other streams, a ring of this process that a thread fills without Python's global lock.
`protocol/ring.pxd` states how overwritten frames are recognised.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import FRAME_ROW, PrivateRing, Reader, RingCursor, Rows, Stream, Turn, allocate, checked_timeout
from ..arguments import STARTS, bad_argument, check_choice, check_count, older_words
from ..axes import Orientation
from ..capture import Capture, finished_capture
from ..errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamClosedError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamUnsupportedError,
)
from ..streams.keeping import Kept
from ..streams.silence import why_silent
from ..streams.waiting import Awaited, Follower, spin_of
from ..system.eventfds import new_eventfd
from ..system.forks import tell_after_fork
from ..system.signals import unbroken
from ..system.threads import no_thread
from ..times import now_ns
from .block import Block, RingReport
from .reading import FrameKind, ReadCalls, Reading
from .receiver import Beginning, ReceiverThread

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["RingReader"]

#: Default depth of a collector's ring: as many frames as fit into these bytes, within limits.
_DEFAULT_NBYTES = 256 << 20
_DEFAULT_DEPTH = (16, 8192)

#: Longest and shortest sleep of `read` between two copies, in seconds.
_GATHER_SECONDS = 0.005
_GATHER_LEAST = 0.0002

#: Length of one wait in the thread of `ablocks`, in seconds.
_ASYNC_SLICE = 0.1

#: Wake-ups without a new slot after which the writer is assumed not to fill the ring.
_LEFT_OUT = 3


class RingReader(ReadCalls):
    """Read the frames of a stream in order, out of a ring.

    Usually made by `pymilk.SHM.ring_reader`, which also brings the orientation.

    Parameters
    ----------
    stream : Stream or str
        The stream, which the reader does not close, or its name. A new file with frames of the same shape
        and dtype is followed, with or without a ring.
    depth : int, optional
        Frames that a collector keeps. Default: what fits into 256 MiB, but 16 to 8192. A ring in shared
        memory has the depth that its writer chose; all but one of its frames are available.
    policy : {"every", "newest"}
        "every": a bounded queue; frames that are overwritten before they are read count as lost, and reading
        continues at the oldest safe frame. "newest": jump to the latest frame; those between count as
        skipped.
    on_lost : {"count", "raise"}
        "raise": `FrameLostError` before a frame that follows lost ones; the next call continues.
    start : {"next", "oldest", "newest", "first"}
        First frame: the next one published, the oldest one available, the newest one, or the first one that
        the stream ever had; those of them that are gone are in `lost`.
    wait : {"auto", "spin", "sleep"}
        How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`.
    source : {"auto", "collector"}
        "collector": collect into a ring of this process although the stream has one, for instance because
        that is not deep enough. The collector then reads from the ring of the stream.
    cpu, priority : int, optional
        Core and SCHED_FIFO priority of the collector's thread.
    orientation : Orientation, optional
        How the user sees frames. Default: as the stream has them.

    Attributes
    ----------
    name : str
        Of the stream.
    shape : tuple of int
        Of a frame as the user sees it.
    dtype : numpy.dtype
    kept : Kept
        The `SHM` that made it stays open until the reader is closed.

    Raises
    ------
    StreamArgumentError
        An argument is not one of those above.
    CaptureMemoryError
        A collector's ring of that depth needs more memory than there is.
    StreamFormatError
        The pixels are on a GPU.
    StreamStorageError
        The system gives no thread for a collector.
    StreamError
        As `pymilk.Stream.attach`, if `stream` is a name.

    Warns
    -----
    SchedulingWarning
        The priority is not permitted.

    Notes
    -----
    Writers never wait for readers: there is no flow control. Any number of readers may read one ring, in
    one process or several.

    One thread at a time may read; a second one gets `StreamBusyError`. `dump`, `latest`, `lag`, the report
    and `Block.intact` may be used from any thread. Calls of a closed reader raise `StreamClosedError`.

    Rings of depth 1 hold no history: such streams are read through a collector, and so are streams whose
    writer never fills the fast circular buffer.

    Examples
    --------
    >>> import numpy as np, pymilk
    >>> with pymilk.SHM("doc_ring", ((2, 3), np.uint16), ring=8, replace="if-free") as shm:
    ...     with shm.ring_reader() as ring:
    ...         counter = shm.set_many(np.arange(18, dtype=np.uint16).reshape(3, 2, 3))
    ...         block = ring.peek(10)
    ...         print(ring.source, block.frames[:, 0, 0], block.info["lost"], block.intact())
    ...     shm.destroy()
    fast [ 0  6 12] [0 0 0] True
    """

    def __init__(
        self,
        stream: Stream | str,
        *,
        depth: int | None = None,
        policy: str = "every",
        on_lost: str = "count",
        start: str = "next",
        wait: str = "auto",
        source: str = "auto",
        cpu: int | None = None,
        priority: int | None = None,
        orientation: Orientation | None = None,
    ) -> None:
        check_choice("policy", policy, ("every", "newest"))
        check_choice("on_lost", on_lost, ("count", "raise"))
        check_choice("start", start, (*STARTS, "first"))
        check_choice("source", source, ("auto", "collector"))
        if depth is not None:
            check_count("depth", depth, below=2**62)
        self._spin = spin_of(wait)
        if not isinstance(stream, (str, Stream)):
            wanted = "the name of a stream or a Stream; SHM.ring_reader reads an SHM"
            raise bad_argument("stream", stream, wanted)
        owned = isinstance(stream, str)
        self._source = Follower(Stream.attach(stream) if isinstance(stream, str) else stream, owned=owned)
        self.name = self._stream.name
        self.dtype = self._stream.dtype
        self._orientation = orientation or Orientation(self._stream.frame_shape)
        self.shape = self._orientation.shape
        self._frame_shape = self._stream.frame_shape
        nbytes = math.prod(self._frame_shape) * self.dtype.itemsize
        self._kind = FrameKind(self.name, self._orientation, self._frame_shape, self.dtype, nbytes)
        self.policy = policy
        self._newest = policy == "newest"
        self._strict = on_lost == "raise"
        self._forced = source == "collector"
        self._wanted_depth = depth
        self._scheduling = (cpu, priority)
        self._turn = Turn(self.name)
        self.kept = Kept()
        self._closed = False
        self._began = time.monotonic()
        self._left_out = 0
        self._asked = 0.0  # seconds that the present wait may take
        self._bell = -1
        self._executor: ThreadPoolExecutor | None = None
        self._reader: Reader | None = None
        self._collector: ReceiverThread | None = None
        self._ring: PrivateRing | None = None
        self._cursor: RingCursor
        self._place: Stream | None = None  # the stream that the cursor is in
        try:
            self._open(start, 0 if start == "first" else None)
        except BaseException:
            self._source.close()
            raise
        tell_after_fork(self)

    def _after_fork(self) -> None:
        # A thread that is not here may have had the turn: what it took is unread.
        self._turn.after_fork()
        self._executor = None
        if self._bell >= 0:
            assert self._ring is not None
            self._ring.fd = -1
            os.close(self._bell)
            self._bell = -1

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            f"the ring reader of stream {self.name!r} cannot be pickled: its place in the ring, and a "
            "collector's thread, belong to this process; pass the name, and make a reader on the other side"
        )

    @property
    def _stream(self) -> Stream:
        return self._source.stream

    # -- sources -------------------------------------------------------------------------------

    def _open(self, start: str, missed: int | None) -> None:
        """Choose the source and begin. `missed`: frames of an older file that were not received."""
        cursor = None if self._forced else self._stream.ring_cursor()
        unused = self._stream.counter > 0 and self._stream.cb_index == self._stream.cb_cycle == 0
        if cursor is None or (cursor.source == "fast" and unused):
            self._collect(start, missed)
            return
        reader = self._stream.reader()
        if missed is None:
            cursor.begin(start)
        else:
            cursor.after_file(missed)
        self._use(cursor, reader)

    def _collect(self, start: str, missed: int | None, after: int | None = None) -> None:
        """Start a collector, at `start` or behind the frame with number `after`."""
        shape = self._stream.frame_shape
        nbytes = max(1, math.prod(shape) * self.dtype.itemsize)
        low, high = _DEFAULT_DEPTH
        depth = self._wanted_depth or max(low, min(high, _DEFAULT_NBYTES // nbytes))
        try:
            ring = self._ring or PrivateRing(depth, shape, self.dtype)
        except CaptureMemoryError as error:
            if error.needed <= error.available:  # refused for another reason, which the error tells
                why = f"cannot be allocated: {error}; take a smaller depth"
            else:
                why = (
                    f"needs {error.needed} bytes, but only {error.available} are free; a depth of "
                    f"{error.available // (2 * nbytes)} would take half of them"
                )
            raise CaptureMemoryError(
                f"stream {self.name!r}: a ring of {depth} frames {shape} of {self.dtype} {why}",
                stream=self.name,
                needed=error.needed,
                available=error.available,
            ) from None
        cursor = ring.cursor(self.name)
        spin = self._spin  # the thread must not hold the reader, which would never be collected then
        collector = ReceiverThread(
            self._stream,
            lambda reader, after, missed: reader.collect(
                ring, after=after, spin_ns=spin, missed=missed
            ),
            begin=Beginning(start, after, missed),
            scheduling=self._scheduling,
            finished=ring.end,
            what="collector",
        )
        try:
            self._use(cursor, None, ring, collector)
        except BaseException:
            collector.stop()
            raise

    def _use(
        self,
        cursor: RingCursor,
        reader: Reader | None,
        ring: PrivateRing | None = None,
        collector: ReceiverThread | None = None,
    ) -> None:
        """Go over to another source, with the account of the one before."""
        slots = self._orientation.view(cursor.slots)
        place, turn, source = self._stream, self._turn, self._source
        if turn.cursor is not None:
            cursor.go_on(turn.cursor)
        # Nothing is called from here on, so no signal handler comes in between.
        self._slots = slots
        self._reader = reader
        self._ring = ring
        self._collector = collector
        self._place = place
        self._cursor = cursor
        turn.cursor = cursor
        source.missed = None

    def _follow(self, deadline: float | None) -> None:
        """Continue with the new file of the stream; unread frames of the old one are lost."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        went = self._source.follow(
            left,
            begin=_nothing,  # see `_wait`: an interrupt may come before the cursor follows
            missed=lambda old: self._cursor.missing,
            stopping=lambda: self._closed,
        )
        if not went:
            raise self._is_closed()
        self._enter()

    def _enter(self) -> None:
        """Go over to the ring of the stream that was followed."""
        old = self._reader
        self._open("oldest", self._source.missed)
        if old is not None:
            old.close()

    def _is_left_out(self) -> bool:
        """Count a frame that is missing in the ring; after `_LEFT_OUT` of them, start a collector."""
        self._left_out += 1
        if self._left_out < _LEFT_OUT:
            return False
        old = self._reader
        assert old is not None
        # Behind the last frame delivered, so that what is gone counts as lost.
        self._collect("next", None, after=self._cursor.last)
        old.close()
        return True

    # -- waiting -------------------------------------------------------------------------------

    def _wait(self, deadline: float | None) -> None:
        """Wait until there may be a frame; raise `StreamTimeoutError` at the deadline."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if self._closed:
            raise self._is_closed()
        if self._place is not self._stream:
            self._enter()
            return
        known = self._cursor.idle()
        if known is None:
            return
        if self._collector is not None:
            assert self._ring is not None
            if not self._ring.wait(known, left):
                if not self._collecting():
                    raise self._why_ended()
                raise self.timeout_error()
            return
        assert self._reader is not None
        if self._cursor.source == "fast" and known > self._cursor.last and self._is_left_out():
            return  # published outside the ring, as by ImageStreamIO's Python wrapper
        try:
            self._reader.wait(left, after=known, spin_ns=self._spin)
        except StreamReplacedError:
            if self._cursor.unread() == 0:
                try:
                    self._follow(deadline)
                except (StreamNotFoundError, StreamNotReadyError):
                    raise self.timeout_error() from None
            return
        except StreamTimeoutError:
            raise self.timeout_error() from None  # with the seconds that were asked for
        except StreamClosedError:
            raise self._is_closed() from None
        if left == 0 and self._cursor.unread() == 0:
            raise self.timeout_error()

    def _collecting(self) -> bool:
        return self._collector is not None and self._collector.running

    def _why_ended(self) -> BaseException:
        """Return the exception that ended the collector."""
        error = None if self._collector is None else self._collector.error
        return error or self._is_closed()

    def timeout_error(self, asked: float | None = None) -> StreamTimeoutError:
        """Return the error for a wait of `asked` seconds without a frame (default: the present wait)."""
        asked = self._asked if asked is None else asked
        stream = self.stream
        counter, why = 0, "the stream is closed"
        if not stream.closed:
            counter, why = stream.counter, why_silent(stream)
        return StreamTimeoutError(
            f"stream {self.name!r}: no new frame in the ring ({self.source}) within {asked:g} s; its "
            f"counter is {counter}, {why}",
            stream=self.name,
            timeout=asked,
            counter=counter,
        )

    def _check_whole(self) -> None:
        """Raise `StreamDamagedError` if the shared memory was damaged."""
        if self._collector is None and not self._stream.closed:
            self._stream.check_whole()

    def _is_closed(self) -> StreamClosedError:
        return StreamClosedError(
            f"stream {self.name!r}: the ring reader is closed, or its stream was; make a new one",
            stream=self.name,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise self._is_closed()

    def _deadline(self, timeout: float | None) -> float | None:
        limit = checked_timeout(timeout, self.name)
        self._asked = math.inf if limit is None else limit
        return None if limit is None else time.monotonic() + limit

    def _count(self, argument: str, value: int, least: int = 0) -> int:
        return check_count(argument, value, least=least, stream=self.name)

    # -- reading -------------------------------------------------------------------------------

    def _try_block(self, limit: int, consume: bool = True) -> Block | None:
        cursor = self._cursor
        got = cursor.take(min(limit, 1 << 62), consume=consume, newest=self._newest, strict=self._strict)
        if self._bell >= 0:
            self._reset_bell()
        if got is None:
            return None
        seq, slot, info = got
        return Block(self, cursor, seq, self._slots[slot : slot + len(info)], info)

    def _next_block(self, limit: int, timeout: float | None, wait: bool = True) -> Block | None:
        block: Block | None = None
        try:
            with self._turn:
                self._check_open()
                block = self._try_block(limit)
                if block is None and wait:
                    deadline = self._deadline(timeout)
                    while block is None:
                        self._wait(deadline)
                        block = self._try_block(limit)
                self._left_out = 0
            return block
        except BaseException:
            if block is not None:
                block.unread()
            raise

    def wait(self, timeout: float | None = 5.0) -> None:
        """Wait until there are unread frames, and take none. Parameters and errors as for `blocks`."""
        with self._turn:
            self._check_open()
            deadline = self._deadline(timeout)
            while self._place is not self._stream or self._cursor.unread() == 0:
                self._wait(deadline)

    @older_words(max_frames="frames")
    def blocks(self, frames: int = 512, timeout: float | None = 5.0) -> Iterator[Block]:
        """Yield the unread frames, in order, as blocks of views; wait if there are none. Never ends.

        Parameters
        ----------
        frames : int, default 512
            Most frames of a block. A block is given as soon as there is one frame, and never crosses the
            end of the ring. With the policy "newest" it has one frame.
        timeout : float or None, default 5.0
            Longest wait for a block, in seconds; None waits without limit.

        Yields
        ------
        Block

        Raises
        ------
        StreamTimeoutError
            No frame in time.
        FrameLostError
            Only with ``on_lost="raise"``; a new call continues behind the lost frames.
        StreamChangedError
            The stream was recreated with another shape or dtype.
        StreamClosedError
            The reader or its stream was closed.
        StreamBusyError
            Another thread is reading from this reader.
        """
        limit = self._count("frames", frames, 1)
        checked_timeout(timeout, self.name)
        while True:
            block = self._next_block(limit, timeout)
            assert block is not None
            yield block

    @older_words(max_frames="frames")
    async def ablocks(
        self, frames: int = 512, timeout: float | None = 5.0
    ) -> AsyncIterator[Block]:
        """Yield the unread frames as `blocks` does, without blocking the event loop.

        A thread of this reader waits. Cancelling the task ends the wait at once. Parameters and errors as
        for `blocks`, and `StreamStorageError` where the system gives no thread.
        """
        limit = self._count("frames", frames, 1)
        checked_timeout(timeout, self.name)
        import asyncio  # here, because it takes longer to import than all of pymilk

        loop = asyncio.get_running_loop()
        while True:
            deadline = self._deadline(timeout)
            while True:
                block = self._next_block(limit, timeout, wait=False)
                if block is not None:
                    break
                if self._executor is None:
                    from concurrent.futures import ThreadPoolExecutor

                    self._executor = ThreadPoolExecutor(1, f"pymilk-ring-{self.name}")
                try:
                    waiting = loop.run_in_executor(self._executor, self._wait_a_little, deadline)
                except RuntimeError as error:
                    self._executor = None
                    raise (self._is_closed() if self._closed else no_thread()) from error
                try:
                    await asyncio.shield(waiting)
                except asyncio.CancelledError:
                    self._end_wait()
                    with contextlib.suppress(Exception):
                        await waiting  # it ends at once; after that the reader is free
                    raise
            yield block

    def _wait_a_little(self, deadline: float | None) -> None:
        """Wait for a frame for `_ASYNC_SLICE` seconds; called in the thread of `ablocks`."""
        soon = time.monotonic() + _ASYNC_SLICE
        with self._turn:
            self._check_open()
            try:
                self._wait(soon if deadline is None else min(soon, deadline))
            except StreamTimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    def _end_wait(self) -> None:
        """End a wait of another thread early."""
        if self._ring is not None:
            self._ring.nudge()
        if self._reader is not None:
            self._reader.stop()

    def _read(self, reading: Reading, count: int, timeout: float | None) -> Capture:
        cube, rows, began = reading.cube, reading.rows, time.monotonic()
        deadline: float | None = began
        waited = False
        try:
            # `pending` moves together with the cursor: whatever comes between two lines, it is right.
            while (done := self._cursor.pending) < count:
                if self._newest:
                    self._cursor.skip(max(0, self._cursor.unread() - 1))
                    self._cursor.copy(cube, rows, done, limit=1, strict=self._strict)
                else:
                    self._cursor.copy(cube, rows, done, strict=self._strict)
                now = self._cursor.pending
                if now == count:
                    break
                if now > done or not waited:
                    deadline, waited = self._deadline(timeout), True
                if now > done:
                    self._gather(count - now, (time.monotonic() - began) / now)
                elif self._cursor.unread() == 0:
                    self._wait(deadline)
                elif deadline is not None and time.monotonic() >= deadline:
                    raise self.timeout_error()  # no copy fits between two laps of the writer
            if self._bell >= 0 and self._cursor.unread() == 0:
                self._reset_bell()
            self._cursor.amend(rows, count)
            return reading.capture(count, time.monotonic() - began)
        except BaseException as error:
            # These frames will not come again.
            self._cursor.amend(rows, self._cursor.pending)
            self._turn.give(error, reading.capture(self._cursor.pending, time.monotonic() - began))
            raise

    def _gather(self, wanted: int, interval: float) -> None:
        """Sleep until several frames can be copied at once, which costs less than a wake-up for each.

        Parameters
        ----------
        wanted : int
            Frames that are still to come.
        interval : float
            Seconds between frames.
        """
        if not self._newest and self._cursor.unread() == 0:
            # Leave three quarters of the ring for other delays.
            rest = min(_GATHER_SECONDS, min(wanted - 1, self._cursor.capacity // 4) * interval)
            if rest > _GATHER_LEAST:
                time.sleep(rest)

    @older_words(k="frames")
    def peek(self, frames: int) -> Block:
        """Return up to so many of the next unread frames without consuming them; never waits.

        Parameters
        ----------
        frames : int
            1 or more.

        Returns
        -------
        Block
            Of length 0 if there is nothing unread.

        Raises
        ------
        StreamArgumentError
            No such number.
        StreamDamagedError
            The file of the stream was cut, or its header rewritten.
        """
        limit = self._count("frames", frames, 1)
        with self._turn:
            self._check_open()
            block = self._try_block(limit, consume=False)
        if block is None:
            self._check_whole()
        return block or Block(self, self._cursor, 0, self._slots[:0], np.empty(0, FRAME_ROW))

    def latest(self, *, block: bool = False) -> Any:
        """Return the newest frame in the ring as a read-only view; never waits, consumes nothing.

        Parameters
        ----------
        block : bool, default False
            Return a `Block` of this one frame, which has `info` and `intact`.

        Returns
        -------
        ndarray, shape `shape`, or Block

        Raises
        ------
        StreamTimeoutError
            The ring has no frame yet.
        """
        if self._closed:
            raise self._is_closed()
        cursor, slots = self._cursor.fork(), self._slots
        cursor.begin("newest")
        got = cursor.take(1)
        if got is None:
            raise self.timeout_error(0.0)
        seq, slot, info = got
        if block:
            return Block(self, cursor, seq, slots[slot : slot + 1], info)
        return slots[slot]

    @older_words(k="frames")
    def skip(self, frames: int) -> int:
        """Skip the next so many unread frames, or as many as there are; returns how many. Never waits."""
        count = self._count("frames", frames)
        with self._turn:
            self._check_open()
            return self._cursor.skip(count)

    @older_words(k="frames")
    def rewind(self, frames: int) -> int:
        """Go back by so many frames, or as many as the ring still has; returns how many.

        These frames are delivered again, but counted once.
        """
        count = self._count("frames", frames)
        with self._turn:
            self._check_open()
            return self._cursor.rewind(count)

    def _undoing(self) -> Callable[[], None]:
        """Return a function that makes the frames of the next read unread again: for those not handed over.

        It does nothing if that read took none, or went over to a new file.
        """
        return functools.partial(self._cursor.take_back_to, self._cursor.next)

    def dump(self, *, seconds: float | None = None, frames: int | None = None) -> Capture:
        """Copy the past: frames in the ring, read or not, as after a trigger.

        Parameters
        ----------
        seconds : float, optional
            Frames that arrived in these last seconds. Rings in shared memory have times only if their writer
            fills the records of the slots, as pymilk does.
        frames : int, optional
            Number of newest frames. Without both: all frames of the ring.

        Returns
        -------
        Capture
            Finished; without frames that are no longer in the ring.

        Raises
        ------
        StreamArgumentError
            Both were given, or a value is not valid.
        StreamUnsupportedError
            `seconds` for a ring whose writer stores no times.
        StreamDamagedError
            The file of the stream was cut, or its header rewritten.
        """
        if seconds is not None and frames is not None:
            raise StreamArgumentError(
                f"stream {self.name!r}: dump takes seconds or frames, not both",
                stream=self.name,
                argument="seconds",
                found=seconds,
            )
        wanted = None if frames is None else self._count("frames", frames)
        span = checked_timeout(seconds, self.name)
        if self._closed:
            raise self._is_closed()
        began = time.monotonic()
        cursor = self._cursor.fork()
        cursor.begin("oldest")
        held = cursor.unread()
        if span is not None:
            wanted = self._younger_than(cursor, span)
        if wanted is not None:
            cursor.skip(max(0, held - wanted))
            held = min(held, wanted)
        cube = allocate((held, *cursor.slots.shape[1:]), self.dtype)
        rows = Rows(held)
        done = cursor.copy(cube, rows, 0)
        cursor.amend(rows, done)
        if done == 0:
            self._check_whole()
        return finished_capture(
            self.name,
            held,
            self._orientation.view(cube[:done]),
            rows.array[:done],
            self._orientation,
            time.monotonic() - began,
        )

    def _younger_than(self, cursor: RingCursor, span: float) -> int:
        """Return how many frames arrived in the last `span` seconds."""
        oldest = now_ns() - int(span * 1e9)
        look = cursor.fork()
        young = 0
        while (got := look.take(2**30)) is not None:
            _, _, info = got
            times = info["arrival_ns"] if cursor.source == "collector" else info["writetime_ns"]
            if not times.all():
                raise StreamUnsupportedError(
                    f"stream {self.name!r}: the writer of its ring stores no times of past frames; "
                    "ask for a number of frames",
                    stream=self.name,
                )
            young += int(np.count_nonzero(times >= oldest))
        return young

    # -- state ---------------------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """The stream that frames come from; a new object after a replaced stream was followed."""
        return self._stream if self._collector is None else self._collector.stream

    @property
    def source(self) -> str:
        """Where frames come from: "temporal" cube, "fast" circular buffer, or "collector"."""
        return self._cursor.source

    @property
    def depth(self) -> int:
        """Slots of the ring, or frames that the collector keeps."""
        capacity = self._cursor.capacity
        return capacity if self._cursor.source == "collector" else capacity + 1

    @property
    def lag(self) -> int:
        """Unread frames in the ring."""
        return self._cursor.unread()

    @property
    def level(self) -> float:
        """Share of the ring that holds unread frames, 0 to 1. At 1 the next frame overwrites one."""
        return self._cursor.unread() / self._cursor.capacity

    @property
    def lost(self) -> int:
        """Frames that could not be delivered, as found so far."""
        return self._cursor.lost

    @property
    def unsettled(self) -> bool:
        """Whether rows in the ring may still get `FLAG_UNCERTAIN`: first ones, of a writer without stamps."""
        return self._ring is not None and self._ring.unsettled

    @property
    def report(self) -> RingReport:
        """The account so far."""
        duration = time.monotonic() - self._began
        collector = self._collector
        cursor = self._cursor
        return RingReport(
            stream=self.name,
            source=self.source,
            policy=self.policy,
            depth=self.depth,
            received=cursor.received,
            lost=self.lost,
            skipped=cursor.skipped,
            counter_set=cursor.counter_set,
            uncertain=0 if self._ring is None else self._ring.uncertain,
            unflagged=cursor.unflagged,
            lag=self.lag,
            new_files=self._source.new_files + (0 if collector is None else collector.new_files),
            duration=duration,
            cpu_share=collector.cpu_seconds / duration if collector is not None else 0.0,
        )

    def fileno(self) -> int:
        """Return a descriptor that is readable while there may be unread frames: for select and poll.

        An eventfd: the collector writes to it with each frame, and this reader resets it after the last
        unread frame. It belongs to the reader. It may be readable without a frame: read with `peek`, or
        with a timeout of 0.

        Raises
        ------
        StreamUnsupportedError
            The source is a ring in shared memory, whose writers write to no descriptor: wait with `blocks`,
            `ablocks` or `pymilk.wait_any`, or read with ``source="collector"``.
        StreamStorageError
            This process has no file descriptors left.
        """
        if self._closed:
            raise self._is_closed()
        if self._ring is None:
            raise StreamUnsupportedError(
                f"stream {self.name!r}: its ring ({self.source}) is filled by another process, which writes "
                "to no descriptor; use blocks, ablocks or wait_any, or source='collector'",
                stream=self.name,
            )
        if self._bell < 0:
            # Readable also after the collector has ended, so that its error is seen.
            ready = self.lag > 0 or not self._collecting()
            self._bell = new_eventfd(int(ready), f"stream {self.name!r}")
            self._ring.fd = self._bell
        return self._bell

    def _reset_bell(self) -> None:
        """Reset the descriptor, then look for frames: later ones set it again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        if self._cursor.unread() or not self._collecting():
            os.eventfd_write(self._bell, 1)

    def _awaited(self) -> Awaited:
        """Return what `wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        if self._closed:
            raise self._is_closed()
        if self._ring is not None and not self._collecting() and self._cursor.unread() == 0:
            raise self._why_ended()
        known = self._cursor.idle()
        source = self._reader if self._ring is None else self._ring
        assert source is not None
        return source, known or 0, lambda: known is None or self._cursor.unread() > 0

    def start(self) -> RingReader:
        """Do nothing: a reader runs since it was made; returns itself, or raises if it is closed."""
        self._check_open()
        return self

    @property
    def running(self) -> bool:
        """Whether it is open: the opposite of `closed`."""
        return not self._closed

    def stop(self) -> RingReport:
        """Close it; returns the report."""
        report = self.report
        self.close()
        return report

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Stop reading: ends the collector and waits of other threads. Views stay valid memory."""
        if self._closed:
            return
        self._closed = True
        if self._collector is not None:
            self._collector.stop()
        if self._reader is not None:
            self._reader.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        if self._bell >= 0:
            assert self._ring is not None
            self._ring.fd = -1
            os.close(self._bell)
            self._bell = -1
        self._source.close()
        self.kept.let_go()

    def __enter__(self) -> RingReader:
        if self._closed:
            raise self._is_closed()
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)

    def __del__(self, _ends: Any = sys.is_finalizing) -> None:
        # End the collector's thread, which refers to the ring, not to the reader. At interpreter exit it
        # has ended, and modules that `close` needs may be gone.
        if not getattr(self, "_closed", True) and not _ends():
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.lag} of {self.depth} waiting"
        return f"<RingReader {self.name!r}, {self.source}, {state}>"


def _nothing(stream: Stream) -> None:
    """Do nothing with the stream that is followed."""
