"""The reader of a benchmark: a thread that takes frames out of a stream, in one of several ways."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import FRAME_ROW, Stream
from ..capture import Capture
from ..errors import StreamTimeoutError
from ..ring import RingReader
from ..system.latch import Latch
from ..system.threads import join_thread, schedule_thread, start_thread
from ..times import now_ns

__all__ = ["BusyThread", "CaptureReceiver", "Receiver", "RingReceiver", "touch"]

#: Seconds between two checks whether a reader has to end.
_TICK = 0.1

#: Seconds to wait for the last frame after the writer has ended.
_GRACE_SECONDS = 2.0

#: Seconds between two stalls of the consumer.
_STALL_PERIOD = 0.5


class Receiver(threading.Thread):
    """Takes the frames of one point into the cube; a context manager, entered once it is armed.

    Parameters
    ----------
    stream : Stream
    frames : ndarray, shape (n, *shape)
        The cube.
    source : str
        See `pymilk.bench.Benchmark`.
    depth : int
        Slots of a collector's ring.
    wait : str
    scheduling : (int or None, int or None)
        Core and priority of the thread that takes frames out of the stream.
    stall : float
        Seconds that a consumer sleeps, every half second.

    Attributes
    ----------
    rows : int
        Rows of the cube, of `info` and of the others that are filled.
    fullest : int
        Most frames that waited in the ring.
    """

    def __init__(
        self,
        stream: Stream,
        frames: npt.NDArray[Any],
        source: str,
        depth: int,
        wait: str,
        scheduling: tuple[int | None, int | None],
        stall: float,
    ) -> None:
        super().__init__(name="pymilk-bench-reader", daemon=True)
        self.source = source
        self.depth = depth
        self.stream = stream
        self.frames = frames
        self.wait = wait
        self.scheduling = scheduling
        self.stall = stall
        self.rows = 0
        self.info = np.zeros(len(frames), FRAME_ROW)
        self.overwritten = np.zeros(len(frames), np.bool_)
        self.handed_ns: npt.NDArray[np.int64] | None = None
        self.cpu_seconds = 0.0
        self.fullest = 0
        self.error: BaseException | None = None
        self.began_cpu = 0.0
        self.armed = Latch()
        self.ending = Latch()
        self.aborted = Latch()
        self.last = 0

    def __enter__(self) -> Receiver:
        try:
            start_thread(self)
            while not self.armed.wait(_TICK):
                pass
            if self.error is not None:
                raise self.error
        except BaseException:
            self.__exit__()
            raise
        return self

    def finish(self, last: int) -> None:
        """End after frame number `last` (0: none) was received, or will not come."""
        self.last = last
        self.ending.set()
        while self.is_alive():
            self.join(_TICK)
        if self.error is not None:
            raise self.error

    def __exit__(self, *exc: object) -> None:
        self.aborted.set()
        self.ending.set()
        join_thread(self)

    def run(self) -> None:
        """Receive; in the thread."""
        try:
            self.receive()
        except BaseException as error:  # noqa: BLE001 (for finish(), in the thread that waits for it)
            self.error = error
        finally:
            self.cpu_seconds += time.thread_time() - self.began_cpu
            self.armed.set()

    def receive(self) -> None:
        """Arm, then take frames until told to end."""
        raise NotImplementedError

    def is_armed(self) -> None:
        """Note that the next frame will be received."""
        self.began_cpu = time.thread_time()
        self.armed.set()


class CaptureReceiver(Receiver):
    """Captures from a plain stream."""

    def receive(self) -> None:
        """Capture as many frames as the cube has room for, or until told to end."""
        schedule_thread(*self.scheduling)  # the thread of the capture inherits it
        capture = Capture(
            self.stream,
            len(self.frames),
            self.frames,
            timeout=None,
            wait=self.wait,
            background=True,
        )
        self.is_armed()
        try:
            self.ending.wait()
            # The newest frame stays in the stream: the thread receives it once it runs.
            deadline = time.monotonic() + _GRACE_SECONDS
            while not (capture.done or self.aborted.is_set() or time.monotonic() > deadline):
                info = capture.info
                if (info["cnt0"][-1] if len(info) else 0) >= self.last:
                    break
                time.sleep(0.001)
        finally:
            capture.stop()
            capture.join()
        report = capture.report
        self.rows = capture.received
        self.info[: self.rows] = capture.info
        self.cpu_seconds += report.cpu_share * report.duration


class RingReceiver(Receiver):
    """Consumes a ring block by block, each copied to the cube and then asked whether it is intact."""

    def receive(self) -> None:
        """Take blocks until all frames are accounted for, or until told to end."""
        cpu, priority = self.scheduling
        collects = self.source == "collector"
        if not collects:
            schedule_thread(cpu, priority)
            cpu = priority = None
        self.handed_ns = np.zeros(len(self.frames), np.int64)
        with RingReader(
            self.stream,
            depth=self.depth,
            wait=self.wait,
            source="collector" if collects else "auto",
            cpu=cpu,
            priority=priority,
        ) as ring:
            self.is_armed()
            self._next_stall = time.monotonic() + _STALL_PERIOD / 2
            while not self.aborted.is_set():
                try:
                    if self._consume(ring):
                        break
                except StreamTimeoutError:
                    if self.ending.is_set():
                        break
            report = ring.report
        self.cpu_seconds += report.cpu_share * report.duration

    def _consume(self, ring: RingReader) -> bool:
        """Take blocks while they come; returns whether that was the last one."""
        assert self.handed_ns is not None
        for block in ring.blocks(timeout=_TICK):
            self.fullest = max(self.fullest, len(block) + ring.lag)
            room = slice(self.rows, min(self.rows + len(block), len(self.frames)))
            count = room.stop - room.start
            self.handed_ns[room] = now_ns()
            np.copyto(self.frames[room], block.frames[:count])
            self.overwritten[room] = np.arange(count) < block.overwritten
            self.info[room] = block.info[:count]
            self.rows = room.stop
            if self.stall and time.monotonic() >= self._next_stall:
                self._next_stall = time.monotonic() + _STALL_PERIOD
                self.aborted.wait(self.stall)
            if self.rows + ring.lost >= len(self.frames) or self.aborted.is_set():
                return True
        return True


class BusyThread:
    """A Python thread that never lets go of the GIL by itself, for the time of a ``with`` block."""

    def __init__(self, wanted: bool) -> None:
        self._stop = Latch()
        self._cpu = 0.0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pymilk-bench-busy") if wanted else None

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                sum(i * i for i in range(2000))
                self._cpu = time.thread_time()
        except BaseException as error:  # noqa: BLE001 (for `share`: without it the point was not busy)
            self._error = error

    def __enter__(self) -> BusyThread:
        if self._thread is not None:
            try:
                start_thread(self._thread)
            except BaseException:
                self.__exit__()
                raise
        return self

    def share(self, seconds: float) -> float | None:
        """Return the share of a core that it has used, if there is one; raises what ended it early."""
        if self._error is not None:
            raise self._error
        return None if self._thread is None else round(self._cpu / seconds, 4)

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._thread is not None:
            join_thread(self._thread)


def touch(stream: Stream) -> None:
    """Read every page of the frames once: page faults are no part of the measurement."""
    pixels = stream.section("ring_slots") if stream.cb_size else stream.view()
    pixels.reshape(-1).view(np.uint8)[:: os.sysconf("SC_PAGE_SIZE")].max()
