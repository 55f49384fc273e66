"""Recorders: frames of streams to disk, each stream by a thread of its own, every frame accounted for.

A thread reads from a `RingReader`, straight into memory of the sink, and never waits for the disk with
Python's global lock in hand. Frames that come while the disk stalls wait in the ring.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import FLAG_NEW_FILE, FLAG_TORN, allocate, checked_timeout
from .axes import Orientation, Which3DState
from .capture import await_event
from .errors import (
    RecordError,
    StreamArgumentError,
    StreamError,
    StreamTimeoutError,
)
from .files import check_room_for, checked_path, file_error
from .forks import left_with_parent, tell_after_fork
from .headers import first_time, header_of
from .multicapture import check_seconds
from .names import stream_name
from .recording import GOES_ON, is_part_of, part_path, remove_others, taken_by
from .ring import RingReader
from .shm import SHM
from .sinks import SUFFIXES, Header, Sink, sink_of
from .sinks.base import batch_of
from .times import now_ns
from .waiting import check_scheduling, spin_of

__all__ = ["RecordReport", "Recorder", "StreamReport", "record"]

Array = npt.NDArray[Any]

#: How often a recorder without frames looks whether to stop, in seconds.
_TICK = 0.1

#: Frames are left to gather for so long between two looks, in seconds, and for that part of what the ring
#: holds.
_GATHER_SECONDS = 0.005
_GATHER_SHARE = 0.25

#: Bytes that are copied at a time, about.
_BATCH_NBYTES = 1 << 20

#: How long `stop` gives to frames that are in the ring already, in seconds.
_STOP_SECONDS = 0.5


class StreamReport:
    """What was recorded of one stream.

    Attributes
    ----------
    stream : str
    paths : list of str
        The files, in order. None with `force` as long as no frame has come: the old ones are still there.
    requested : int or None
        Frames asked for.
    recorded : int
        Frames in the files.
    lost : int
        Frames that the writer published between those recorded and that are in no file. Exact by the
        counter of the stream.
    torn : int
        Frames that may hold pixels of two frames; flagged in their rows.
    unwritten : int
        Frames that were in the ring when `Recorder.stop` ran out of time, or at an error, and are in no file.
    new_files : int
        Times that the stream was replaced by a new one and followed.
    nbytes : int
        Bytes of pixels.
    duration : float
        Seconds since the start.
    rate : float
        Frames per second between the first and the last arrival; NaN below two frames.
    source : str
        Ring that frames came from: "fast", "temporal" or "collector"; see `RingReader`.
    ring_peak : float
        How full the ring was with frames that waited for the disk, at most: 0 to 1. At 1 frames are lost.
    last_age : float or None
        Seconds since the last frame arrived; None if none did.
    ended : str
        "running", "complete" (all frames), "time", "stopped" or "error".
    error : str or None
        Message of what ended it.
    complete : bool
        The files, if any, are finished, whatever ended the recording.
    """

    def __init__(self, **values: Any) -> None:
        self.stream: str = values["stream"]
        self.paths: list[str] = values["paths"]
        self.requested: int | None = values["requested"]
        self.recorded: int = values["recorded"]
        self.lost: int = values["lost"]
        self.torn: int = values["torn"]
        self.unwritten: int = values["unwritten"]
        self.new_files: int = values["new_files"]
        self.nbytes: int = values["nbytes"]
        self.duration: float = values["duration"]
        self.rate: float = values["rate"]
        self.source: str = values["source"]
        self.ring_peak: float = values["ring_peak"]
        self.last_age: float | None = values["last_age"]
        self.ended: str = values["ended"]
        self.error: str | None = values["error"]
        self.complete: bool = values["complete"]

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in vars(self).items()
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        more = f" and {len(self.paths) - 1} more" if self.paths[1:] else ""
        wanted = "" if self.requested is None else f" of {self.requested}"
        rows = [
            ("file", f"{self.paths[0] if self.paths else 'none; what was there stays'}{more}"),
            ("frames recorded", f"{self.recorded}{wanted}"),
            ("lost", str(self.lost)),
            ("torn", str(self.torn)),
        ]
        if self.unwritten:
            rows.append(("not written", f"{self.unwritten}, in the ring at the end"))
        if self.new_files:
            rows.append(("new files followed", str(self.new_files)))
        rows += [
            ("rate", "not known" if math.isnan(self.rate) else f"{self.rate:.1f} frames/s"),
            ("size", f"{self.nbytes / 1e6:.1f} MB of pixels"),
            ("ring", f"{self.source}, {self.ring_peak:.1%} full at most"),
            ("duration", f"{self.duration:.3f} s"),
            ("ended", self.ended if self.error is None else f"{self.ended}: {self.error}"),
        ]
        if self.ended != "running" and not self.complete:
            rows.append(("files", "not finished; pymilk.load reads what is there"))
        return rows

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        lines = [f"Recording of stream {self.stream!r}"]
        return "\n".join(lines + [f"  {label:<{width}}  {text}" for label, text in rows])

    def __repr__(self) -> str:
        return f"<StreamReport {self.stream!r}: {self.recorded} recorded, {self.lost} lost, {self.ended}>"


class RecordReport:
    """What a recorder has written so far.

    Attributes
    ----------
    streams : dict of str to StreamReport
        By name of the stream.
    recorded, lost, torn, unwritten, nbytes : int
        Of all together; see `StreamReport`.
    duration : float
        Seconds that the longest took.
    complete : bool
        All files are finished.
    """

    def __init__(self, streams: dict[str, StreamReport]) -> None:
        self.streams = streams
        reports = list(streams.values())
        self.recorded = sum(each.recorded for each in reports)
        self.lost = sum(each.lost for each in reports)
        self.torn = sum(each.torn for each in reports)
        self.unwritten = sum(each.unwritten for each in reports)
        self.nbytes = sum(each.nbytes for each in reports)
        self.duration = max(each.duration for each in reports)
        self.complete = all(each.complete for each in reports)

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON."""
        return {**vars(self), "streams": {name: each.to_dict() for name, each in self.streams.items()}}

    def __str__(self) -> str:
        return "\n".join(str(each) for each in self.streams.values())

    def __repr__(self) -> str:
        return f"<RecordReport {len(self.streams)} streams: {self.recorded} recorded, {self.lost} lost>"


