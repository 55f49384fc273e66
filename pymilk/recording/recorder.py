"""Recorders: frames of streams to disk, each stream by a thread of its own, every frame accounted for.

A thread reads from a `RingReader`, straight into memory of the sink, and never waits for the disk with
Python's global lock in hand. Frames that come while the disk stalls wait in the ring.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from .._core import checked_timeout
from ..arguments import STARTS, check_choice, check_count, check_seconds
from ..errors import NotStartedError, RecordError, StreamArgumentError, StreamError, carry
from ..shm import SHM
from ..streams.waiting import spin_of
from ..system.signals import unbroken
from ..system.single import Single
from ..system.threads import check_scheduling, do_all
from .headers import checked_keywords
from .job import Job, JobOptions
from .naming import Names
from .report import RecordReport
from .restarting import Restarting
from .room import Split, room_for
from .sinks.packing import checked_compress
from .targets import targets_of

__all__ = ["Recorder", "record"]

#: When a recorder waits for the disk.
_SYNCS = ("end", "second")


class Recorder(Single):
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
        a directory, where NPY files are made. ``{date}`` (UTC, 2026-11-29), ``{utc}`` (20261129T014512) and
        ``{seq:04d}`` (the first number that is free, of each file of a series) are filled in as well, and
        folders of such paths are made: ``night/{date}/{stream}_{seq:04d}.fits``.
    frames : int, optional
        End after so many frames of each stream. If the camera stops before, the recorder waits until `stop`,
        Ctrl-C in `wait`, or for `seconds` or `timeout`.
    seconds : float, optional
        End after this time. Frames published by then are recorded. Neither: until `stop`.
    max_frames_per_file, max_bytes_per_file : int, optional
        Begin a new file after so many frames, or before the pixels in it exceed so many bytes (a frame at
        least): ``cam_000000.fits``, ``cam_000001.fits``, ...
    max_seconds_per_file : float, optional
        Begin a new file with the first frame that is read so long after the first one of the file.
    format : {"npy", "fits", "hdf5", "zarr"}, optional
        For paths without one of these suffixes, which is appended, and directories.
    restart : bool, default False
        Go on if the stream is made anew with another shape or dtype, in ``cam_restart001.fits``, 002, ...:
        the first names that are free. For streams given by name; they are seen as an `SHM` of that name.
    force : bool, default False
        Replace existing recordings, and existing series of that name. They stay until the first frame, and
        stay if none comes: the report has no `paths` then. What is no recording of pymilk is not replaced.
    compress : bool, "fast" or "small", default False
        By threads of their own. HDF5 and Zarr: "fast" packs with bitshuffle and LZ4, "small" with bitshuffle
        and zstd; True is what it was before: gzip in HDF5, zstd in Zarr. FITS: each of them is Rice, for
        integers of up to 4 bytes. While the ring is about to overflow frames are stored as they are.
        docs/recording.md has what each takes and gives.
    depth : int, optional
        Frames that may wait for the disk, for streams without a ring: see `RingReader`.
    start : {"next", "oldest", "newest"}
        First frame: see `RingReader`. "oldest" begins with the oldest frame in the ring of the stream.
    timeout : float or None, default None
        Longest wait for a frame, in seconds, before it is an error. None: a camera may pause or restart for
        any time. With `restart` also the longest wait for the stream that is made anew.
    wait, cpu, priority
        See `RingReader`.
    keywords : mapping, optional
        For the header of each file, beside the keywords of the stream, and in the place of those of the same
        name: ``{"TELESCOP": "Subaru", "EXPTIME": (0.5, "seconds")}``. The stream is not changed.
    direct : bool, default False
        NPY, FITS and Zarr: write frames past the page cache (O_DIRECT), at the speed of the disk, so that
        dirty pages never pile up. It costs one copy. Where the file system has none, frames go through the
        cache, and the report says so.
    sync : {"end", "second"}, optional
        For long nights, and for those who fear power failures. "end": each file is on the disk before it
        counts as finished, and the kernel begins to write each piece at once. "second", NPY, FITS and Zarr:
        also once a second, and frames count once they are on the disk. A disk that takes long for that
        needs a ring that lasts as long. None: the kernel writes when it likes.

    Raises
    ------
    StreamArgumentError
        An argument is not one of those, a path has no known suffix, or the format has no compression, or is
        not written in the way that `direct` and `sync` ask for.
    StreamUnsupportedError
        The format has no such pixels: FITS has no complex and no float16.
    StreamExistsError
        A FileExistsError: the file exists, and `force` is false, or it is no recording. Raised by `wait` if
        the next file of a series was made by another program.
    StreamNotFoundError, StreamPermissionError, StreamFormatError
        A stream or a directory does not exist, or cannot be used.
    LibraryMissingError
        An ImportError: the library of the format is not installed.

    Notes
    -----
    All of these are raised before a file is made. `wait` raises later errors; the files are then finished,
    too, and hold all frames before the error.

    - A stream that is replaced by a new file with frames of the same shape and dtype, as by a camera that
      restarts, is followed in the same recording: its first frame has ``FLAG_NEW_FILE`` in its row, and the
      frames that were missed are in ``lost``.
    - A new file with another shape or dtype ends the recording with `StreamChangedError`; with `restart`,
      only the file. Frames of the new stream that were gone before it was attached are in `lost`.
    - A writer that dies or pauses does not end it, unless `timeout` says so.
    - A full disk ends it with `StreamStorageError`; all frames that fitted are readable.
    - In a child after fork it ends with `StreamForkedError`; the parent continues to record.

    If the recording of one of several streams ends, the others continue.

    Frames are stored in the order of the stream, and `pymilk.load` turns them as the `SHM` did. For the
    content of each format, and what remains after a kill, see docs/recording.md.

    Examples
    --------
    >>> with pymilk.Recorder("cam", "cam.fits") as recorder:              # doctest: +SKIP
    ...     observe()
    >>> print(recorder.report)                                            # doctest: +SKIP
    """

    _single = "its threads belong to this process; make another one, for another path"

    def __init__(
        self,
        source: str | SHM | Iterable[str | SHM] | Mapping[Any, Any],
        path: str | os.PathLike[str] | None = None,
        *,
        frames: int | None = None,
        seconds: float | None = None,
        max_frames_per_file: int | None = None,
        max_bytes_per_file: int | None = None,
        max_seconds_per_file: float | None = None,
        format: str | None = None,
        restart: bool = False,
        force: bool = False,
        compress: bool | str | None = False,
        depth: int | None = None,
        start: str = "next",
        timeout: float | None = None,
        wait: str = "auto",
        cpu: int | None = None,
        priority: int | None = None,
        keywords: Mapping[str, Any] | None = None,
        direct: bool = False,
        sync: str | None = None,
    ) -> None:
        check_choice("start", start, STARTS)
        spin_of(wait)
        if sync is not None:
            check_choice("sync", sync, _SYNCS)
        check_scheduling(cpu, priority)
        check_seconds(seconds)
        check_seconds(max_seconds_per_file, "max_seconds_per_file")
        self._seconds = seconds
        options = JobOptions(
            frames=_count("frames", frames),
            split=Split(
                _count("max_frames_per_file", max_frames_per_file),
                _count("max_bytes_per_file", max_bytes_per_file),
                math.inf if max_seconds_per_file is None else max_seconds_per_file,
            ),
            force=bool(force),
            compress=checked_compress(compress),
            depth=_count("depth", depth),
            start=start,
            timeout=checked_timeout(timeout),
            wait=wait,
            cpu=cpu,
            priority=priority,
            keywords=checked_keywords(keywords),
            restart=bool(restart),
            direct=bool(direct),
            sync=sync,
        )
        self._jobs: dict[str, Job | Restarting] = {}
        self._started = False
        self._left = False  # stopped before it was started
        try:
            for each, target in targets_of(source, path, format):
                self._add(_job(each, target, options), source)
            self._check_collisions(path)
        except BaseException:
            unbroken(self._abandon)
            raise

    def _add(self, job: Job | Restarting, source: Any) -> None:
        if job.name in self._jobs:
            job.let_go()
            raise StreamArgumentError(f"stream {job.name!r} is given twice", argument="source", found=source)
        self._jobs[job.name] = job

    def _check_collisions(self, path: Any) -> None:
        """Raise if two streams would be recorded into the same files."""
        for one, other in itertools.permutations(self._jobs.values(), 2):
            if _first(one).collides_with(_first(other)):
                raise StreamArgumentError(
                    f"two streams cannot be recorded into one file: {one.path} and {other.path}, or "
                    "files beside them or of a series, have the same name; put {stream} into the path, "
                    "or choose other names",
                    argument="path",
                    found=path,
                )

    def _abandon(self) -> None:
        fault = do_all(*(job.abandon for job in self._jobs.values()))
        if fault is not None:
            raise fault

    def start(self) -> Recorder:
        """Make the files and begin: frames published after this are recorded.

        Returns
        -------
        Recorder
            Itself.

        Raises
        ------
        StreamArgumentError
            It was started, or stopped, before.
        StreamExistsError, StreamStorageError, StreamPermissionError
            A file cannot be made.
        CaptureMemoryError
            There is no memory for a ring of that depth.
        """
        if self._started or self._left:
            raise StreamArgumentError("a recorder starts once; make a new one", argument="start", found=True)
        self._started = True
        try:
            for job in self._jobs.values():
                job.prepare()
            deadline = None if self._seconds is None else time.monotonic() + self._seconds
            for job in self._jobs.values():
                job.begin(deadline)
            return self
        except BaseException:
            unbroken(self._abandon)
            raise

    @property
    def running(self) -> bool:
        """Whether any of the streams is still being recorded."""
        return self._started and not all(job.over.is_set() for job in self._jobs.values())

    @property
    def report(self) -> RecordReport:
        """The account so far; available at any time, from any thread."""
        return RecordReport({name: job.report for name, job in self._jobs.items()})

    def shortage(self) -> str:
        """Return what is missing on the disk for the frames asked for, in words; "" if nothing, or not known.

        Pixels alone are counted, without compression. Without `frames` nothing is known before the start;
        see `seconds_of_room` for later.
        """
        found: dict[str, int] = {}
        for each in self._jobs.values():
            job = _first(each)
            folder = os.path.dirname(os.path.abspath(job.path))
            found[folder] = found.get(folder, 0) + job.asked_nbytes
        return "; ".join(filter(None, (room_for(f"{folder}/", size) for folder, size in found.items())))

    def stop(self) -> RecordReport:
        """End the recording, within a second, and finish the files; a second call does nothing.

        Frames in the ring are written first, for half a second at most; `unwritten` counts the rest. Errors
        of the recording are raised by `wait`, not here. A disk that does not respond can delay this.

        Raises
        ------
        NotStartedError
            `start` was never called: nothing was recorded. The recorder can no longer be started.
        """
        report = self._end()
        if not self._started:
            raise self._not_started()
        return report

    def _end(self) -> RecordReport:
        """Stop the jobs and wait for them, or let go of their streams if none was begun."""
        self._tell_to_stop()
        if self._started:
            for job in self._jobs.values():
                job.over.wait()
                job.join()
        elif not self._left:
            self._left = True
            self._abandon()
        return self.report

    def _tell_to_stop(self) -> None:
        for job in self._jobs.values():
            job.stop()

    def _not_started(self) -> NotStartedError:
        return NotStartedError(
            f"the recorder of {', '.join(self._jobs)} was never started and has recorded nothing; call "
            "start(), or use it in a with statement",
            stream=next(iter(self._jobs), ""),
        )

    def wait(self, timeout: float | None = None) -> RecordReport:
        """Wait for the end of the recording.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit. `running` tells whether it has ended.

        Returns
        -------
        RecordReport

        Raises
        ------
        StreamStorageError, StreamExistsError, StreamChangedError, StreamTimeoutError, StreamClosedError
            The error that ended the recording of a single stream. Its `report` is that of the recorder.
        RecordError
            Some of several streams failed.
        NotStartedError
            `start` was never called.
        KeyboardInterrupt
            Ctrl-C, or any exception of a signal handler; the recording was stopped first, and its files are
            finished. The `report` of the exception is that of the recorder.
        """
        limit = checked_timeout(timeout)
        if not self._started:
            raise self._not_started()
        deadline = None if limit is None else time.monotonic() + limit
        try:
            for job in self._jobs.values():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not job.over.wait(left):
                    return self.report
                job.join()
        except BaseException as error:
            carry(error, report=self.stop())
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
        try:
            return self.start()
        except BaseException:
            if self.running:  # an interrupt just behind it: __exit__ will not be called
                self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            unbroken(self._tell_to_stop)  # if an interrupt came before it; a slow disk is not waited for then
        if kind is None:
            self.wait()

    def __repr__(self) -> str:
        state = "running" if self.running else "ended" if self._started else "not started"
        return f"<Recorder of {', '.join(self._jobs)}: {state}>"


