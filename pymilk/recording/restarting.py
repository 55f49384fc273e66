"""`Restarting`: a stream that is recorded on after it was made anew with another shape or dtype."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from dataclasses import replace

from ..errors import StreamFormatError, StreamNotFoundError, StreamNotReadyError
from ..system.forks import left_with_parent, tell_after_fork
from ..system.journal import tell
from ..system.latch import Latch
from ..system.threads import do_all, join_thread, start_thread
from .job import Job, JobOptions
from .naming import Names
from .report import StreamReport
from .series import taken_by
from .sinks.packed import Packed

__all__ = ["Restarting", "restart_path"]

#: Seconds between two looks for the new stream.
_TICK = 0.05


def restart_path(path: str) -> str:
    """Return the first free name for what comes after a restart: ``cam_restart001.fits``, or with 002, ..."""
    base, suffix = os.path.splitext(path)
    names = (f"{base}_restart{number:03d}{suffix}" for number in itertools.count(1))
    return next(each for each in names if not any(map(os.path.lexists, taken_by(each))))


class Restarting:
    """One stream, and a `Job` for each of the files that it was in; used as a `Job` is.

    Parameters
    ----------
    name : str
        Of the stream.
    names : Names
        Of the files.
    options : JobOptions
        With `restart`.
    """

    def __init__(self, name: str, names: Names, options: JobOptions) -> None:
        self._options = options
        self._jobs = [Job(name, names, options)]
        self.name, self.path = self._jobs[0].name, names.first
        self._folder = os.getcwd()  # the script may change its working directory
        self._others = names.others if options.split.asked else None
        self._error: BaseException | None = None
        self._deadline: float | None = None
        self._late = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stop = Latch()
        self.over = Latch()
        tell_after_fork(self)

    @property
    def first(self) -> Job:
        """The job of the files that were asked for."""
        return self._jobs[0]

    def prepare(self) -> None:
        """See `Job.prepare`."""
        self.first.prepare()

    def begin(self, deadline: float | None) -> None:
        """See `Job.begin`."""
        self._deadline = deadline
        self.first.begin(deadline)
        thread = threading.Thread(target=self._run, name=f"pymilk-restart-{self.name}", daemon=True)
        start_thread(thread)
        self._thread = thread

    def abandon(self) -> None:
        """See `Job.abandon`."""
        self._stop.set()
        fault = do_all(self._jobs[-1].abandon)
        if self._thread is None:
            self.over.set()
        if fault is not None:
            raise fault

    def let_go(self) -> None:
        """See `Job.let_go`."""
        self._jobs[-1].let_go()

    def stop(self) -> None:
        """See `Job.stop`."""
        with self._lock:
            self._stop.set()
            self._jobs[-1].stop()

    def join(self) -> None:
        """See `Job.join`."""
        if self._thread is not None:
            join_thread(self._thread)

    @property
    def error(self) -> BaseException | None:
        """What ended the recording; None after a restart that was followed, or not awaited."""
        last = self._jobs[-1]
        return self._error or (None if last.replaced else last.error)

    @property
    def report(self) -> StreamReport:
        """The account of all files together; the rate is that of the last ones."""
        jobs = list(self._jobs)
        each = [job.report for job in jobs]
        error = self.error
        ended = "time" if self._late else each[-1].ended if self._error is None else "error"
        return replace(
            each[-1],
            paths=[path for one in each for path in one.paths],
            requested=self._options.frames,
            recorded=sum(one.recorded for one in each),
            lost=sum(one.lost for one in each),
            torn=sum(one.torn for one in each),
            counter_set=sum(one.counter_set for one in each),
            uncertain=sum(one.uncertain for one in each),
            unwritten=sum(one.unwritten for one in each),
            new_files=sum(one.new_files for one in each),
            nbytes=sum(one.nbytes for one in each),
            duration=sum(one.duration for one in each),
            ring_peak=max(one.ring_peak for one in each),
            last_age=next((one.last_age for one in reversed(each) if one.last_age is not None), None),
            ended=ended if self.over.is_set() or not jobs[-1].replaced else "running",
            error=None if error is None else str(error),
            complete=all(one.complete for one in each),
            packed=Packed.together(one.packed for one in each),
            cached=any(one.cached for one in each),
        )

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        if self._thread is not None and not self.over.is_set():
            self.over = Latch()
            self.over.set()
            self._error = left_with_parent("recorder", self.name)

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                job = self._jobs[-1]
                job.over.wait()
                job.join()
                if not job.replaced or not self._go_on():
                    return
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self._error = error
            last = self._jobs[-1]
            do_all(last.stop, last.over.wait)  # nobody else waits for it
        finally:
            self.over.set()

    def _go_on(self) -> bool:
        """Begin with the new stream; returns False if it is to end first."""
        left = self._options.frames
        if left is not None:
            left -= sum(job.report.recorded for job in self._jobs)
        # What the new stream lost of its first frames is counted: it begins with the first one.
        options = replace(self._options, frames=left, start="first", force=False)
        job = self._attached(self._next_names(), options)
        if job is None:
            return False
        try:
            job.prepare()
            with self._lock:
                job.begin(self._deadline)
                self._jobs.append(job)
                if self._stop.is_set():
                    job.stop()
            tell("stream %r: it has another shape or dtype; the recording goes on in %s", self.name, job.path)
        except BaseException:
            job.abandon()
            raise
        return True

    def _next_names(self) -> Names:
        """Return the names of what comes after a restart."""
        if self._others is None:
            return Names(restart_path(os.path.join(self._folder, self.path)))
        absolute = (os.path.join(self._folder, each) for each in self._others)
        return Names(next(absolute), absolute)

    def _attached(self, names: Names, options: JobOptions) -> Job | None:
        """Wait for the new stream, which other programs show before it is complete.

        After the timeout of the recording, what ended the one before is raised.
        """
        timeout, ended = self._options.timeout, self._jobs[-1].error
        latest = math.inf if timeout is None else time.monotonic() + timeout
        while not self._stop.is_set():
            if ended is not None and time.monotonic() >= latest:
                raise ended
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._late = True
                return None
            with contextlib.suppress(StreamNotFoundError, StreamNotReadyError, StreamFormatError):
                return Job(self.name, names, options)
            self._stop.wait(_TICK)
        return None