class _Job:
    """One stream, its thread, and its files."""

    def __init__(self, source: SHM | str, path: str, options: dict[str, Any]) -> None:
        self.path = path
        # A script may change its directory while it records.
        self._folder = os.getcwd()
        self._options = options
        self._owned = isinstance(source, str)
        shm = SHM(source) if isinstance(source, str) else source
        try:
            self._shm = shm
            self.stream = shm._live()
            self.name = self.stream.name
            self._turn: Orientation = shm._turn
            self._format = sink_of(path)
            self._where = os.path.join(self._folder, path)
            self._limit: int | None = options["frames"]
            self._part_limit: int | None = options["max_frames_per_file"]
            self.check()
        except BaseException:
            if self._owned:
                shm.close()
            raise
        self.paths: list[str] = []
        self.error: BaseException | None = None
        self.ended = "running"
        self.complete = False
        self.over = threading.Event()
        self._stop = threading.Event()
        self._stopped_at = math.inf
        self._ring: RingReader | None = None
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._recorded = self._lost = self._torn = self._new_files = self._unwritten = 0
        self._part = self._part_lost = 0
        self._parts = 0
        self._first_arrival = self._last_arrival = self._first_ns = 0
        self._started_ns = 0
        self._keywords: list[list[Any]] = []
        self._replaces = False
        self._peak = 0.0
        self._began = 0.0
        self._duration: float | None = None
        self._deadline: float | None = None
        self._interval = math.inf
        self._flushed = 0.0
        self._last_seen = 0.0
        tell_after_fork(self)

    # -- before anything is recorded -----------------------------------------------------------

    def check(self) -> None:
        """Raise whatever speaks against recording, before a file is made or a frame is waited for."""
        stream = self.stream
        self._format.check(stream.frame_shape, stream.dtype, self._options["compress"])
        others = [] if self._options["force"] else self._in_the_way(self.path)
        check_room_for(self.path, others, stream.name)

    def _in_the_way(self, path: str) -> list[str]:
        """Return the paths that this recording would replace."""
        files = taken_by(path)
        return files if self._part_limit is None else [*files, *self._format.files(part_path(path, 0))]

    def collides_with(self, other: _Job) -> bool:
        """Tell whether this one may write, or remove, files of another."""
        mine, theirs = (
            {os.path.realpath(each) for each in job._format.files(job._where)} for job in (self, other)
        )
        series = self._part_limit is not None or self._options["force"]
        return not mine.isdisjoint(theirs) or (
            series and is_part_of(os.path.realpath(other._where), os.path.realpath(self._where))
        )

    # -- from other threads --------------------------------------------------------------------

    def prepare(self) -> None:
        """Arm the ring, and make the first file, unless there is one to be replaced."""
        self._replaces = self._options["force"] and any(map(os.path.lexists, self._in_the_way(self._where)))
        self._started_ns = now_ns()
        if not self._replaces:
            self._open()
        how = {key: self._options[key] for key in ("depth", "start", "wait", "cpu", "priority")}
        # Frames stay in the order of the stream: this orientation turns nothing.
        plain = Orientation(self.stream.frame_shape, 4, Which3DState.FRONT2LAST)
        self._ring = RingReader(self.stream, orientation=plain, **how)

    def begin(self, deadline: float | None) -> None:
        """Record what the ring has, and what comes."""
        self._deadline = deadline
        self._began = self._last_seen = self._flushed = time.monotonic()
        thread = threading.Thread(target=self._run, name=f"pymilk-record-{self.name}", daemon=True)
        _running.add(self)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # there are too many
            self._thread = None
            raise

    def abandon(self) -> None:
        """Undo a start: no file without frames stays."""
        if self._thread is not None:
            self.stop()
            # An interrupt may have come before its thread began to run.
            if self.over.wait(2 * _STOP_SECONDS):
                if not self._recorded:
                    self._remove()
                return
        _running.discard(self)
        if self._ring is not None:
            self._ring.close()
        if self._sink is not None:
            with contextlib.suppress(OSError):
                self._sink.close()
        self._remove()
        self._let_go()
        self.ended = "stopped"
        self.over.set()

    def _remove(self) -> None:
        """Remove the files that were made."""
        for each in self.paths:
            with contextlib.suppress(OSError):
                self._format.remove(os.path.join(self._folder, each))
        self.paths = []

    def _after_fork(self) -> None:
        _running.discard(self)
        if self._thread is None or self.over.is_set():
            return
        self.over = threading.Event()
        self.over.set()
        self.ended = "error"
        self.error = left_with_parent("recorder", self.name)

    def stop(self) -> None:
        """Have the thread end soon."""
        if not self._stop.is_set():
            self._stopped_at = time.monotonic()
            self._stop.set()

    def join(self) -> None:
        """Wait for the thread, whose `over` is set."""
        if self._thread is not None:
            self._thread.join()

    @property
    def report(self) -> StreamReport:
        """The account so far."""
        arrivals = self._last_arrival - self._first_arrival
        frame = math.prod(self.stream.frame_shape) * self.stream.dtype.itemsize
        ring = self._ring
        duration = self._duration
        if duration is None:
            duration = time.monotonic() - self._began if self._began else 0.0
        return StreamReport(
            stream=self.name,
            paths=list(self.paths),
            requested=self._limit,
            recorded=self._recorded,
            lost=self._lost,
            torn=self._torn,
            unwritten=self._unwritten,
            new_files=self._new_files,
            nbytes=self._recorded * frame,
            duration=duration,
            rate=(self._recorded - 1) / (arrivals / 1e9) if arrivals > 0 else math.nan,
            source="none" if ring is None else ring.source,
            ring_peak=self._peak,
            last_age=(now_ns() - self._last_arrival) / 1e9 if self._recorded else None,
            ended=self.ended,
            error=None if self.error is None else str(self.error),
            complete=self.complete,
        )

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        ending = "error"
        try:
            ending = self._record()
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._failed(error)
        finally:
            try:
                self._close(ending)
            except BaseException as error:  # noqa: BLE001 (for `wait`)
                ending = "error"
                self._failed(error)
            self._duration = time.monotonic() - self._began
            self.ended = ending
            _running.discard(self)
            self.over.set()

    def _close(self, ending: str) -> None:
        """Let go of everything, and finish the file."""
        ring = self._ring
        assert ring is not None
        try:
            if ending == "error" and not ring.closed:
                self._unwritten += ring.lag
            ring.close()
        finally:
            try:
                self._finish(ending)
            finally:
                self._let_go()

    def _failed(self, error: BaseException) -> None:
        """Keep the first thing that went wrong."""
        if self.error is None:
            if isinstance(error, OSError) and not isinstance(error, StreamError):
                made = file_error(error, self.paths[-1] if self.paths else self.path, "written")
                made.__cause__ = error
                error = made
            self.error = error

    def _let_go(self) -> None:
        if self._owned:
            self._shm.close()

    def _record(self) -> str:
        """Record until it is over; returns why it ended."""
        ring = self._ring
        assert ring is not None
        while True:
            now = time.monotonic()
            if self._limit is not None and self._recorded >= self._limit:
                return "complete"
            if self._stop.is_set():
                self._drain(ring, self._stopped_at + _STOP_SECONDS)
                return "stopped"
            if self._deadline is not None and now >= self._deadline:
                self._drain(ring, None)
                return "time"
            lag = ring.lag
            self._peak = max(self._peak, ring.level)
            if lag:
                self._take(ring, lag, _TICK)
                continue
            left = _TICK if self._deadline is None else max(0.0, min(_TICK, self._deadline - now))
            if self._take(ring, 1, left):
                # Who wakes up for each frame keeps others from their work.
                rest = min(_GATHER_SECONDS, self._interval * ring.depth * _GATHER_SHARE)
                self._stop.wait(rest)

    def _drain(self, ring: RingReader, until: float | None) -> None:
        """Record what is in the ring now."""
        left = ring.lag
        if self._limit is not None:
            left = min(left, self._limit - self._recorded)
        while left > 0:
            if (until is not None and time.monotonic() > until) or (until is None and self._stop.is_set()):
                self._unwritten = left
                return
            left -= max(1, self._take(ring, left, 0.0))

    def _take(self, ring: RingReader, count: int, timeout: float) -> int:
        """Record up to `count` of the next frames; returns how many."""
        shape, dtype = self.stream.frame_shape, self.stream.dtype
        count = min(count, batch_of(shape, dtype, _BATCH_NBYTES))
        if self._limit is not None:
            count = min(count, self._limit - self._recorded)
        sink = self._sink
        if self._part_limit is not None:
            count = min(count, self._part_limit - self._part)
            if not count:
                sink = None
        # The next file, and one in place of another, is made once there is a frame for it.
        room = allocate((1, *shape), dtype) if sink is None else sink.room(count)
        failure: StreamError | None = None
        try:
            info = ring.read(len(room), out=room, timeout=timeout).info
        except StreamTimeoutError as error:
            info, failure = error.capture.info, error
        except StreamError as error:
            if error.capture is None:
                raise
            info, failure = error.capture.info, error
        if len(info):
            try:
                if sink is None:
                    self._finish(GOES_ON)
                    sink = self._open()
                    np.copyto(sink.room(1), room)
                self._add(sink, info)
            except BaseException:
                # The sink has dropped these, and what it had not written yet.
                self._unwritten += len(info)
                raise
        now = time.monotonic()
        if self._sink is not None and now - self._flushed > self._sink.flush_seconds:
            self._sink.flush()
            self._flushed = now
        if failure is not None and not isinstance(failure, StreamTimeoutError):
            raise failure
        patience: float | None = self._options["timeout"]
        if len(info):
            self._last_seen = now
        elif patience is not None and now - self._last_seen >= patience and failure is not None:
            raise ring._timed_out(patience) from None
        return len(info)

    def _add(self, sink: Sink, info: Array) -> None:
        """Give the frames to the sink, and count them."""
        sink.commit(info)
        last = int(info["arrival_ns"][-1])
        if self._recorded == 0:
            self._first_arrival = int(info["arrival_ns"][0])
        if self._part == 0:
            self._first_ns = first_time(info)
        if self._last_arrival:
            self._interval = max(0, last - self._last_arrival) / len(info) / 1e9
        self._last_arrival = last
        lost = int(info["lost"].sum())
        self._lost += lost
        self._part_lost += lost
        self._torn += int(np.count_nonzero(info["flags"] & FLAG_TORN))
        self._new_files += int(np.count_nonzero(info["flags"] & FLAG_NEW_FILE))
        self._part += len(info)
        self._recorded += len(info)

    # -- files ---------------------------------------------------------------------------------

    def _open(self) -> Sink:
        """Begin a new file."""
        path = self.path if self._part_limit is None else part_path(self.path, self._parts)
        where = os.path.join(self._folder, path)
        self._part = self._part_lost = 0
        self._first_ns = now_ns()
        if self._parts:
            self._started_ns = self._first_ns
        stream = self.stream if self._ring is None else self._ring.stream
        if not stream.closed:
            found = stream.read_keywords()
            self._keywords = [[each.name, each.value, each.comment] for each in found]
        left = None if self._limit is None else self._limit - self._recorded
        if self._part_limit is not None:
            left = self._part_limit if left is None else min(left, self._part_limit)
        replaces, self._replaces = self._replaces, False
        try:
            sink = self._format(
                where,
                self.stream.frame_shape,
                self.stream.dtype,
                self._header("running"),
                compress=self._options["compress"],
                frames=left,
                replace=replaces,
            )
        except OSError as error:
            raise file_error(error, path, "written") from error
        self.paths.append(path)
        self._sink = sink
        self._parts += 1
        self.complete = False
        if replaces:
            remove_others(self._where, where)
        return sink

    def _header(self, ended: str) -> Header:
        return header_of(
            self.name,
            self.stream.dtype,
            self._turn,
            keywords=self._keywords,
            started_ns=self._started_ns,
            first_ns=self._first_ns,
            frames=self._part,
            lost=self._part_lost,
            ended=ended,
            part=None if self._part_limit is None else self._parts - (self._sink is not None),
        )

    def _finish(self, ending: str) -> None:
        """Finish the present file; if that fails, leave it as it is."""
        sink = self._sink
        if sink is None:
            self.complete = self.complete or not self._parts
            return
        failure: OSError | None = None
        try:
            try:
                sink.flush()
            except OSError as error:
                failure = error
            dropped = self._part - sink.written
            self._part -= dropped
            self._recorded -= dropped
            self._unwritten += dropped
            sink.finish(self._header(ending))
        except BaseException:
            sink.close()
            raise
        finally:
            self._sink = None
        self.complete = True
        if failure is not None:
            raise failure