def _job(source: SHM | str, names: Names, options: JobOptions) -> Job | Restarting:
    if not options.restart:
        return Job(source, names, options)
    if isinstance(source, SHM):
        raise StreamArgumentError(
            "restart=True opens a stream again by its name; give the name instead of the SHM",
            stream=source.FNAME,
            argument="restart",
            found=True,
        )
    return Restarting(source, names, options)


def _first(job: Job | Restarting) -> Job:
    return job.first if isinstance(job, Restarting) else job


def _count(argument: str, found: Any) -> int | None:
    return None if found is None else check_count(argument, found, below=2**62)


def record(
    source: str | SHM | Iterable[str | SHM] | Mapping[Any, Any],
    path: str | os.PathLike[str] | None = None,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    max_frames_per_file: int | None = None,
    max_bytes_per_file: int | None = None,
    max_seconds_per_file: float | None = None,
    format: str | None = None,
    restart: bool = False,
    force: bool = False,
    compress: bool | str | None = False,
    depth: int | None = None,
    start: str = "next",
    timeout: float | None = None,
    wait: str = "auto",
    cpu: int | None = None,
    priority: int | None = None,
    keywords: Mapping[str, Any] | None = None,
    direct: bool = False,
    sync: str | None = None,
) -> RecordReport:
    """Record streams to disk, and wait for the end.

    Parameters
    ----------
    source, path
        See `Recorder`.
    frames : int, optional
    seconds : float, optional
        End after these frames or seconds, whichever comes first. One of them is required.
    max_frames_per_file, max_bytes_per_file, max_seconds_per_file, format, restart, force, compress, depth
        See `Recorder`.
    start, timeout, wait, cpu, priority, keywords, direct, sync
        See `Recorder`.

    Returns
    -------
    RecordReport

    Raises
    ------
    StreamArgumentError
        Neither frames nor seconds were given; and as for `Recorder`.
    StreamError
        As for `Recorder` and `Recorder.wait`.
    KeyboardInterrupt
        Ctrl-C; the files are finished.

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
    recorder = Recorder(
        source,
        path,
        frames=frames,
        seconds=seconds,
        max_frames_per_file=max_frames_per_file,
        max_bytes_per_file=max_bytes_per_file,
        max_seconds_per_file=max_seconds_per_file,
        format=format,
        restart=restart,
        force=force,
        compress=compress,
        depth=depth,
        start=start,
        timeout=timeout,
        wait=wait,
        cpu=cpu,
        priority=priority,
        keywords=keywords,
        direct=direct,
        sync=sync,
    )
    try:
        return recorder.start().wait()
    except BaseException as error:
        carry(error, report=recorder._end())
        raise
