"""How many frames does this machine miss? A sweep over sources and rates, with a real writer process.

Each point of the sweep has a writer that publishes numbered frames at a rate, and a reader in this process
that puts all it gets into one cube. Afterwards the frames are checked against what pymilk said about them.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import Stream, free_memory, prefault
from ..arguments import bad_argument, check_count, check_number, whole_number
from ..errors import (
    CaptureMemoryError,
    StreamPermissionError,
    StreamStorageError,
)
from ..names import stream_directory
from ..streams.waiting import spin_of
from ..system.machine import CpuClock, describe, file_system_of
from ..system.signals import held_signals, unbroken
from ..system.threads import check_scheduling, do_all, schedule_thread, start_thread
from .account import Account, latency_counts, percentiles, settle
from .frames import SelfCheckingFrame, check_frames
from .reader import BusyThread, CaptureReceiver, Receiver, RingReceiver, touch
from .result import BenchResult, Point
from .writer import BenchWriter, WriterDied

__all__ = ["DEFAULT_RATES", "SOURCES", "Benchmark"]

#: Sources of frames, and the kind of stream that the writer makes for each.
SOURCES = {"plain": "plain", "collector": "plain", "fast": "fast", "temporal": "temporal"}

#: Frames per second.
DEFAULT_RATES = (1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 40_000.0)

#: Seconds of a whole run that the default of `seconds` is chosen for, and its limits.
_BUDGET = 40.0
_SECONDS = (0.3, 1.5)

#: Default slots of a ring: what fits into these bytes, within limits.
_RING_NBYTES = 64 << 20
_RING_DEPTH = (8, 2048)

#: Limits of memory for the frames of a point: bytes, and share of free memory.
_CUBE_NBYTES = 1 << 30
_CUBE_SHARE = 0.25

#: Bytes that are reserved in one step.
_STEP_NBYTES = 64 << 20

#: Least frames of a point.
_FEWEST = 20

#: Duration of a point, of a writer, and of checking frames, to estimate the time of a run.
_POINT_SECONDS = 0.15
_WRITER_SECONDS = 0.7
_CHECK_RATE = 3e9  # bytes per second
_FAULT_RATE = 2e9

#: Factor on the time of a slow writer, and seconds after which a silent writer counts as dead.
_SLOWER = 1.15
_GRACE_SECONDS = 2.0

#: Seconds between two reports of progress.
_TICK = 0.1

Progress = Callable[[float, str], object]


@dataclass(frozen=True)
class _Task:
    """One point to be measured."""

    source: str
    shape: tuple[int, int]
    rate: float
    count: int
    depth: int

    @property
    def seconds(self) -> float:
        return self.count / self.rate


class Benchmark:
    """A sweep, ready to run: everything is checked, time and memory are worked out.

    Parameters
    ----------
    rates : sequence of float, default 1000 to 40000
        Frames per second.
    shapes : sequence of (int, int), default ((120, 120),)
        Of the frames, in pixels.
    dtype : dtype, default uint16
    sources : sequence of {"plain", "collector", "fast", "temporal"}, default all
        "plain" captures from a stream without a ring, "collector" reads such a stream through a ring of this
        process, the others read a ring of the writer's.
    seconds : float, optional
        For each point. Default: 0.3 to 1.5, so that the whole run takes less than a minute.
    wait : {"auto", "spin", "sleep"}, default "auto"
        How readers wait: see `pymilk.streams.waiting.WAIT_POLICIES`.
    depth : int, optional
        Slots of the rings, of the writer's and of the collector's. Default: what fits into 64 MiB, 8 at least
        and 2048 at most.
    cpu_writer, cpu_reader : int, optional
        Cores of the writer, and of the thread that takes frames out of the stream.
    priority : int, optional
        SCHED_FIFO priority of both.
    busy : bool, default False
        Keep a second Python thread of this process busy, which competes for the GIL.
    stall : float, default 0
        Seconds that the consumer of a ring sleeps, every half second. A capture has no consumer to wait for.
    memory : int, optional
        Bytes for the frames of a point; points that need more are shortened. Default: 1 GiB, or a quarter of
        what is free.

    Attributes
    ----------
    result : BenchResult
        What was measured so far; also after Ctrl-C.
    tasks : int
        Number of points to measure.
    expected_seconds : float
        Approximate duration of the run.
    nbytes : int
        Most bytes of memory, rings included.

    Raises
    ------
    StreamArgumentError
        An argument is not one of those above, or there is no such core.
    StreamPermissionError
        The priority is not permitted, or the stream directory is not writable.
    CaptureMemoryError, StreamStorageError
        There is no memory for the frames, or no room for the rings in the stream directory.
    StreamNotFoundError
        There is no stream directory.

    Notes
    -----
    Streams are made in a directory of their own, in the stream directory, so that the same file system is
    measured. It is removed at the end; if this process is killed, the writer removes it.
    """

    def __init__(
        self,
        *,
        rates: Sequence[float] = DEFAULT_RATES,
        shapes: Sequence[tuple[int, int]] = ((120, 120),),
        dtype: npt.DTypeLike = np.uint16,
        sources: Sequence[str] = tuple(SOURCES),
        seconds: float | None = None,
        wait: str = "auto",
        depth: int | None = None,
        cpu_writer: int | None = None,
        cpu_reader: int | None = None,
        priority: int | None = None,
        busy: bool = False,
        stall: float = 0.0,
        memory: int | None = None,
    ) -> None:
        self._rates = sorted({_positive("rates", rate) for rate in _some("rates", rates)})
        self._shapes = list(dict.fromkeys(_shape(shape) for shape in _some("shapes", shapes)))
        self._dtype = _dtype(dtype)
        self._sources = list(dict.fromkeys(_some("sources", sources)))
        self._check_frames_and_sources()
        self._depth = None if depth is None else check_count("depth", depth, "slots", least=2, below=2**32)
        spin_of(wait)
        self._wait = wait
        self._cpu_writer, self._cpu_reader, self._priority = cpu_writer, cpu_reader, priority
        self._check_scheduling()
        self._busy = bool(busy)
        self._seconds, self._stall = self._times(seconds, stall)
        self._tasks = self._plan(memory)
        self._directory = stream_directory()
        self._check_memory()
        self.result = BenchResult(machine=describe(), options=self._options())

    # -- before ----------------------------------------------------------------------------------

    def _check_frames_and_sources(self) -> None:
        for source in self._sources:
            if source not in SOURCES:
                raise bad_argument("sources", source, f"some of {', '.join(map(repr, SOURCES))}")
        for shape in self._shapes:
            SelfCheckingFrame(shape, self._dtype)  # raises if it is too small to check itself

    def _times(self, seconds: float | None, stall: float) -> tuple[float, float]:
        """Return the seconds of a point, and those of a stall."""
        paused = _positive("stall", stall) if stall else 0.0
        measured = _positive("seconds", seconds) if seconds else self._fitting_seconds()
        if paused >= measured:
            wanted = f"a time in seconds, shorter than a point ({measured:.3g})"
            raise bad_argument("stall", stall, wanted)
        return measured, paused

    def _plan(self, memory: int | None) -> list[_Task]:
        """Work out all points."""
        if memory is not None:
            memory = check_count("memory", memory, "bytes")
        room = memory or min(_CUBE_NBYTES, round(free_memory() * _CUBE_SHARE))
        return [
            self._task(source, shape, rate, room)
            for shape in self._shapes
            for source in self._sources
            for rate in self._rates
        ]

    def _options(self) -> dict[str, Any]:
        """Return what was asked, for the result."""
        return {
            "rates": self._rates,
            "shapes": self._shapes,
            "dtype": self._dtype.name,
            "sources": self._sources,
            "seconds": self._seconds,
            "wait": self._wait,
            "cpu_writer": self._cpu_writer,
            "cpu_reader": self._cpu_reader,
            "priority": self._priority,
            "busy": self._busy,
            "stall": self._stall,
            "directory": self._directory,
            "file_system": file_system_of(self._directory),
        }

    @property
    def tasks(self) -> int:
        """Points to be measured."""
        return len(self._tasks)

    @property
    def expected_seconds(self) -> float:
        """Seconds that the run will take, about."""
        writers = len(self._shapes) * len(self._sources)
        return (
            sum(task.seconds + self._overhead(task.shape, task.count) for task in self._tasks)
            + writers * _WRITER_SECONDS
            + self._cube_nbytes / _FAULT_RATE
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the run takes at most: the frames of a point, and the rings."""
        return self._cube_nbytes + self._ring_nbytes

    def _overhead(self, shape: tuple[int, int], count: float) -> float:
        """Return the seconds that a point takes besides its frames."""
        return _POINT_SECONDS + count * self._frame_nbytes(shape) / _CHECK_RATE

    def _frame_nbytes(self, shape: tuple[int, int]) -> int:
        return math.prod(shape) * self._dtype.itemsize

    def _depth_for(self, shape: tuple[int, int]) -> int:
        low, high = _RING_DEPTH
        return self._depth or max(low, min(high, _RING_NBYTES // self._frame_nbytes(shape)))

    def _fitting_seconds(self) -> float:
        """Return the seconds of a point that a whole run has time for."""
        writers = len(self._shapes) * len(self._sources)
        points = writers * len(self._rates)
        left = _BUDGET - writers * _WRITER_SECONDS - points * _POINT_SECONDS
        # Average time to measure and check the frames of one second.
        cost = sum(
            1 + min(rate * self._frame_nbytes(shape), _CUBE_NBYTES) / _CHECK_RATE
            for shape in self._shapes
            for rate in self._rates
        ) / (len(self._shapes) * len(self._rates))
        low, high = _SECONDS
        return round(max(low, min(high, left / points / cost)), 2)

    def _task(self, source: str, shape: tuple[int, int], rate: float, room: int) -> _Task:
        """Work out one point; it is shortened if its frames need more bytes than `room`."""
        nbytes = self._frame_nbytes(shape)
        count = min(max(_FEWEST, round(rate * self._seconds)), room // nbytes)
        if count < _FEWEST:
            raise CaptureMemoryError(
                f"a point has {_FEWEST} frames or more; with frames {shape} of {self._dtype} those need "
                f"{_FEWEST * nbytes} bytes, but {room} are to be used; take smaller frames, or allow more",
                needed=_FEWEST * nbytes,
                available=room,
            )
        return _Task(source, shape, rate, count, self._depth_for(shape))

    def _check_scheduling(self) -> None:
        """Try core and priority in a thread that ends at once."""
        check_scheduling(self._cpu_writer, self._priority)
        check_scheduling(self._cpu_reader, None)
        refused: list[str] = []
        faults: list[BaseException | None] = []

        def attempt() -> None:
            refused.append(schedule_thread(self._cpu_reader, self._priority))

        thread = threading.Thread(target=lambda: faults.append(do_all(attempt)))
        start_thread(thread)
        thread.join()
        for fault in filter(None, faults):
            raise fault
        if refused and refused[0]:
            raise StreamPermissionError(
                f"the benchmark cannot run at SCHED_FIFO priority {self._priority}: no permission. Raise the "
                "limit (ulimit -r, LimitRTPRIO=), give CAP_SYS_NICE, or leave the priority out"
            )

    def _check_memory(self) -> None:
        frames = [task.count * self._frame_nbytes(task.shape) for task in self._tasks]
        rings = [
            task.depth * self._frame_nbytes(task.shape)
            for task in self._tasks
            if task.source != "plain"
        ]
        self._cube_nbytes = max(frames)
        self._ring_nbytes = max(rings, default=0)
        available = free_memory()
        if self.nbytes > available:
            raise CaptureMemoryError(
                f"the benchmark needs {self.nbytes} bytes, {self._ring_nbytes} of them for a ring, but only "
                f"{available} are free; take a smaller depth, smaller frames or fewer seconds",
                needed=self.nbytes,
                available=available,
            )
        free = shutil.disk_usage(self._directory).free
        if self._ring_nbytes > free:
            raise StreamStorageError(
                f"a ring needs {self._ring_nbytes} bytes in {self._directory}, where only {free} are free; "
                "take a smaller depth",
                path=self._directory,
                needed=self._ring_nbytes,
                available=free,
            )

    # -- the run ---------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> BenchResult:
        """Measure all points.

        Parameters
        ----------
        progress : callable, optional
            Called about ten times a second with the share of the time that is over, 0 to 1, and with a
            description of the present point.

        Returns
        -------
        BenchResult
            `result`. Points whose writer died, and those in which pymilk's account and the frames disagree,
            are marked.

        Raises
        ------
        KeyboardInterrupt
            After the clean-up; `result` has the complete points.
        StreamError
            A writer could not make its stream, or could not be started.
        """
        self._tell = progress or (lambda share, text: None)
        self.result.points.clear()
        self._began = time.monotonic()
        try:
            with self._private_directory() as folder:
                cube = _memory(self._cube_nbytes)
                for at in range(0, len(self._tasks), len(self._rates)):
                    self._measure_source(folder, self._tasks[at : at + len(self._rates)], cube)
        finally:
            self.result.took = round(time.monotonic() - self._began, 3)
        return self.result

    @contextlib.contextmanager
    def _private_directory(self) -> Iterator[Path]:
        """Make a directory in the stream directory, and remove it at the end."""
        with contextlib.ExitStack() as undo:
            try:
                with held_signals():  # until it is sure to be removed
                    folder = tempfile.mkdtemp(prefix="pymilk-bench-", dir=self._directory)
                    undo.callback(unbroken, lambda: shutil.rmtree(folder, ignore_errors=True))
            except OSError as error:
                raise StreamPermissionError(
                    f"no directory can be made in the stream directory {self._directory}: {error.strerror}",
                    path=self._directory,
                ) from error
            yield Path(folder)

    def _measure_source(self, folder: Path, tasks: list[_Task], cube: npt.NDArray[Any]) -> None:
        """Measure all rates of one source, with one writer for as long as it lives."""
        left = list(tasks)
        while left:
            first = left[0]
            self._show(first, 0.0)
            writer = BenchWriter(
                folder,
                SOURCES[first.source],
                first.shape,
                self._dtype,
                first.depth,
                self._cpu_writer,
                self._priority,
            )
            try:
                with Stream.attach(writer.path) as stream:
                    touch(stream)
                    alive = True
                    while left and alive:
                        point, alive = self._measure(left.pop(0), writer, stream, cube)
                        self.result.points.append(point)
            finally:
                writer.end()

    def _show(self, task: _Task, elapsed: float) -> None:
        done = len(self.result.points)
        share = (done + min(1.0, elapsed / (task.seconds + _POINT_SECONDS))) / len(self._tasks)
        height, width = task.shape
        self._tell(share, f"{task.source}, {height}x{width}, {task.rate:g} frames/s")

    def _measure(
        self, task: _Task, writer: BenchWriter, stream: Stream, cube: npt.NDArray[Any]
    ) -> tuple[Point, bool]:
        """Measure one point; returns it, and whether the writer is still there."""
        nbytes = task.count * self._frame_nbytes(task.shape)
        frames = cube[:nbytes].view(self._dtype).reshape(task.count, *task.shape)
        scheduling = (self._cpu_reader, self._priority)
        kind = CaptureReceiver if task.source == "plain" else RingReceiver
        receiver = kind(
            stream, frames, task.source, task.depth, self._wait, scheduling, self._stall
        )
        first = stream.counter + 1
        limit = task.seconds * _SLOWER + 0.1
        report: dict[str, Any] | None = None
        problem = ""
        with receiver, BusyThread(self._busy) as busy:
            machine, began = CpuClock(), time.monotonic()
            usage = resource.getrusage(resource.RUSAGE_SELF)
            writer.go(task.rate, task.count, limit)
            try:
                while report is None and not problem:
                    report = writer.answer(_TICK)
                    elapsed = time.monotonic() - began
                    self._show(task, elapsed)
                    if report is None and elapsed > limit + _GRACE_SECONDS:
                        problem = f"the writer did not end within {elapsed:.1f} s"
            except WriterDied as died:
                problem = f"the writer died: {died}"
            if problem:
                writer.end()  # no frame may be published after the account
            seconds = time.monotonic() - began
            busy_share, others = busy.share(seconds), machine.shares()
            published = stream.counter + 1 - first
            receiver.finish(first + published - 1 if published else 0)
        used = resource.getrusage(resource.RUSAGE_SELF)
        process = used.ru_utime + used.ru_stime - usage.ru_utime - usage.ru_stime
        rows = receiver.rows
        numbers, whole = check_frames(frames[:rows])
        account = settle(
            numbers,
            whole,
            receiver.info[:rows],
            receiver.overwritten[:rows],
            first,
            published,
            None if report is None else writer.published_ns(),
            1e9 / task.rate,
        )
        if report is not None and report["published"] != published:
            account.disagreements.append(
                f"the writer published {report['published']} frames, the stream counted {published}"
            )
        own = process + (0.0 if report is None else report["cpu_share"] * seconds)
        point = _point(task, self._dtype, account, receiver, report, seconds)
        point.problem = problem
        point.process_cpu_share = round(process / seconds, 4)
        point.preempted = used.ru_nivcsw - usage.ru_nivcsw
        point.busy_share = busy_share
        point.others_cores = round(max(0.0, others[0] - own / seconds), 3)
        point.stolen_cores = round(others[1], 3)
        return point, not problem


def _point(
    task: _Task,
    dtype: np.dtype[Any],
    account: Account,
    receiver: Receiver,
    report: dict[str, Any] | None,
    seconds: float,
) -> Point:
    """Put together what is known of a point."""
    good = receiver.info[: receiver.rows][account.good]
    latency = (good["arrival_ns"] - good["writetime_ns"]) / 1e3
    handover: npt.NDArray[Any] = np.empty(0)
    if receiver.handed_ns is not None:
        handed = receiver.handed_ns[: receiver.rows][account.good]
        handover = (handed - good["writetime_ns"]) / 1e3
    return Point(
        source=task.source,
        shape=task.shape,
        dtype=dtype.name,
        rate=task.rate,
        depth=0 if task.source == "plain" else task.depth,
        seconds=round(seconds, 4),
        writer=report or {},
        published=account.published,
        delivered=account.delivered,
        lost=account.lost,
        torn=account.torn,
        repeated=account.repeated,
        missing=account.missing,
        gaps=account.gaps,
        longest_gap=account.longest_gap,
        in_short_gaps=account.in_short_gaps,
        behind_bursts=account.behind_bursts,
        disagreements=account.disagreements,
        latency_us=percentiles(latency),
        latency_counts=latency_counts(latency),
        handover_us=percentiles(handover),
        cpu_share=round(receiver.cpu_seconds / seconds, 4),
        fullest=round(receiver.fullest / task.depth, 4),
    )


def _memory(nbytes: int) -> npt.NDArray[np.uint8]:
    """Reserve memory whose pages are there, in steps, so that Ctrl-C need not wait for all of it."""
    try:
        mapped = mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise CaptureMemoryError(
            f"{nbytes} bytes for frames cannot be reserved: {error.strerror}",
            needed=nbytes,
            available=free_memory(),
        ) from error
    with contextlib.suppress(OSError):  # a kernel without huge pages
        mapped.madvise(mmap.MADV_HUGEPAGE)
    cube = np.frombuffer(mapped, np.uint8)
    for at in range(0, nbytes, _STEP_NBYTES):
        prefault(cube[at : at + _STEP_NBYTES])
    return cube


# -- arguments ---------------------------------------------------------------------------------------


def _some(argument: str, given: Sequence[Any]) -> Sequence[Any]:
    if len(given) == 0:
        raise bad_argument(argument, given, "a list of one or more")
    return given


def _positive(argument: str, value: Any) -> float:
    return check_number(argument, value, "a number above 0", 0.0, math.inf, above=True)


def _shape(shape: tuple[int, int]) -> tuple[int, int]:
    axes = tuple(shape) if isinstance(shape, Sequence) else ()
    sides = [whole_number(axis) or 0 for axis in axes]
    if len(sides) != 2 or min(sides) < 1:
        raise bad_argument("shapes", shape, "height and width in pixels for each")
    return sides[0], sides[1]


def _dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        return np.dtype(dtype)
    except TypeError:
        raise bad_argument("dtype", dtype, "a NumPy dtype") from None
