"""Frames in order, in place, from any stream, while Python is busy.

`RingReader` reads one of three rings: the slices of a temporal circular cube, the slots of a fast circular
buffer, or, for a stream that has neither, a ring of this process that a thread fills without ever
needing Python's global lock. `protocol/ring.pxd` states how frames are told from overwritten ones.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .._core import FRAME_ROW, PrivateRing, Reader, RingCursor, Stream, allocate, checked_timeout
from ..arguments import STARTS, check_choice, check_count
from ..axes import Orientation
from ..capture import Capture, destination, finish, finished_capture
from ..errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamBusyError,
    StreamClosedError,
    StreamError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamUnsupportedError,
)
from ..streams.waiting import Awaited, Follower, spin_of
from ..system.forks import tell_after_fork
from ..times import now_ns
from .block import Block, RingReport
from .receiver import Beginning, ReceiverThread

__all__ = ["RingReader"]

#: Depth of a collector's ring that was not asked for: as many frames as fit into these bytes, within limits.
_DEFAULT_NBYTES = 256 << 20
_DEFAULT_DEPTH = (16, 8192)

#: Seconds that `read` lets frames gather between two copies, at most, and what is not worth a sleep.
_GATHER_SECONDS = 0.005
_GATHER_LEAST = 0.0002

#: A wait outside of the event loop is cut into slices of this length, in seconds.
_ASYNC_SLICE = 0.1

#: Wake-ups without a new slot after which a writer is taken to leave the ring out.
_LEFT_OUT = 3


class RingReader:
    """Read the frames of a stream in order, out of a ring.

    Usually made by `pymilk.SHM.ring_reader`, which also brings the orientation.

    Parameters
    ----------
    stream : Stream or str
        The stream, which stays the caller's, or its name. A stream that is replaced by a new file with
        frames of the same shape and dtype is followed, whatever ring that has.
    depth : int, optional
        Frames that a collector keeps. Default: what fits into 256 MiB, 16 at least and 8192 at most. A
        ring in shared memory has the depth that its writer chose; all but one of its frames can be had.
    policy : {"every", "newest"}
        "every": a bounded queue; what is overwritten before it is read is counted as lost, and reading
        goes on at the oldest frame that is safe. "newest": jump to the latest frame; those between are
        counted as skipped.
    on_lost : {"count", "raise"}
        "raise": `FrameLostError` in front of a frame that follows lost ones; the next call goes on.
    start : {"next", "oldest", "newest"}
        First frame: the next one published, the oldest one still there, or the newest one there is.
    wait : {"auto", "spin", "sleep"}
        How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`.
    source : {"auto", "collector"}
        "collector" collects into a ring of this process although the stream has one, for instance because
        that is not deep enough. The collector then takes its frames from there.
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

    Raises
    ------
    StreamArgumentError
        An argument is not one of those above.
    CaptureMemoryError
        A collector's ring of that depth needs more memory than there is.
    StreamFormatError
        The pixels are on a GPU.

    Warns
    -----
    SchedulingWarning
        The priority is not permitted.

    Notes
    -----
    Writers never wait for readers: no reader, however slow, can hold one up, and there is no flow
    control. Any number of readers may read one ring, in one process or several.

    One thread at a time may read; a second one gets `StreamBusyError`. `dump`, `latest`, `lag`, the report
    and `Block.intact` may be used from any thread.

    Rings of depth 1 hold no history: such streams are read through a collector. So are streams whose
    fast circular buffer is never filled by their writer.

    Examples
    --------
    >>> import numpy as np, pymilk
    >>> with pymilk.SHM("doc_ring", ((2, 3), np.uint16), ring=8) as shm:
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
        check_choice("start", start, STARTS)
        check_choice("source", source, ("auto", "collector"))
        if depth is not None:
            check_count("depth", depth, below=2**62)
        self._spin = spin_of(wait)
        owned = isinstance(stream, str)
        self._source = Follower(Stream.attach(stream) if isinstance(stream, str) else stream, owned=owned)
        self.name = self._stream.name
        self.dtype = self._stream.dtype
        self._orientation = orientation or Orientation(self._stream.frame_shape)
        self.shape = self._orientation.shape
        self.policy = policy
        self._newest = policy == "newest"
        self._strict = on_lost == "raise"
        self._forced = source == "collector"
        self._wanted_depth = depth
        self._scheduling = (cpu, priority)
        self._turn = threading.Lock()
        self._closed = False
        self._began = time.monotonic()
        self._past = [0, 0, 0]
        self._left_out = 0
        self._asked = 0.0  # seconds that the present wait may take
        self._bell = -1
        self._executor: ThreadPoolExecutor | None = None
        self._reader: Reader | None = None
        self._collector: ReceiverThread | None = None
        self._ring: PrivateRing | None = None
        self._cursor: RingCursor
        try:
            self._open(start, None)
        except BaseException:
            self._source.close()
            raise
        tell_after_fork(self)

    def _after_fork(self) -> None:
        # A thread that is not here may have held the lock. The descriptor is that of the parent.
        self._turn = threading.Lock()
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
        """Choose the source and begin; `missed` frames of an older file were not received."""
        cursor = None if self._forced else self._stream.ring_cursor()
        unused = self._stream.counter > 0 and self._stream.cb_index == self._stream.cb_cycle == 0
        if cursor is None or (cursor.source == "fast" and unused):
            self._collect(start, missed)
            return
        self._reader = self._stream.reader()
        self._use(cursor)
        if missed is None:
            cursor.begin(start)
        else:
            cursor.after_file(missed)

    def _collect(self, start: str, missed: int | None, after: int | None = None) -> None:
        """Start a collector; `after` instead of `start` is the number of the last frame known."""
        shape = self._stream.frame_shape
        nbytes = max(1, math.prod(shape) * self.dtype.itemsize)
        low, high = _DEFAULT_DEPTH
        depth = self._wanted_depth or max(low, min(high, _DEFAULT_NBYTES // nbytes))
        try:
            ring = self._ring or PrivateRing(depth, shape, self.dtype)
        except CaptureMemoryError as error:
            raise CaptureMemoryError(
                f"stream {self.name!r}: a ring of {depth} frames {shape} of {self.dtype} needs "
                f"{error.needed} bytes, but only {error.available} are free; a depth of "
                f"{error.available // (2 * nbytes)} would take half of them",
                stream=self.name,
                needed=error.needed,
                available=error.available,
            ) from None
        self._ring = ring
        self._use(ring.cursor(self.name))
        spin = self._spin  # the thread must not hold the reader, which would never be collected then
        self._collector = ReceiverThread(
            self._stream,
            lambda reader, after, missed: reader.collect(
                ring, after=after, spin_ns=spin, missed=missed
            ),
            begin=Beginning(start, after, missed),
            scheduling=self._scheduling,
            finished=ring.end,
            what="collector",
        )

    def _use(self, cursor: RingCursor) -> None:
        self._cursor = cursor
        self._slots = self._orientation.view(cursor.slots)

    def _settle(self) -> None:
        """Add the account of a source that is left to that of those before."""
        cursor = self._cursor
        counts = (cursor.received, cursor.lost, cursor.skipped)
        self._past = [a + b for a, b in zip(self._past, counts, strict=True)]

    def _follow(self, deadline: float | None) -> None:
        """Continue with the new file of the stream; unread frames of the old one are lost."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        went = self._source.follow(
            left,
            begin=self._leave_source,
            missed=lambda old: self._cursor.missing,
            stopping=lambda: self._closed,
        )
        if not went:
            raise self._is_closed()
        self._open("oldest", self._source.take_missed())

    def _leave_source(self, new: Stream) -> None:
        self._settle()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _is_left_out(self) -> bool:
        """Note that the stream has frames which its ring has not; after some, go over to a collector."""
        self._left_out += 1
        if self._left_out < _LEFT_OUT:
            return False
        assert self._reader is not None
        self._reader.close()
        self._reader = None
        self._settle()
        # Behind the last frame delivered, so that what is gone counts as lost.
        self._collect("next", None, after=self._cursor.last)
        return True

    # -- waiting -------------------------------------------------------------------------------

    def _wait(self, deadline: float | None) -> None:
        """Wait until there may be a frame; `StreamTimeoutError` at the deadline."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if self._closed:
            raise self._is_closed()
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
            return  # a frame was published that the ring has not, as the Python wrapper does
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
        """Return what ended the collector."""
        error = None if self._collector is None else self._collector.error
        return error or self._is_closed()

    def timeout_error(self, asked: float | None = None) -> StreamTimeoutError:
        """Return the error of a wait for so many seconds (default: of the present wait) without a frame."""
        asked = self._asked if asked is None else asked
        stream = self.stream
        counter = 0 if stream.closed else stream.counter
        written = 0 if stream.closed else stream.write_time_ns
        if not stream.closed and stream.deleted:
            why = "its file was deleted"
        elif written:
            why = f"last written {(now_ns() - written) / 1e9:.3g} s ago; is its writer running?"
        else:
            why = "its writer stores no times; is it running?"
        return StreamTimeoutError(
            f"stream {self.name!r}: no new frame in the ring ({self.source}) within {asked:g} s; its "
            f"counter is {counter}, {why}",
            stream=self.name,
            timeout=asked,
            counter=counter,
        )

    def _check_whole(self) -> None:
        """Raise if there are no frames because the shared memory was damaged."""
        if self._collector is None and not self._stream.closed:
            self._stream.check_whole()

    def _is_closed(self) -> StreamClosedError:
        return StreamClosedError(
            f"stream {self.name!r}: the ring reader is closed, or its stream was; make a new one",
            stream=self.name,
        )

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        """Keep a second thread out."""
        if not self._turn.acquire(blocking=False):
            raise StreamBusyError(
                f"stream {self.name!r}: another thread is reading from this ring reader; "
                "give each thread a reader of its own",
                stream=self.name,
            )
        try:
            if self._closed:
                raise self._is_closed()
            yield
        finally:
            self._turn.release()

    def _deadline(self, timeout: float | None) -> float | None:
        limit = checked_timeout(timeout, self.name)
        self._asked = math.inf if limit is None else limit
        return None if limit is None else time.monotonic() + limit

    def _count(self, argument: str, value: int, least: int = 0) -> int:
        return check_count(argument, value, least=least, stream=self.name)

    # -- reading -------------------------------------------------------------------------------

    def _try_block(self, limit: int, consume: bool = True) -> Block | None:
        cursor = self._cursor
        got = cursor.take(limit, consume=consume, newest=self._newest, strict=self._strict)
        if self._bell >= 0:
            self._reset_bell()
        if got is None:
            return None
        seq, slot, info = got
        return Block(self, cursor, seq, self._slots[slot : slot + len(info)], info)

    def _next_block(self, limit: int, timeout: float | None) -> Block:
        if not self._turn.acquire(blocking=False):
            with self._my_turn():
                pass  # raises
        try:
            if self._closed:
                raise self._is_closed()
            block = self._try_block(limit)
            if block is None:
                deadline = self._deadline(timeout)
                while block is None:
                    self._wait(deadline)
                    block = self._try_block(limit)
            self._left_out = 0
            return block
        finally:
            self._turn.release()

    def blocks(self, max_frames: int = 512, timeout: float | None = 5.0) -> Iterator[Block]:
        """Give the unread frames, in order, as blocks of views; wait where there are none. Never ends.

        Parameters
        ----------
        max_frames : int, default 512
            Frames of a block at most. A block comes as soon as there is one frame, and never crosses the
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
            Only with ``on_lost="raise"``; a new call goes on behind the lost frames.
        StreamChangedError
            The stream was recreated with another shape or dtype.
        StreamClosedError
            The reader or its stream was closed.
        StreamBusyError
            Another thread is reading from this reader.
        """
        limit = self._count("max_frames", max_frames, 1)
        checked_timeout(timeout, self.name)
        while True:
            yield self._next_block(limit, timeout)

    async def ablocks(
        self, max_frames: int = 512, timeout: float | None = 5.0
    ) -> AsyncIterator[Block]:
        """Give the unread frames as `blocks` does, without holding up the event loop.

        Waiting is done by a thread of this reader. Cancelling the task ends the wait at once. Same
        parameters and errors as `blocks`.
        """
        limit = self._count("max_frames", max_frames, 1)
        checked_timeout(timeout, self.name)
        import asyncio  # not at the top: it takes longer to import than all of pymilk

        loop = asyncio.get_running_loop()
        while True:
            deadline = self._deadline(timeout)
            while True:
                with self._my_turn():
                    block = self._try_block(limit)
                if block is not None:
                    self._left_out = 0
                    break
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(1, f"pymilk-ring-{self.name}")
                waiting = loop.run_in_executor(self._executor, self._wait_a_little, deadline)
                try:
                    await asyncio.shield(waiting)
                except asyncio.CancelledError:
                    self._end_wait()
                    with contextlib.suppress(StreamError):
                        await waiting  # a moment: nobody may find the reader still waiting
                    raise
            yield block

    def _wait_a_little(self, deadline: float | None) -> None:
        """Wait for a frame for a slice of time, in the thread for it."""
        soon = time.monotonic() + _ASYNC_SLICE
        with self._my_turn():
            try:
                self._wait(soon if deadline is None else min(soon, deadline))
            except StreamTimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    def _end_wait(self) -> None:
        """End a wait of another thread early, without closing anything."""
        if self._ring is not None:
            self._ring.nudge()
        if self._reader is not None:
            self._reader.stop()

    def read(self, n: int, out: Any = None, timeout: float | None = 5.0) -> Capture:
        """Copy the next n unread frames into one cube.

        Parameters
        ----------
        n : int
            1 or more; may be more than the ring holds.
        out : array or buffer, shape (n, *shape), stream dtype, optional
            Filled instead of a new array: anything that `SHM.get_data` takes.
        timeout : float or None, default 5.0
            Longest wait for a frame, in seconds; None waits without limit.

        Returns
        -------
        Capture
            Finished, with `frames`, `info` and `report`. Each frame is verified to have been whole after it
            was copied; those that were overwritten meanwhile count as lost.

        Raises
        ------
        StreamTimeoutError, FrameLostError
            As for `blocks`. The `capture` of this error, and of those below, holds the frames read before it.
        FrameMismatchError, CaptureMemoryError
            `out` does not fit, or there is no memory.
        StreamChangedError, StreamClosedError, StreamBusyError
            As for `blocks`.
        """
        count = self._count("n", n, 1)
        checked_timeout(timeout, self.name)
        frame = self._stream.frame_shape
        cube, out = destination(self.name, self._orientation, (count, *frame), self.dtype, out)
        info = np.zeros(count, FRAME_ROW)
        began = time.monotonic()
        done = 0

        def capture() -> Capture:
            finish(self._orientation, cube, out, done)
            frames = self._orientation.view(cube[:done]) if out is None else out[:done]
            return finished_capture(
                self.name, count, frames, info[:done], self._orientation, time.monotonic() - began
            )

        with self._my_turn():
            deadline = self._deadline(timeout)
            try:
                while done < count:
                    if self._newest:
                        self._cursor.skip(max(0, self._cursor.unread() - 1))
                    room = done + 1 if self._newest else count
                    before = done
                    done = self._cursor.copy(
                        cube[:room], info[:room], done, strict=self._strict
                    )
                    if done > before:
                        deadline = self._deadline(timeout)
                        self._gather(count - done, (time.monotonic() - began) / done)
                    elif self._cursor.unread() == 0:
                        self._wait(deadline)
                    elif deadline is not None and time.monotonic() >= deadline:
                        raise self.timeout_error()  # no copy fits between two laps of the writer
                if self._bell >= 0 and self._cursor.unread() == 0:
                    self._reset_bell()
            except StreamError as error:
                error.capture = capture()  # those frames are read, and will not come again
                raise
        return capture()

    def _gather(self, wanted: int, interval: float) -> None:
        """Let frames gather that are wanted together: who wakes up for each keeps others from their work.

        Parameters
        ----------
        wanted : int
            Frames that are still to come.
        interval : float
            Seconds between frames.
        """
        if not self._newest and self._cursor.unread() == 0:
            # Three quarters of the ring are left for whatever else holds us up.
            rest = min(_GATHER_SECONDS, min(wanted - 1, self._cursor.capacity // 4) * interval)
            if rest > _GATHER_LEAST:
                time.sleep(rest)

    def peek(self, k: int) -> Block:
        """Return up to k of the next unread frames without consuming them; never waits.

        Returns
        -------
        Block
            Of length 0 if there is nothing unread.

        Raises
        ------
        StreamDamagedError
            The file of the stream was cut, or its header rewritten.
        """
        limit = self._count("k", k, 1)
        with self._my_turn():
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
            There is no frame in the ring yet.
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

    def skip(self, k: int) -> int:
        """Leave out the next k unread frames, or as many as there are; returns how many. Never waits."""
        count = self._count("k", k)
        with self._my_turn():
            return self._cursor.skip(count)

    def rewind(self, k: int) -> int:
        """Go back by k frames, or as many as the ring still has; returns how many.

        They are delivered again, and not counted again.
        """
        count = self._count("k", k)
        with self._my_turn():
            return self._cursor.rewind(count)

    def dump(self, *, seconds: float | None = None, frames: int | None = None) -> Capture:
        """Copy what happened before now, whatever was read already: a pre-trigger.

        Parameters
        ----------
        seconds : float, optional
            Frames that arrived in the last so many seconds. Rings in shared memory tell times only if
            their writer fills the records of its slots, as pymilk does.
        frames : int, optional
            That many of the newest frames. Neither: all that the ring holds.

        Returns
        -------
        Capture
            Finished; what the ring does not hold any more is not in it.

        Raises
        ------
        StreamArgumentError
            Both were given, or something that is no number of them.
        StreamUnsupportedError
            Seconds of a ring whose writer stores no times.
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
        info = np.zeros(held, FRAME_ROW)
        done = cursor.copy(cube, info, 0)
        if done == 0:
            self._check_whole()
        return finished_capture(
            self.name,
            held,
            self._orientation.view(cube[:done]),
            info[:done],
            self._orientation,
            time.monotonic() - began,
        )

    def _younger_than(self, cursor: RingCursor, span: float) -> int:
        """Return how many of the newest frames arrived in the last so many seconds."""
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
        """The stream that frames come from now: another object once the stream was replaced and followed."""
        return self._stream if self._collector is None else self._collector.stream

    @property
    def source(self) -> str:
        """Where frames come from: "temporal" cube, "fast" circular buffer, or "collector"."""
        return self._cursor.source

    @property
    def depth(self) -> int:
        """Slots of the ring; of a collector, the frames that it keeps."""
        capacity = self._cursor.capacity
        return capacity if self._cursor.source == "collector" else capacity + 1

    @property
    def lag(self) -> int:
        """Frames that wait to be read."""
        return self._cursor.unread()

    @property
    def level(self) -> float:
        """How full the ring is with frames that wait: 0 to 1. At 1 the next frame costs one."""
        return self._cursor.unread() / self._cursor.capacity

    @property
    def lost(self) -> int:
        """Frames that could not be delivered, as found so far."""
        return self._past[1] + self._cursor.lost

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
            received=self._past[0] + cursor.received,
            lost=self.lost,
            skipped=self._past[2] + cursor.skipped,
            lag=self.lag,
            new_files=self._source.new_files + (0 if collector is None else collector.new_files),
            duration=duration,
            cpu_share=collector.cpu_seconds / duration if collector is not None else 0.0,
        )

    def fileno(self) -> int:
        """Return a descriptor that is readable while frames may wait: for select, poll and event loops.

        An eventfd that the collector writes to with each frame, and that this reader resets once it has
        read them all. It belongs to the reader. Now and then it is readable without a frame: read with
        `peek`, or with a timeout of 0.

        Raises
        ------
        StreamUnsupportedError
            The source is a ring in shared memory, whose writers know of no descriptors: wait with
            `blocks`, `ablocks` or `pymilk.wait_any`, or read with ``source="collector"``.
        """
        if self._closed:
            raise self._is_closed()
        if self._ring is None:
            raise StreamUnsupportedError(
                f"stream {self.name!r}: its ring ({self.source}) is filled by another process, which writes "
                "to no descriptor of ours; use blocks, ablocks or wait_any, or source='collector'",
                stream=self.name,
            )
        if self._bell < 0:
            # A collector that has ended has an error to be told of.
            ready = self.lag > 0 or not self._collecting()
            self._bell = os.eventfd(int(ready), os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._ring.fd = self._bell
        return self._bell

    def _reset_bell(self) -> None:
        """Reset the descriptor, before it is looked for frames: those that come later set it again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        if self._cursor.unread() or not self._collecting():
            os.eventfd_write(self._bell, 1)

    def _awaited(self) -> Awaited:
        """Tell `wait_any` what to wait for, from which number on, and how to see that it is there."""
        if self._closed:
            raise self._is_closed()
        if self._ring is not None and not self._collecting() and self._cursor.unread() == 0:
            raise self._why_ended()
        known = self._cursor.idle()
        source = self._reader if self._ring is None else self._ring
        assert source is not None
        return source, known or 0, lambda: known is None or self._cursor.unread() > 0

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

    def __enter__(self) -> RingReader:
        if self._closed:
            raise self._is_closed()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self, _ends: Any = sys.is_finalizing) -> None:
        # The collector's thread holds the ring and not the reader: a forgotten reader ends it here. At
        # interpreter exit it has ended, and modules that `close` needs may be gone.
        if not getattr(self, "_closed", True) and not _ends():
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.lag} of {self.depth} waiting"
        return f"<RingReader {self.name!r}, {self.source}, {state}>"
