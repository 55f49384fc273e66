"""Simulated cameras and loops in processes of their own, for the time of a ``with`` block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy.typing as npt

from .._core import Stream, checked_timeout
from ..arguments import check_dtype
from ..errors import (
    NotStartedError,
    StreamArgumentError,
    StreamError,
    StreamNotFoundError,
    StreamStorageError,
)
from ..reports import Report
from ..system.causes import cause_of
from ..system.ending import close_at_exit
from ..system.forks import tell_after_fork
from ..system.processes import process_alive
from ..system.signals import held_signals, unbroken
from ..system.single import Single
from .faults import NONE, Faults
from .options import CameraOptions, LoopOptions

__all__ = ["SimulatedCamera", "SimulatedLoop", "SimulationReport"]


#: Seconds that a process gets to end by itself.
_END_SECONDS = 10.0

_Each = TypeVar("_Each", bound="_Simulation")

#: Seconds between two looks at a process that another one has begun.
_LOOK_SECONDS = 0.02


@dataclass(repr=False, eq=False)
class SimulationReport(Report):
    """The account of a simulated camera or loop.

    Attributes
    ----------
    stream : str
    pid : int
        Of its process; 0 before the start.
    ended : str
        "not started", "running", "stopped", or "died", as by a fault.
    """

    stream: str
    pid: int
    ended: str

    def __repr__(self) -> str:
        return f"<SimulationReport {self.stream!r}: {self.ended}>"


class _Simulation(Single):
    """A process that publishes until the block is left."""

    _single = "its process belongs to this one; make another one, for another stream"

    #: What follows the name in those of its streams.
    _ends: tuple[str, ...] = ("",)

    def __init__(self, options: CameraOptions | LoopOptions) -> None:
        self.name = options.name
        self._command = [sys.executable, "-m", "pymilk.simulate", *options.arguments()]
        self._process: subprocess.Popen[str] | None = None
        self._maker = 0
        self._report = SimulationReport(self.name, 0, "not started")

    def start(self: _Each) -> _Each:
        """Begin to publish; returns itself once the stream is there.

        Raises
        ------
        StreamArgumentError
            It runs already.
        StreamNotFoundError
            It did not start.
        StreamStorageError
            The system gives no process, no memory or no file descriptors for it.
        """
        self._refuse_running()
        return self._begin()

    def _refuse_running(self) -> None:
        if self._process is not None or self.running:
            raise StreamArgumentError(
                f"the simulated camera {self.name!r} runs already", argument="start", found=self.name
            )

    def _begin(self: _Each) -> _Each:
        self._maker = os.getpid()
        try:
            with held_signals():  # until it is sure to be ended
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    # Safe path: a checkout in the working directory must not hide the installed package.
                    env={**os.environ, "PYTHONSAFEPATH": "1"},
                )
            assert self._process.stdout is not None
            if self._process.stdout.readline() != "ready\n":
                _, said = self._process.communicate()
                raise StreamNotFoundError(
                    f"the simulated camera {self.name!r} did not start: {said.strip()}",
                    stream=self.name,
                    path=self.name,
                )
            self._report = SimulationReport(self.name, self._process.pid, "running")
            close_at_exit(self)
            tell_after_fork(self)
            return self
        except OSError as error:
            self.stop()
            raise StreamStorageError(
                f"the simulated camera {self.name!r} cannot be started: {cause_of(error)}",
                stream=self.name,
                path=sys.executable,
            ) from error
        except BaseException:
            unbroken(self.stop)
            raise

    def __enter__(self: _Each) -> _Each:
        self._refuse_running()
        try:
            return self._begin()
        except BaseException:  # an interrupt just behind it: __exit__ will not be called
            unbroken(self.stop)
            raise

    @property
    def running(self) -> bool:
        """Whether its process is there; false after a fault that ends it (`die`)."""
        if self._process is not None:
            return self._process.poll() is None
        return self._left_to_parent() and process_alive(self._report.pid)

    def _left_to_parent(self) -> bool:
        """Tell whether the process is that of a parent, which forked this one."""
        return self._report.ended == "running" and self._maker != os.getpid()

    def _after_fork(self) -> None:
        # The camera ends when its stdin is closed: a copy that stays open here would hold up the parent.
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            process.returncode = 0  # it is not a child of this process: nothing is to be said of it

    @property
    def report(self) -> SimulationReport:
        """Its process, and whether it runs."""
        if self._report.ended == "running" and not self.running:
            self._report = replace(self._report, ended="died")
        return self._report

    def wait(self, timeout: float | None = None) -> SimulationReport:
        """Wait until its process has ended: a camera does so only by a fault, or by `stop` of another thread.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Raises
        ------
        NotStartedError
            `start` was never called.
        """
        limit, process = checked_timeout(timeout), self._process
        if self._report.ended == "not started":
            raise NotStartedError(f"the simulated camera {self.name!r} was never started", stream=self.name)
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(limit)
        deadline = None if limit is None else time.monotonic() + limit
        while self._left_to_parent() and self.running:
            if deadline is not None and time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_SECONDS)
        return self.report

    @property
    def pid(self) -> int:
        """Process number of the camera; once it has ended, the one that it had.

        Raises
        ------
        NotStartedError
            `start` was never called.
        """
        if self._report.ended == "not started":
            raise NotStartedError(
                f"the simulated camera {self.name!r} was never started, and has no process; call start first",
                stream=self.name,
            )
        return self._report.pid

    def stop(self) -> SimulationReport:
        """End its process, and delete its stream; a second call does nothing.

        In a child after fork nothing is done: the camera goes on in the parent.
        """
        report, process, self._process = self.report, self._process, None
        if self._left_to_parent():
            return report
        if process is not None and process.stdout is not None and not process.stdout.closed:
            try:
                process.communicate(timeout=_END_SECONDS)  # closes its stdin, which ends it
            except subprocess.TimeoutExpired:  # it hangs, or was stopped
                process.kill()
                process.communicate()
            if process.returncode == -signal.SIGKILL:
                self._remove_what_it_left(process.pid)
        self._report = replace(report, ended="stopped") if report.ended == "running" else report
        return self._report

    def close(self) -> None:
        """Do the same as `stop`; the end of the interpreter does so, too."""
        self.stop()

    def __exit__(self, *exc: object) -> None:
        unbroken(self.stop)

    def _remove_what_it_left(self, pid: int) -> None:
        """Delete the streams of a camera that was killed, unless somebody made them anew."""
        for end in self._ends:
            with suppress(StreamError), Stream.attach(f"{self.name}{end}", prefault=False) as stream:
                if stream.creator_pid == pid:
                    stream.destroy()


class SimulatedCamera(_Simulation):
    """A camera process, for the time of a ``with`` block.

    Parameters
    ----------
    name : str
        Stream that it creates, in the stream directory, and deletes at its end. One that a living process
        writes is not replaced.
    shape : tuple of int, optional
        Default: the usual one of its kind, for most (120, 120).
    dtype : dtype, optional
        Default: the usual one of its kind, for most uint16.
    rate : float, default 2000
        Frames per second; 0 is as fast as possible.
    frames : int, optional
        Stop publishing after so many; the stream stays until the end of the block.
    kind : str, default "shack-hartmann"
        What it sees: "shack-hartmann", "pyramid", "psf", "dm", "telemetry" or "ramp"; see
        `pymilk.simulate.SCENES`.
    ring : int, default 0
        Slots of a fast circular buffer; 0 for none.
    faults : Faults, optional
        What goes wrong on purpose: frames that are missing, torn or late, a camera that dies or restarts.
    seed : int, default 1
        The same seed gives the same frames.

    Attributes
    ----------
    name : str
    pid : int

    Raises
    ------
    StreamArgumentError
        An argument is not valid.
    StreamNotFoundError
        On entering: the process could not create its stream; the message says why.

    Notes
    -----
    Entering returns once the stream exists. The process ends with its parent, however that ends. A camera
    that dies on purpose leaves its stream behind, as killed ones do; leaving the block removes that, too.

    Examples
    --------
    >>> import pymilk
    >>> with pymilk.SimulatedCamera("doc_sim", kind="ramp", rate=500) as camera, pymilk.SHM("doc_sim") as shm:
    ...     capture = shm.capture(10)
    >>> print(capture.frames.shape, bool((capture.frames[:, 0, 0] == capture.info["cnt0"]).all()))
    (10, 120, 120) True
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...] | None = None,
        dtype: npt.DTypeLike | None = None,
        rate: float = 2000.0,
        frames: int | None = None,
        *,
        kind: str = "shack-hartmann",
        ring: int = 0,
        faults: Faults = NONE,
        seed: int = 1,
    ) -> None:
        given = None if dtype is None else check_dtype("dtype", dtype).name
        super().__init__(
            CameraOptions(
                name, kind, shape, given, rate=rate, frames=frames, ring=ring, seed=seed, faults=faults
            )
        )


class SimulatedLoop(_Simulation):
    """A small adaptive-optics loop in a process of its own, for the time of a ``with`` block.

    A Shack-Hartmann sensor looks through moving air and a mirror: ``NAME_wfs`` (120x120 uint16) has its
    frames, ``NAME_dm`` (11x11 float32) the commands, micrometres of wavefront, that the mirror follows from
    the next iteration on, and ``NAME_res`` (2 float32) the rms of the wavefront behind the mirror and before
    it, in micrometres.

    Parameters
    ----------
    name : str
    rate : float, default 300
        Iterations per second.
    gain : float, default 0.4
        Of the integrator that moves the mirror. 0: the mirror does what other processes write to ``NAME_dm``.
    frames : int, optional
        Stop after so many iterations; the streams stay until the end of the block.
    seed : int, default 1

    Attributes
    ----------
    name : str
    pid : int

    Raises
    ------
    StreamArgumentError, StreamNotFoundError
        As `SimulatedCamera`.
    """

    _ends = ("_wfs", "_dm", "_res")

    def __init__(
        self, name: str, rate: float = 300.0, gain: float = 0.4, frames: int | None = None, *, seed: int = 1
    ) -> None:
        super().__init__(LoopOptions(name, rate, gain, frames, seed))
