"""Captures: N frames into one cube, each accounted for.

A capture runs in a thread of its own that never needs the GIL while frames come, so a busy Python thread
cannot take frames away from it, and Ctrl-C is noticed at once.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import (
    FLAG_NEW_FILE,
    FLAG_TORN,
    FRAME_ROW,
    Stream,
    allocate,
    checked_timeout,
    prefault,
    turn_copy,
)
from .axes import Orientation
from .buffers import as_target
from .errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamError,
    StreamReplacedError,
)
from .forks import left_with_parent, tell_after_fork
from .times import now_ns
from .waiting import find_successor, frames_behind, spin_of

__all__ = [
    "Capture",
    "CaptureReport",
    "await_event",
    "destination",
    "finish",
    "finished_capture",
    "join_thread",
    "spread",
]

#: How often a foreground capture looks at signals, in seconds.
_SIGNAL_INTERVAL = 0.05

#: How long an ending capture is waited for, in seconds. It ends within 0.1 s, if it ever began.
_PATIENCE = 2.0

#: How long a thread may take to begin, once its start was interrupted, in seconds.
_BEGIN_SECONDS = 0.5


class CaptureReport:
    """What a capture received and what it missed.

    Attributes
    ----------
    stream : str
    requested, received : int
        Frames.
    lost : int
        Frames that the writer published between the first wait and the last frame received, and that
        were overwritten before they could be copied. Exact by the counter of the stream.
    torn : int
        Frames that may hold pixels of two frames; flagged in `Capture.info`.
    repeated : int
        Semaphore posts that announced nothing new and were ignored: to within a few, because posts can be
        late. No frame is ever delivered twice. Known once the capture has ended.
    new_files : int
        Times that the stream was replaced by a new file and followed.
    duration : float
        Seconds from arming to the last frame.
    rate : float
        Frames per second between the first and the last arrival; NaN below two frames.
    interval_us : dict
        Microseconds between arrivals: ``min``, ``p1``, ``p50``, ``p99``, ``max``; empty below two frames.
    latency_us : dict
        Microseconds from the writer's own stamp to the copy: ``p50``, ``p99``, ``max``; empty if the
        writer stamps no times.
    cpu_share : float
        Processor time of the receiving thread as a share of `duration`.
    """

    def __init__(
        self, stream: str, requested: int, info: npt.NDArray[Any], repeated: int, duration: float,
        cpu_seconds: float,
    ) -> None:  # fmt: skip
        flags = info["flags"]
        self.stream = stream
        self.requested = requested
        self.received = len(info)
        self.lost = int(info["lost"].sum())
        self.torn = int(np.count_nonzero(flags & FLAG_TORN))
        self.repeated = repeated
        self.new_files = int(np.count_nonzero(flags & FLAG_NEW_FILE))
        self.duration = duration
        self.cpu_share = cpu_seconds / duration if duration > 0 else 0.0
        self.rate = float("nan")
        self.interval_us: dict[str, float] = {}
        self.latency_us: dict[str, float] = {}
        if self.received > 1:
            arrival = info["arrival_ns"]
            self.rate = (self.received - 1) / max((int(arrival[-1]) - int(arrival[0])) / 1e9, 1e-9)
            self.interval_us = spread(np.diff(arrival) / 1e3, ("min", "p1", "p50", "p99", "max"))
        stamped = info[info["writetime_ns"] > 0]
        if len(stamped):
            delay = (stamped["arrival_ns"] - stamped["writetime_ns"]) / 1e3
            self.latency_us = spread(delay, ("p50", "p99", "max"))

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON."""
        return {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in vars(self).items()
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        rows = [
            ("frames received", f"{self.received} of {self.requested}"),
            ("lost", str(self.lost)),
            ("torn", str(self.torn)),
            ("repeated posts ignored", str(self.repeated)),
            ("rate", f"{self.rate:.1f} frames/s"),
        ]
        if self.new_files:
            rows.append(("new files followed", str(self.new_files)))
        if self.interval_us:
            parts = [f"{key} {value:.1f}" for key, value in self.interval_us.items()]
            rows.append(("interval, us", ", ".join(parts)))
        if self.latency_us:
            parts = [f"{key} {value:.1f}" for key, value in self.latency_us.items()]
            rows.append(("latency, us", ", ".join(parts)))
        rows.append(("duration", f"{self.duration:.3f} s"))
        rows.append(("processor", f"{self.cpu_share:.1%} of a core"))
        return rows

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        lines = [f"Capture of stream {self.stream!r}"]
        return "\n".join(lines + [f"  {label:<{width}}  {text}" for label, text in rows])

    def __repr__(self) -> str:
        return (
            f"<CaptureReport {self.stream!r}: {self.received}/{self.requested} frames, "
            f"{self.lost} lost, {self.torn} torn>"
        )


def spread(values: npt.NDArray[Any], keys: tuple[str, ...]) -> dict[str, float]:
    """Return the named percentiles (p50, p99, ...), min and max of some values."""
    edges = {"min": 0.0, "max": 100.0}
    points = [edges[key] if key in edges else float(key[1:]) for key in keys]
    return {
        key: round(float(value), 3)
        for key, value in zip(keys, np.percentile(values, points), strict=True)
    }


class Capture:
    """N consecutive frames of a stream in one cube.

    Made by `pymilk.SHM.capture`; see there for how to use it. Frames are delivered once each, in order
    and whole. The capture is armed once this object exists: the first frame is the next one published.

    Parameters
    ----------
    stream : Stream
        Stays the caller's. A stream that is replaced by a new file of the same shape and dtype is
        followed.
    n : int
        Frames wanted, 1 or more.
    out : ndarray, shape (n, *shape), optional
        Filled instead of a new array.
    timeout : float or None, default 5.0
        Longest wait for one frame, in seconds; None waits for ever.
    wait : {"auto", "spin", "sleep"}
        See `pymilk.waiting.WAIT_POLICIES`.
    orientation : Orientation, optional
        How the user sees frames. Default: as the stream has them.
    background : bool, default False
        Return at once; `join` waits for the end.
    register : callable, optional
        Called with the capture before it begins, so that its owner can close it.
    held : bool, default False
        Only make everything ready: `begin` begins.

    Attributes
    ----------
    requested : int
    orientation : Orientation
        How `frames` are turned from those of the stream.
    started_ns : int
        When it was armed, in nanoseconds of CLOCK_TAI; 0 before.
    """

    def __init__(
        self,
        stream: Stream,
        n: int,
        out: npt.NDArray[Any] | None = None,
        *,
        timeout: float | None = 5.0,
        wait: str = "auto",
        orientation: Orientation | None = None,
        background: bool = False,
        register: Callable[[Capture], object] | None = None,
        held: bool = False,
    ) -> None:
        if not hasattr(n, "__index__") or n < 1:
            raise StreamArgumentError(
                f"stream {stream.name!r}: the number of frames is an int of 1 or more, not {n!r}",
                stream=stream.name,
                argument="n",
                found=n,
            )
        self.name = stream.name
        self.requested = int(n)
        self._stream = stream
        self._timeout = checked_timeout(timeout, stream.name)
        self._spin = spin_of(wait)
        self.orientation = orientation or Orientation(stream.frame_shape)
        self.started_ns = 0
        self._cube, self._out = destination(
            self.name, self.orientation, (self.requested, *stream.frame_shape), stream.dtype, out
        )
        self._info = allocate((self.requested,), FRAME_ROW)
        self._reader = stream.reader()
        self._owned = False
        self._kept = 0
        self._repeated = 0
        self._cpu_ns = 0
        self._began = time.monotonic()
        self._duration = 0.0
        self._stopping = False
        self._closing = False
        self._missed: int | None = None
        self._error: BaseException | None = None
        self._armed = threading.Event()
        self._finished = threading.Event()
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name=f"pymilk-capture-{self.name}", daemon=True
        )
        tell_after_fork(self)
        if register is not None:
            register(self)
        if held:
            return
        try:
            self.begin()
            self.armed()
            if not background:
                self.join()
        except (KeyboardInterrupt, RuntimeError) as error:
            # It may have come between any two steps; nobody holds this object, so nothing may go on.
            self.stop()
            self._end()
            # Within threading.Thread.start it can come out as an error of a lock.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise

    # -- use -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the thread of a capture that was made with `held`; it arms the capture at once."""
        if self._thread is not None:
            self._thread.start()

    def armed(self) -> None:
        """Wait until the capture is armed, or has failed: from then on no frame is left out."""
        self._await(self._armed)

    def wait_end(self, timeout: float | None = None) -> bool:
        """Wait for the end without raising what ended it; returns whether it has ended.

        For threads that no signal interrupts: it is one sleep, where `join` looks up every 50 ms.
        """
        return self._finished.wait(timeout)

    @property
    def received(self) -> int:
        """Frames that are complete; grows while the capture runs."""
        return self._kept if self.done else max(self._kept, self._reader.received)

    @property
    def done(self) -> bool:
        """Whether the capture has ended, for whatever reason."""
        return self._finished.is_set()

    @property
    def frames(self) -> npt.NDArray[Any]:
        """The frames received so far: shape (received, *shape), a view of the cube."""
        received = self.received
        if self._out is not None:
            return self._out[:received]
        return self.orientation.view(self._cube[:received])

    @property
    def info(self) -> npt.NDArray[Any]:
        """One `FRAME_ROW` for each frame of `frames`; a view.

        Fields: ``cnt0`` (number of the frame), ``cnt1``, ``atime_ns`` and ``writetime_ns`` (the
        writer's stamps), ``arrival_ns`` (when it was copied), ``lost`` (frames lost just before it) and
        ``flags`` (``FLAG_...`` of `pymilk._core`). Times are nanoseconds of CLOCK_TAI.
        """
        return self._info[: self.received]

    @property
    def error(self) -> BaseException | None:
        """What ended the capture, and `join` raises; None if nothing went wrong so far."""
        if not self.done:
            return None
        if not isinstance(self._error, StreamError):
            return self._error
        # A new one each time: kept here, it and this object would hold each other, and the frames, until
        # Python's collector of cycles comes along.
        error = copy.copy(self._error)
        error.capture = self
        return error

    @property
    def report(self) -> CaptureReport:
        """The account of what was received so far."""
        duration = self._duration if self.done else time.monotonic() - self._began
        return CaptureReport(
            self.name, self.requested, self.info, self._repeated, duration, self._cpu_ns / 1e9
        )

    def stop(self) -> None:
        """End a capture early, within 50 ms; it keeps what it has, and `join` does not raise."""
        self._stopping = True
        if not self.done:
            self._reader.stop()

    def close(self) -> None:
        """End the capture because its stream is closed: `join` raises `StreamClosedError`."""
        self._closing = True
        if not self.done:
            self._stream.close()
            self._end()

    def join(self, timeout: float | None = None) -> Capture:
        """Wait for the end of a capture.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever.

        Returns
        -------
        Capture
            Itself. `done` tells whether it has ended.

        Raises
        ------
        StreamTimeoutError
            A frame did not come in time; its `capture` is this object, with what was received.
        StreamChangedError
            The stream was recreated with another shape or dtype.
        StreamClosedError
            The stream was closed during the capture.
        StreamForkedError
            In a child that was forked during the capture; `frames` has what was received until then.
        KeyboardInterrupt
            Ctrl-C; the capture was stopped first, and the stream stays usable.
        """
        if self._await(self._finished, timeout):
            if self._thread is not None:
                self._thread.join()
            error = self.error
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # whose traceback holds this call
        return self

    def _end(self) -> None:
        """Wait for the thread, which has been told to end; not in it, and not in a forked child."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def _await(self, event: threading.Event, timeout: float | None = None) -> bool:
        """Wait for an event of the thread; whatever interrupts the wait ends the capture."""
        try:
            return await_event(event, timeout)
        except BaseException:
            self.stop()
            self._end()
            raise

    def _after_fork(self) -> None:
        if self._thread is None:
            return  # it came out of a pickle
        if self._thread.ident is None:  # it has not begun, and can here; the old thread cannot any more
            self._thread = threading.Thread(target=self._run, name=self._thread.name, daemon=True)
            return
        done = self._finished.is_set()
        self._armed, self._finished = threading.Event(), threading.Event()
        self._armed.set()
        self._finished.set()
        if not done:
            self._kept = max(self._kept, self._reader.received)
            self._out = None  # pixels that `out` has in another order would be turned at the end
            self._error = left_with_parent("capture", self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # The result travels, not the work: exceptions carry captures from process to process.
        received = self.received  # once: it may grow meanwhile
        state = {
            "name": self.name,
            "requested": self.requested,
            "orientation": self.orientation,
            "started_ns": self.started_ns,
            "_out": np.array(self.frames[:received]),
            "_info": np.array(self.info[:received]),
            "_kept": received,
            "_repeated": self._repeated,
            "_duration": self._duration,
            "_cpu_ns": self._cpu_ns,
        }
        return _restore, (state,)

    def __len__(self) -> int:
        return self.received

    def __repr__(self) -> str:
        state = "done" if self.done else "running"
        return f"<Capture {self.name!r}: {self.received}/{self.requested} frames, {state}>"

    # -- the work ------------------------------------------------------------------------------

    def _run(self) -> None:
        """Receive; the target of the thread."""
        self._began = time.monotonic()
        try:
            self._receive()
        except StreamError as error:
            # The calls of its traceback would hold this object.
            error.__context__ = None
            self._error = error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001 (handed to join(), in the thread that waits for it)
            self._error = error
        finally:
            self._duration = time.monotonic() - self._began
            self._let_go()
            finish(self.orientation, self._cube, self._out, self._kept)
            self._armed.set()
            self._finished.set()

    def _receive(self) -> None:
        if self._stopping:
            return
        after = self._reader.arm()
        self.started_ns = now_ns()
        self._armed.set()
        while self._kept < self.requested and not self._stopping:
            replaced = False
            try:
                self._reader.receive(
                    self._cube,
                    self._info,
                    timeout=self._timeout,
                    after=after,
                    first=self._kept,
                    spin_ns=self._spin,
                    missed=self._missed,
                )
            except StreamReplacedError:
                replaced = True
            finally:
                if self._reader.received > self._kept:
                    self._kept = self._reader.received
                    self._missed = None
            if replaced:
                self._follow()
                after = 0

    def _follow(self) -> None:
        """Go over to the new file of the stream; what the old one still had is missed."""
        self._missed = (self._missed or 0) + frames_behind(self._stream, self._reader.last)
        stream = find_successor(self._stream, self._timeout, lambda: self._stopping)
        if stream is None:
            return
        self._let_go()
        self._stream = stream
        self._owned = True
        self._reader = stream.reader()
        if self._closing:
            stream.close()  # close() came while the new stream was being attached

    def _let_go(self) -> None:
        """Close what belongs to the capture."""
        self._cpu_ns += self._reader.cpu_ns
        self._repeated += self._reader.repeated
        self._reader.close()
        if self._owned:
            self._stream.close()


def await_event(event: threading.Event, timeout: float | None = None) -> bool:
    """Wait for another thread to set an event, with an eye on signals; returns whether it did.

    Parameters
    ----------
    event : threading.Event
    timeout : float, optional
        Seconds; None waits for ever.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    # In slices: a signal may have been delivered to another thread.
    while not event.wait(_SIGNAL_INTERVAL):
        if deadline is not None and time.monotonic() >= deadline:
            return False
    return True