#: Jobs whose threads may be at work.
_running: set[_Job] = set()


@atexit.register
def _stop_all() -> None:
    """Finish the files of recorders that a script forgot, before Python ends their threads."""
    jobs = list(_running)
    for job in jobs:
        job.stop()
    for job in jobs:
        job.over.wait(2 * _STOP_SECONDS)


class Recorder:
    """Record streams to disk in the background.

    A context manager that starts at its beginning and stops at its end; or use `start`, `stop` and `wait`.

    Parameters
    ----------
    source : str or SHM, list of them, or mapping to paths
        The stream, by name or as an `SHM`, which brings its orientation and stays open; several in a list; or
        ``{"wfs": "wfs.npy", "dm": "dm.fits"}`` without `path`. Each is recorded by a thread of its own.
    path : str or PathLike, optional
        The file, or a directory, for an NPY file of the stream's name. Its suffix chooses the format:
        ``.npy``, ``.fits``, ``.h5``, ``.hdf5`` or ``.zarr``. For a list: a path with ``{stream}`` in it, or
        a directory, where NPY files are made.
    frames : int, optional
        End after so many frames of each stream. A camera that stops short of them is waited for: until
        `stop`, Ctrl-C in `wait`, or as `seconds` and `timeout` say.
    seconds : float, optional
        End after this time. Frames published by then are recorded. Neither: until `stop`.
    max_frames_per_file : int, optional
        Begin a new file after so many: ``cam_000000.fits``, ``cam_000001.fits``, ...
    force : bool, default False
        Replace existing files, and existing series of that name. They stay until the first frame is there,
        and for good if none comes: the report has no `paths` then.
    compress : bool, default False
        HDF5 (gzip) and Zarr (Blosc): slower and smaller. A recorder that cannot keep up loses frames.
    depth : int, optional
        Frames that may wait for the disk, for streams without a ring: see `RingReader`.
    start : {"next", "oldest", "newest"}
        First frame: see `RingReader`. "oldest" begins in the past, as far as the ring of the stream goes.
    timeout : float or None, default None
        Longest wait for a frame, in seconds, before it is an error. None: a camera may pause, and restart,
        for as long as it likes.
    wait, cpu, priority
        See `RingReader`.

    Raises
    ------
    StreamArgumentError
        An argument is not one of those, a path has no known suffix, or the format has no compression.
    StreamUnsupportedError
        The format has no such pixels: FITS has no complex and no float16.
    StreamExistsError
        A FileExistsError: the file exists, and `force` is false. Raised by `wait` if it is the next file of
        a series, which somebody else has made meanwhile.
    StreamNotFoundError, StreamPermissionError, StreamFormatError
        A stream or a directory is not there, or cannot be used.
    LibraryMissingError
        An ImportError: the library of the format is not installed.

    Notes
    -----
    All of these are raised before a file is made. What ends a recording later is raised by `wait`; the
    files are finished then, too, and hold all frames before it.

    - A stream that is replaced by a new file with frames of the same shape and dtype, as by a camera that
      restarts, is followed in the same recording: its first frame has ``FLAG_NEW_FILE`` in its row, and the
      frames that were missed are in ``lost``.
    - One that comes back with another shape or dtype ends the recording with `StreamChangedError`.
    - A writer that dies or pauses does not end it, unless `timeout` says so.
    - A full disk ends it with `StreamStorageError`; all frames that found room are readable.
    - In a child after fork it is over, with `StreamForkedError`; the parent goes on recording.

    Others go on when the recording of one of several streams ends.

    Frames are stored in the order of the stream, and `pymilk.load` turns them as the `SHM` had them. What
    each format holds, and what is left after a kill, is in docs/recording.md.

    Examples
    --------
    >>> with pymilk.Recorder("cam", "cam.fits") as recorder:              # doctest: +SKIP
    ...     observe()
    >>> print(recorder.report)                                            # doctest: +SKIP
    """

    def __init__(
        self,
        source: str | SHM | Iterable[str | SHM] | Mapping[Any, Any],
        path: str | os.PathLike[str] | None = None,
        *,
        frames: int | None = None,
        seconds: float | None = None,
        max_frames_per_file: int | None = None,
        force: bool = False,
        compress: bool = False,
        depth: int | None = None,
        start: str = "next",
        timeout: float | None = None,
        wait: str = "auto",
        cpu: int | None = None,
        priority: int | None = None,
    ) -> None:
        counts: dict[str, int | None] = {}
        for argument, count in (
            ("frames", frames), ("max_frames_per_file", max_frames_per_file), ("depth", depth),
        ):  # fmt: skip
            if count is not None and not (hasattr(count, "__index__") and 1 <= count < 2**62):
                raise StreamArgumentError(
                    f"{argument} is a number of frames, 1 or more and below 2**62, not {count!r}",
                    argument=argument,
                    found=count,
                )
            counts[argument] = None if count is None else count.__index__()
        if start not in ("next", "oldest", "newest"):
            raise StreamArgumentError(
                f"start is 'next', 'oldest' or 'newest', not {start!r}", argument="start", found=start
            )
        spin_of(wait)
        check_scheduling(cpu, priority)
        check_seconds(seconds)
        self._seconds = seconds
        options = {
            **counts, "force": bool(force), "compress": bool(compress), "start": start,
            "timeout": checked_timeout(timeout), "wait": wait, "cpu": cpu, "priority": priority,
        }  # fmt: skip
        self._jobs: dict[str, _Job] = {}
        self._started = False
        try:
            for each, target in _targets(source, path):
                job = _Job(each, target, options)
                if job.name in self._jobs:
                    if job._owned:
                        job._let_go()
                    raise StreamArgumentError(
                        f"stream {job.name!r} is given twice", argument="source", found=source
                    )
                self._jobs[job.name] = job
            for one, other in itertools.permutations(self._jobs.values(), 2):
                if one.collides_with(other):
                    raise StreamArgumentError(
                        f"two streams cannot be recorded into one file: {one.path} and {other.path}, or "
                        "files beside them or of a series, have the same name; put {stream} into the path, "
                        "or choose other names",
                        argument="path",
                        found=path,
                    )
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        for job in self._jobs.values():
            job.abandon()

    def start(self) -> Recorder:
        """Make the files and begin: frames published after this are recorded.

        Returns
        -------
        Recorder
            Itself.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamExistsError, StreamStorageError, StreamPermissionError
            A file cannot be made.
        CaptureMemoryError
            There is no memory for a ring of that depth.
        """
        if self._started:
            raise StreamArgumentError(
                "a recorder starts once; make a new one", argument="start", found=self._started
            )
        self._started = True
        try:
            for job in self._jobs.values():
                job.prepare()
            deadline = None if self._seconds is None else time.monotonic() + self._seconds
            for job in self._jobs.values():
                job.begin(deadline)
        except BaseException:
            self._abandon()
            raise
        return self

    @property
    def running(self) -> bool:
        """Whether any of the streams is still being recorded."""
        return self._started and not all(job.over.is_set() for job in self._jobs.values())

    @property
    def report(self) -> RecordReport:
        """The account so far; may be asked for at any time, from any thread."""
        return RecordReport({name: job.report for name, job in self._jobs.items()})

    def stop(self) -> RecordReport:
        """End the recording, within a second, and finish the files; a second call does nothing.

        Frames that are in the ring are written first, for half a second at most; `unwritten` tells how many
        were not. Does not raise what went wrong: see `wait`. A disk that does not answer at all can hold
        this up.
        """
        for job in self._jobs.values():
            job.stop()
        if self._started:
            for job in self._jobs.values():
                await_event(job.over)
                job.join()
        else:
            self._started = True
            self._abandon()
        return self.report

    def wait(self, timeout: float | None = None) -> RecordReport:
        """Wait for the end of the recording.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever. `running` tells whether it has ended.

        Returns
        -------
        RecordReport

        Raises
        ------
        StreamStorageError, StreamExistsError, StreamChangedError, StreamTimeoutError, StreamClosedError
            What ended the recording of a single stream. Its `report` is that of the recorder.
        RecordError
            Some of several streams failed.
        KeyboardInterrupt
            Ctrl-C; the recording was stopped first, and its files are finished.
        """
        limit = checked_timeout(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        try:
            for job in self._jobs.values():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if self._started and not await_event(job.over, left):
                    return self.report
                job.join()
        except BaseException:
            self.stop()
            raise
        report = self.report
        errors = {name: job.error for name, job in self._jobs.items() if job.error is not None}
        if not errors:
            return report
        first = next(iter(errors.values()))
        if len(self._jobs) == 1:
            if isinstance(first, StreamError):
                first.report = report
            raise first
        what = "; ".join(f"{name!r}: {error}" for name, error in errors.items())
        raise RecordError(
            f"{len(errors)} of {len(self._jobs)} streams could not be recorded to the end. {what}",
            report=report,
            errors=errors,
        ) from first

    def __enter__(self) -> Recorder:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None:
            self.wait()

    def __repr__(self) -> str:
        state = "running" if self.running else "ended" if self._started else "not started"
        return f"<Recorder of {', '.join(self._jobs)}: {state}>"


def _targets(source: Any, path: Any) -> list[tuple[SHM | str, str]]:
    """Sort out which streams go to which files."""
    if isinstance(source, Mapping) and source:
        if path is not None:
            raise StreamArgumentError(
                "path: the mapping has the paths already", argument="path", found=path
            )
        pairs = list(source.items())
    elif path is None:
        raise StreamArgumentError(
            "path: where to? Give a file, or a mapping of streams to files", argument="path", found=None
        )
    else:
        where = checked_path(path, "a recording")
        if os.path.isdir(where) and os.path.splitext(where)[1].lower() not in SUFFIXES:
            where = os.path.join(where, "{stream}.npy")
        if isinstance(source, (str, SHM)):
            several = [source]
        else:
            several = list(source) if isinstance(source, Iterable) else []
        streams = all(isinstance(each, (str, SHM)) for each in several)
        if streams and len(several) > 1 and "{stream}" not in where:
            raise StreamArgumentError(
                f"path: {where!r} is one file for {len(several)} streams; put {{stream}} into it, or give a "
                "directory that exists",
                argument="path",
                found=path,
            )
        pairs = [(each, where) for each in several]
    if not pairs or not all(isinstance(each, (str, SHM)) for each, _ in pairs):
        raise StreamArgumentError(
            f"source names one or more streams, as str or SHM, not {source!r}",
            argument="source",
            found=source,
        )
    targets = []
    for each, target in pairs:
        name = each.FNAME if isinstance(each, SHM) else stream_name(each)
        targets.append((each, checked_path(target, "a recording").replace("{stream}", name)))
    return targets


def record(
    source: str | SHM | Iterable[str | SHM] | Mapping[Any, Any],
    path: str | os.PathLike[str] | None = None,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    **options: Any,
) -> RecordReport:
    """Record streams to disk, and wait for the end.

    Parameters
    ----------
    source, path
        See `Recorder`.
    frames : int, optional
    seconds : float, optional
        When to end: whichever comes first. One of them is needed.
    **options
        Of `Recorder`: max_frames_per_file, force, compress, depth, start, timeout, wait, cpu, priority.

    Returns
    -------
    RecordReport

    Raises
    ------
    StreamArgumentError
        Neither frames nor seconds, and as for `Recorder`.
    StreamError
        As for `Recorder` and `Recorder.wait`.
    KeyboardInterrupt
        Ctrl-C; the files are finished, and hold what was recorded.

    Examples
    --------
    >>> report = pymilk.record("cam", "cam.npy", frames=100_000)          # doctest: +SKIP
    >>> pymilk.load("cam.npy").frames.shape                               # doctest: +SKIP
    (100000, 120, 120)
    >>> pymilk.record({"wfs": "wfs.npy", "dm": "dm.fits"}, seconds=60)    # doctest: +SKIP
    """
    if frames is None and seconds is None:
        raise StreamArgumentError(
            "record needs frames=... or seconds=...; pymilk.Recorder records until it is stopped",
            argument="frames",
            found=None,
        )
    recorder = Recorder(source, path, frames=frames, seconds=seconds, **options)
    try:
        return recorder.start().wait()
    except BaseException:
        recorder.stop()
        raise
