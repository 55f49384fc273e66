"""What every adapter offers: a writer and a reader of frames, under one set of names."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from importlib import metadata
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pymilk.times import now_ns

Array = npt.NDArray[Any]

#: Every frame that is measured is of this dtype.
DTYPE = np.dtype(np.uint16)

#: The pacing loop of `Writer.series` sleeps until this long before a frame is due, in seconds.
_AWAKE = 150e-6

#: A queue without a frame for this long is empty, in seconds.
_QUIET = 0.05


class Closing:
    """Something that is closed at the end of a ``with`` block."""

    def close(self) -> None:
        """Give back what is held; may be called twice."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Writer(Closing):
    """The publishing side."""

    def listen(self) -> None:
        """Wait until the reader is connected, where frames would be dropped before that."""

    def write(self, frame: Array) -> None:
        """Publish one frame."""
        raise NotImplementedError

    def lap(self, frame: Array, count: int) -> None:
        """Publish a frame so often, as fast as possible, before anything is measured."""
        for _ in range(count):
            self.write(frame)

    def series(self, frames: Array, count: int, rate: float) -> None:
        """Publish `count` frames, going round `frames`, at `rate` a second; 0 is as fast as possible.

        A frame that is late shifts those behind it; there are no bursts.
        """
        write, clock, held = self.write, time.perf_counter, len(frames)
        interval = 1 / rate if rate else 0.0
        due = clock()
        for k in range(count):
            if interval:
                early = due - clock()
                if early > 2 * _AWAKE:
                    time.sleep(early - _AWAKE)
                while clock() < due:
                    time.sleep(0)  # lets other threads of this process have the GIL
                due = max(due, clock() - interval)
            write(frames[k % held])
            due += interval


class Reader(Closing):
    """The receiving side. Methods that a peer does not override are those that it cannot do."""

    def copy(self) -> Array:
        """Return the newest frame, or of a queue the next one, as a new array."""
        raise NotImplementedError

    def view(self) -> Array:
        """Return the newest frame, or of a queue the next one, without a copy."""
        raise NotImplementedError

    def into(self, out: Array) -> None:
        """Copy the newest frame into `out`."""
        raise NotImplementedError

    def next(self, timeout: float) -> Array | None:
        """Wait for a frame that was not seen yet, and return it; None if there is none in time.

        A view that holds until the next call where the peer can give one, else a copy.
        """
        raise NotImplementedError

    def prepare(self, out: Array) -> None:
        """Get ready to receive `len(out)` frames into `out`; frames that come from now on count."""
        self._out = out
        while self.next(_QUIET) is not None:
            pass  # left over from before

    def receive(self, timeout: float) -> int:
        """Receive what `prepare` announced; returns how many frames came before a wait was too long."""
        out, take = self._out, self.next
        for k in range(len(out)):
            frame = take(timeout)
            if frame is None:
                return k
            out[k] = frame
        return len(out)

    def drain(self, out: Array) -> int:
        """Receive frames that wait in a queue."""
        self._out = out
        return self.receive(1.0)

    def flags(self) -> Array | None:
        """Tell which of the frames of the last `receive` the peer itself calls torn."""
        return None

    def told(self) -> int | None:
        """Tell how many frames the peer itself found missing in the last `receive`."""
        return None

    def published_ns(self) -> int:
        """Return when the frame of the last `next` was published, ns of CLOCK_TAI; 0 if it is not said."""
        return 0

    def latencies(self, count: int, timeout: float) -> Array:
        """Wait for `count` frames whose first 8 bytes say when they were written.

        Returns
        -------
        ndarray of int64, shape (received, 3)
            When the frame was there, when `write` was called, and `published_ns`: all ns of CLOCK_TAI.
        """
        rows = np.zeros((count, 3), np.int64)
        for k in range(count):
            frame = self.next(timeout)
            if frame is None:
                return rows[:k]
            rows[k, 0] = now_ns()
            rows[k, 1] = stamp_of(frame)
            rows[k, 2] = self.published_ns()
        return rows


def stamp_of(frame: Array) -> int:
    """Return the time that is stored in the first 8 bytes of a frame."""
    return int(frame.reshape(-1)[:4].view(np.int64)[0])


def offers(reader: type[Reader], method: str) -> bool:
    """Tell whether a reader does what this method is for."""
    return getattr(reader, method) is not getattr(Reader, method)


class Peer:
    """One way to move frames from a process to another.

    Attributes
    ----------
    key, title : str
        For the command line, and for people.
    package : str
        Distribution whose version is shown.
    queue : bool
        Frames are handed out once each; else the newest one can be read any number of times.
    ring : bool
        Frames go round a memory that never fills up. The writer goes round it once before anything is
        measured with two processes, so that no page is touched for the first time then.
    access_depth : int
        Frames that may wait in the queue while single calls are timed.
    tasks : frozenset of str
        Of "access", "latency", "live", "drain", "busy".
    waits, live_waits : tuple of str
        Ways to wait, measured one by one for latency, and for live capture and beside a busy thread.
    top_rate : float
        Fastest rate, in frames a second, that is tried in live capture.
    margin : float
        Frames published in live capture for each one that is asked for.
    writer_class, reader_class : type
    single_class : type, optional
        Writer for the cost of single writes, where the other tasks are served by another one.
    """

    key = ""
    title = ""
    package = ""
    queue = False
    ring = False
    access_depth = 16
    tasks = frozenset({"access", "latency", "live", "busy"})
    waits: tuple[str, ...] = ("",)
    live_waits: tuple[str, ...] = ("",)
    top_rate = 40_000.0
    margin = 1.25
    writer_class: type[Writer]
    reader_class: type[Reader]
    single_class: type[Writer] | None = None

    def missing(self) -> str:
        """Return why the peer cannot be measured here, or an empty string."""
        return ""

    def version(self) -> str:
        """Return the version that is measured."""
        try:
            return metadata.version(self.package) if self.package else ""
        except metadata.PackageNotFoundError:
            return ""

    def channel(self, name: str, shape: tuple[int, int], depth: int) -> Any:
        """Make what both sides need to find each other; it is sent to the process of the writer."""
        return name

    def discard(self, channel: Any) -> None:
        """Remove what `channel` made, once both sides are closed."""

    def writer(
        self, channel: Any, shape: tuple[int, int], depth: int, wait: str, *, single: bool = False
    ) -> Writer:
        """Create; comes before `reader`."""
        made = self.single_class if single and self.single_class else self.writer_class
        return made(channel, shape, depth, wait)  # type: ignore[call-arg]

    def reader(self, channel: Any, shape: tuple[int, int], depth: int, wait: str) -> Reader:
        """Attach."""
        return self.reader_class(channel, shape, depth, wait)  # type: ignore[call-arg]


def not_installed(module: str, remedy: str) -> str:
    """Return why a module cannot be used, with what to do about it, or an empty string."""
    if importlib.util.find_spec(module) is None:
        return f"not installed; {remedy}"
    return ""


def poll(there: Callable[[], bool], timeout: float) -> bool:
    """Ask again and again until it is so; False after `timeout` seconds."""
    deadline = None
    while not there():
        now = time.monotonic()
        if deadline is None:
            deadline = now + timeout
        elif now > deadline:
            return False
    return True