def join_thread(thread: threading.Thread, timeout: float | None = None) -> None:
    """Wait for the end of a thread whose start may have been interrupted.

    Ctrl-C within `threading.Thread.start` comes out of it, and does not tell whether the thread will run: one
    that has not begun half a second later is taken for one that never will.

    Parameters
    ----------
    thread : threading.Thread
    timeout : float, optional
        Seconds to wait for its end; None waits for ever.
    """
    deadline = time.monotonic() + _BEGIN_SECONDS
    while True:
        try:
            thread.join(timeout)
            return
        except RuntimeError:  # it has not begun
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)


def destination(
    name: str,
    orientation: Orientation,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Any,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Find the C-contiguous, pre-faulted cube in the order of the stream that frames go to.

    Parameters
    ----------
    name : str
        Of the stream.
    orientation : Orientation
        How the user sees frames.
    shape : tuple of int
        (n, *shape of a frame in the stream).
    dtype : dtype
        Of the stream.
    out : array or buffer, shape (n, *orientation.shape), optional
        Where the user wants them: see `as_target`.

    Returns
    -------
    (ndarray, ndarray or None)
        The cube, which is a view of `out` if that is possible; and `out` as an array.

    Raises
    ------
    FrameMismatchError
        `out` does not fit.
    CaptureMemoryError
        The frames need more memory than there is.

    See Also
    --------
    finish : to be called with the same arguments once the frames are there.
    """
    if out is None:
        return allocate(shape, dtype), None
    out = as_target(out, (shape[0], *orientation.shape), dtype, name)
    native = orientation.native(out)
    if native.flags.c_contiguous:
        prefault(native)
        return native, out
    if not (out.flags.c_contiguous or out.flags.f_contiguous):
        raise FrameMismatchError(
            f"stream {name!r}: out has to be contiguous",
            stream=name,
            field="order",
            expected="contiguous",
            found=str(out.strides),
        )
    # The orientation turns pixels within `out`: received aside, and turned in one pass at the end.
    return allocate(shape, dtype), out


def finish(
    orientation: Orientation, cube: npt.NDArray[Any], out: npt.NDArray[Any] | None, count: int
) -> None:
    """Bring the first frames of the cube to where the user wants them, if they are not there."""
    if out is not None and not np.may_share_memory(out, cube):
        turn_copy(out[:count], orientation.view(cube[:count]))


def finished_capture(
    name: str,
    requested: int,
    frames: npt.NDArray[Any],
    info: npt.NDArray[Any],
    orientation: Orientation,
    duration: float,
    cpu_seconds: float = 0.0,
) -> Capture:
    """Make a capture of frames that were received by other means.

    Parameters
    ----------
    name : str
        Of the stream.
    requested : int
    frames : ndarray, shape (n, *shape)
        As the user sees them.
    info : ndarray of FRAME_ROW, shape (n,)
    orientation : Orientation
        How they are turned from those of the stream.
    duration : float
        Seconds that it took, until now.
    cpu_seconds : float, default 0
        Processor time of the thread that received them.
    """
    return _restore(
        {
            "name": name,
            "requested": requested,
            "orientation": orientation,
            "started_ns": now_ns() - round(duration * 1e9),
            "_out": frames,
            "_info": info,
            "_kept": len(info),
            "_repeated": 0,
            "_duration": duration,
            "_cpu_ns": cpu_seconds * 1e9,
        }
    )


def _restore(state: dict[str, Any]) -> Capture:
    """Make a finished capture from its pickled parts."""
    capture = Capture.__new__(Capture)
    capture.__dict__.update(state, _thread=None, _error=None, _finished=threading.Event())
    capture._finished.set()
    return capture
