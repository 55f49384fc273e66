"""Captures: N frames into one cube, each accounted for.

A capture runs in a thread of its own that never needs the GIL while frames come, so a busy Python thread
cannot take frames away from it, and Ctrl-C is noticed at once.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import FRAME_ROW, Rows, Stream, allocate, checked_timeout
from ..arguments import bad_argument, check_choice, check_count, older_words
from ..axes import Orientation
from ..errors import StreamClosedError, StreamError, StreamReplacedError, StreamStorageError, carry
from ..streams.keeping import Kept
from ..streams.labelled import Labelled
from ..streams.waiting import Follower, frames_behind, spin_of
from ..system.forks import left_with_parent, tell_after_fork
from ..system.journal import tell
from ..system.latch import Latch
from ..system.signals import unbroken
from ..system.threads import do_all, join_thread, start_thread
from ..times import now_ns, tai_offset
from .cube import destination, finish, make_pages
from .report import CaptureReport

__all__ = ["Capture", "finished_capture"]

#: Seconds to wait for the thread of a stopped capture; it ends within 0.1 s if it ever began.
_PATIENCE = 2.0

#: Set for ever: the end of captures that were finished when they were made.
_OVER = Latch()
_OVER.set()


class Capture(Labelled):
    """N consecutive frames of a stream in one cube.

    Made by `pymilk.SHM.capture`; see there for how to use it. Frames are delivered once each, in order
    and whole. The capture is armed once this object exists: the first frame is the next one published.

    An array of the frames received so far, (received, *shape): ``numpy.asarray(capture)``, DLPack, indices
    and iteration give views of `frames`. `to_xarray`, `to_dask` and `to_pandas` give it to other libraries.

    Parameters
    ----------
    stream : Stream
        Not closed by the capture. A new file of the same shape and dtype that replaces it is followed.
    frames : int
        Frames wanted, 1 or more.
    out : ndarray, shape (n, *shape), optional
        Filled instead of a new array.
    timeout : float or None, default 5.0
        Longest wait for one frame, in seconds; None waits without limit.
    wait : {"auto", "spin", "sleep"}
        See `pymilk.streams.waiting.WAIT_POLICIES`.
    wait_on : {"count", "post"}
        What makes a frame: see `pymilk.SHM.capture`.
    orientation : Orientation, optional
        How the user sees frames. Default: as the stream has them.
    background : bool, default False
        Return at once; `join` waits for the end.
    register : callable, optional
        Called with the capture before it begins, so that its owner can close it.
    held : bool, default False
        Do not start: `begin` does.
    room : int, optional
        Go on after `frames`, up to so many. Their addresses are reserved; `make_ready`, called now and
        then, provides memory before they come. Not with `out`.

    Attributes
    ----------
    requested : int
        `n`; with `room`, the frames for which there is memory: it grows.
    room : int
        Frames that it can have.
    orientation : Orientation
        How `frames` are turned from those of the stream.
    started_ns : int
        When it was armed, in nanoseconds of CLOCK_TAI; 0 before.
    kept : Kept
        The `SHM` that made it stays open until the capture has ended.
    """

    # What a finished capture has; one that runs sets its own.
    _thread: threading.Thread | None = None
    _begun = False
    _error: BaseException | None = None
    _armed = _finished = _OVER
    _repeated = 0
    _cpu_ns = 0
    _wait_on = "count"

    @older_words(n="frames")
    def __init__(
        self,
        stream: Stream,
        frames: int,
        out: npt.NDArray[Any] | None = None,
        *,
        timeout: float | None = 5.0,
        wait: str = "auto",
        wait_on: str = "count",
        orientation: Orientation | None = None,
        background: bool = False,
        register: Callable[[Capture], object] | None = None,
        held: bool = False,
        room: int | None = None,
    ) -> None:
        if not isinstance(stream, Stream):
            raise bad_argument("stream", stream, "a Stream; SHM.capture makes captures of an SHM")
        self.name = stream.name
        self.requested = check_count("frames", frames, stream=stream.name)
        room = self.requested if room is None else check_count("room", room, below=2**62, stream=stream.name)
        self.room = max(room, self.requested)
        self._source = Follower(stream)
        self._timeout = checked_timeout(timeout, stream.name)
        self._spin = spin_of(wait)
        check_choice("wait_on", wait_on, ("count", "post"), stream.name)
        self._wait_on = wait_on
        self.orientation = orientation or Orientation(stream.frame_shape)
        self.started_ns = 0
        self.kept = Kept()
        self._cube, self._out = destination(
            self.name, self.orientation, (self.room, *stream.frame_shape), stream.dtype, out, self.requested
        )
        self._info: Any = allocate((self.room,), FRAME_ROW, self.requested)
        self._reader = stream.reader()
        self._kept = 0
        self._began = time.monotonic()
        self._duration = 0.0
        self._stopping = False
        self._closing = False
        self._armed = Latch()
        self._finished = Latch()
        self._thread = threading.Thread(
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
        except BaseException as error:
            # It may have come between any two steps; nobody holds this object, so nothing may go on.
            unbroken(self._stop_and_wait)
            # Within threading.Thread.start it can come out as an error of a lock.
            if isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt):
                interrupt = KeyboardInterrupt()
                carry(interrupt, capture=self)
                raise interrupt from None
            carry(error, capture=self)
            raise

    # -- use -----------------------------------------------------------------------------------

    def start(self) -> Capture:
        """Do nothing: a capture runs since it was made; returns itself."""
        return self

    @property
    def running(self) -> bool:
        """Whether it receives: the opposite of `done`."""
        return not self.done

    def wait(self, timeout: float | None = None) -> CaptureReport:
        """Wait for the end as `join` does; returns the report."""
        return self.join(timeout).report

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Stop it; without another exception, raise what ended it before."""
        unbroken(self._stop_and_wait)
        if kind is None:
            self.join()

    def _stop_and_wait(self) -> None:
        self.stop()
        self.end()

    def begin(self) -> None:
        """Start the thread of a capture that was made with `held`; it arms the capture at once.

        A second call does nothing, and one after the end.
        """
        thread = self._thread
        if thread is None or not self._waits_for_begin():
            return
        self._begun = True
        try:
            start_thread(thread)
        except StreamStorageError as error:
            self._begun = False
            self._end_unbegun(copy.copy(error))
            raise

    def _waits_for_begin(self) -> bool:
        return not (self._begun or self.done)

    def _end_unbegun(self, error: StreamError | None) -> None:
        """End a capture that has no thread, and for whose end somebody may wait."""
        if self._waits_for_begin():
            self._keep_error(error)
            self._end_receiving()

    def make_ready(self) -> None:
        """Provide memory for more frames, if `room` is more than that: twice as many once half of it is used.

        Raises
        ------
        CaptureMemoryError
            The machine has none left.
        """
        received, ready = self.received, self.requested
        if ready < self.room and 2 * received >= ready:
            wanted = min(self.room, max(2 * ready, 3 * received))
            make_pages(self._cube, ready, wanted)
            make_pages(self._info, ready, wanted)
            self.requested = wanted

    def armed(self) -> None:
        """Wait until the capture is armed, or has failed. No frame after that is missed."""
        self._await(self._armed)

    def wait_end(self, timeout: float | None = None) -> bool:
        """Wait for the end without raising what ended it; returns whether it has ended.

        For threads that get no signals: one sleep, where `join` wakes every 50 ms. `StreamArgumentError` if
        the timeout is none.
        """
        return self._finished.wait(checked_timeout(timeout, self.name))

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
        rows: npt.NDArray[Any] = self._info[: self.received]
        return rows

    @property
    def error(self) -> BaseException | None:
        """What ended the capture, and `join` raises; None if nothing went wrong so far."""
        if not self.done:
            return None
        if not isinstance(self._error, StreamError):
            if self._error is not None:
                carry(self._error, capture=self)
            return self._error
        # A copy each time: an error that is kept here and refers to this object would be a reference
        # cycle, which keeps the frames in memory until the garbage collector runs.
        error = copy.copy(self._error)
        error.capture = self
        return error

    @property
    def report(self) -> CaptureReport:
        """The account of what was received so far."""
        duration = self._duration if self.done else time.monotonic() - self._began
        return CaptureReport(
            self.name, self.requested, self.info, self._repeated, duration, self._cpu_ns / 1e9, self._wait_on
        )

    def stop(self) -> None:
        """End a capture early, within 50 ms; its frames are kept, and `join` does not raise."""
        self._stopping = True
        if not self.done:
            self._reader.stop()
            self._end_unbegun(None)

    def close(self) -> None:
        """End the capture because its stream is closed: `join` raises `StreamClosedError`."""
        self._closing = True
        if not self.done:
            self._source.stream.close()
            text = f"stream {self.name!r}: it was closed before the capture began; make a new capture"
            self._end_unbegun(StreamClosedError(text, stream=self.name))
            self.end()

    def join(self, timeout: float | None = None) -> Capture:
        """Wait for the end of a capture.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

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
            Ctrl-C, or any exception of a signal handler; the capture was stopped first, and is the
            `capture` of the exception. The stream stays usable.
        """
        if self._await(self._finished, timeout):
            if self._thread is not None and self._begun:
                join_thread(self._thread)
            error = self.error
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # whose traceback holds this call
        return self

    def end(self) -> None:
        """Wait for the stopped thread; does nothing within it, or in a forked child."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            join_thread(thread, _PATIENCE)

    def _await(self, event: Latch, timeout: float | None = None) -> bool:
        """Wait for an event of the thread; any exception ends the capture."""
        timeout = checked_timeout(timeout, self.name)
        try:
            return event.wait(timeout)
        except BaseException as error:
            unbroken(self._stop_and_wait)
            carry(error, capture=self)
            raise

    def _after_fork(self) -> None:
        if self._thread is None:
            return  # it came out of a pickle, or had none
        if self._thread.ident is None:  # not started yet: the child can start it, with a new thread object
            self._thread = threading.Thread(target=self._run, name=self._thread.name, daemon=True)
            return
        done = self._finished.is_set()
        self._armed, self._finished = Latch(), Latch()
        self._armed.set()
        self._finished.set()
        if not done:
            self._kept = max(self._kept, self._reader.received)
            self._out = None  # only the parent turns frames into `out` at the end
            self._error = left_with_parent("capture", self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the result is pickled: exceptions carry captures to other processes.
        received = self.received  # once: it may grow meanwhile
        state = {
            "name": self.name,
            "requested": self.requested,
            "room": self.room,
            "orientation": self.orientation,
            "started_ns": self.started_ns,
            "_out": np.array(self.frames[:received]),
            "_info": np.array(self.info[:received]),
            "_kept": received,
            "_repeated": self._repeated,
            "_duration": self._duration,
            "_cpu_ns": self._cpu_ns,
            "_wait_on": self._wait_on,
            "_error": self._error,
        }
        return _restore, (), state  # not as an argument of it: the error may refer to the capture

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `frames`: (received, *shape)."""
        return (self.received, *self.orientation.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return (self._cube if self._out is None else self._out).dtype

    def _as_array(self, copy: bool | None) -> npt.NDArray[Any]:
        return self.frames.copy() if copy else self.frames

    def _facts(self) -> list[tuple[str, object]]:
        state = "done" if self.done else "running"
        return [("received", f"{self.received} of {self.requested}, {state}")]

    def _described(self) -> dict[str, Any]:
        return {"stream": self.name, "lost": int(self.info["lost"].sum()), "tai_offset": tai_offset()}

    def __getitem__(self, key: Any) -> Any:
        """Return ``frames[key]``, as of an array."""
        return self.frames[key]

    def __iter__(self) -> Iterator[tuple[npt.NDArray[Any], np.void]]:
        """Go through (frame, row) of what was received when this began: views, see `frames` and `info`."""
        received = self.received
        return zip(self.frames[:received], self.info[:received], strict=True)

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
        except BaseException as error:  # noqa: BLE001 (handed to join(), in the thread that waits for it)
            self._keep_error(error)
        finally:
            self._end_receiving()

    def _end_receiving(self) -> None:
        self._duration = time.monotonic() - self._began
        self.requested = max(self.requested, self._kept)  # frames may have come before their memory
        self._keep_error(do_all(self._leave_reader, self._source.close, self._turn))
        self._wake()

    def _keep_error(self, error: BaseException | None) -> None:
        """Keep the first thing that went wrong."""
        if self._error is not None or error is None:
            return
        if isinstance(error, StreamError):
            # Its traceback refers to this object: a reference cycle.
            error.__context__ = None
            error.__traceback__ = None
        self._error = error

    def _turn(self) -> None:
        """Give the frames their place in the memory that the user gave."""
        try:
            finish(self.orientation, self._cube, self._out, self._kept)
        except BaseException:
            self._out = None  # they are in the cube
            raise

    def _wake(self) -> None:
        """Let all go on that wait for this capture."""
        self._armed.set()
        self._finished.set()
        self.kept.let_go()

    def _receive(self) -> None:
        if self._stopping:
            return
        after = self._reader.arm()
        self.started_ns = now_ns()
        self._armed.set()
        while self._kept < self.room and not self._stopping:
            replaced = False
            try:
                self._reader.receive(
                    self._cube,
                    self._info,
                    timeout=self._timeout,
                    after=after,
                    first=self._kept,
                    spin_ns=self._spin,
                    missed=self._source.missed,
                    wait_on=self._wait_on,
                )
            except StreamReplacedError:
                replaced = True
            finally:
                if self._reader.received > self._kept:
                    self._kept = self._reader.received
                    self._source.take_missed()
            if replaced:
                self._follow()
                after = 0

    def _follow(self) -> None:
        """Continue with the new file of the stream; unread frames of the old one are missed."""
        self._source.follow(
            self._timeout,
            begin=self._begin_new,
            missed=lambda old: frames_behind(old, self._reader.last),
            stopping=lambda: self._stopping,
        )
        if self._closing:
            self._source.stream.close()  # close() came while the new stream was being attached

    def _begin_new(self, stream: Stream) -> None:
        self._leave_reader()
        self._reader = stream.reader()
        tell("stream %r: its writer made it anew; the capture goes on", stream.name)

    def _leave_reader(self) -> None:
        """Add the account of the reader to that of the capture, and close it."""
        self._cpu_ns += self._reader.cpu_ns
        self._repeated += self._reader.repeated
        self._reader.close()


def finished_capture(
    name: str,
    requested: int,
    frames: npt.NDArray[Any],
    info: npt.NDArray[Any] | Rows,
    orientation: Orientation,
    duration: float,
    ended_ns: int | None = None,
) -> Capture:
    """Return a finished `Capture` of frames that were received in another way.

    Parameters
    ----------
    name : str
        Of the stream.
    requested : int
    frames : ndarray, shape (n, *shape)
        As the user sees them.
    info : ndarray of FRAME_ROW, shape (n,), or Rows
    orientation : Orientation
        How they are turned from those of the stream.
    duration : float
        Seconds that it took.
    ended_ns : int, optional
        When it ended, in nanoseconds of CLOCK_TAI; default: now.
    """
    capture = Capture.__new__(Capture)
    capture.name = name
    capture.requested = capture.room = requested
    capture.orientation = orientation
    capture.started_ns = (now_ns() if ended_ns is None else ended_ns) - int(duration * 1e9)
    capture._out = frames
    capture._info = info
    capture._kept = len(info)
    capture._duration = duration
    return capture


def _restore() -> Capture:
    """Make a finished capture that gets what was pickled."""
    capture = Capture.__new__(Capture)
    capture.kept = Kept()
    return capture
