"""How receivers wait: by which policy, on which core, and for a stream that is being made again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ._core import Stream
from .errors import (
    SchedulingWarning,
    StreamArgumentError,
    StreamDamagedError,
    StreamNotFoundError,
    StreamNotReadyError,
)
from .notices import warn_caller

__all__ = [
    "WAIT_POLICIES",
    "check_scheduling",
    "find_successor",
    "frames_behind",
    "schedule_thread",
    "spin_of",
    "warn_of_scheduling",
]

#: What each wait policy means to the core (`spin_ns`). A sleeping reader is woken some 10 to 20 us after the
#: frame; one that spins sees it at once and uses a core. "auto" does both: it learns the rhythm of the
#: stream, sleeps until the next frame is due, and spins only then. Streams faster than 25 kHz it watches all
#: the time, irregular ones never.
WAIT_POLICIES = {"auto": -2, "spin": -1, "sleep": 0}

#: How often it is looked whether to stop while a stream is being made again, in seconds.
_SUCCESSOR_WAIT = 0.1


def spin_of(wait: str) -> int:
    """Return the nanoseconds to spin for a wait policy, or raise `StreamArgumentError`."""
    try:
        return WAIT_POLICIES[wait]
    except (KeyError, TypeError):
        raise StreamArgumentError(
            f"wait is one of {', '.join(map(repr, WAIT_POLICIES))}, not {wait!r}",
            argument="wait",
            found=wait,
        ) from None


def find_successor(
    stream: Stream, timeout: float | None, stopping: Callable[[], bool]
) -> Stream | None:
    """Wait for the stream that takes the place of this one.

    Parameters
    ----------
    stream : Stream
    timeout : float or None
        Seconds; None waits for ever.
    stopping : callable
        Asked about every 0.1 s; true ends the wait.

    Returns
    -------
    Stream or None
        None if it was stopped.

    Raises
    ------
    StreamNotFoundError, StreamNotReadyError
        It did not come in time.
    StreamChangedError, StreamFormatError
        See `Stream.successor`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while not stopping():
        try:
            left = (
                _SUCCESSOR_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            )
            return stream.successor(min(left, _SUCCESSOR_WAIT))
        except (StreamNotFoundError, StreamNotReadyError):
            if deadline is not None and time.monotonic() >= deadline:
                raise
    return None


def frames_behind(stream: Stream, last: int) -> int:
    """Count the frames that a stream still had behind number `last`; 0 if it was damaged and cannot tell."""
    try:
        return max(0, stream.counter - last)
    except StreamDamagedError:
        return 0


def check_scheduling(cpu: int | None, priority: int | None) -> None:
    """Raise `StreamArgumentError` if there is no such core to run on, or no such priority."""
    allowed = os.sched_getaffinity(0)
    if cpu is not None and cpu not in allowed:
        raise StreamArgumentError(
            f"cpu is one of the cores that this process may use ({sorted(allowed)}), not {cpu!r}",
            argument="cpu",
            found=cpu,
        )
    lowest, highest = (
        os.sched_get_priority_min(os.SCHED_FIFO),
        os.sched_get_priority_max(os.SCHED_FIFO),
    )
    if priority is not None and priority not in range(lowest, highest + 1):
        raise StreamArgumentError(
            f"priority is a SCHED_FIFO priority of {lowest} to {highest}, not {priority!r}",
            argument="priority",
            found=priority,
        )


def schedule_thread(cpu: int | None, priority: int | None) -> str:
    """Move the calling thread to a core and give it a priority; returns what was refused, or ""."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    if priority is not None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except PermissionError:
            return (
                f"no permission for SCHED_FIFO priority {priority}: the thread runs at normal priority. "
                "Raise the limit (ulimit -r, LimitRTPRIO=) or give CAP_SYS_NICE"
            )
    return ""


def warn_of_scheduling(refused: str) -> None:
    """Warn with what `schedule_thread` returned, in the name of the code that called pymilk."""
    if refused:
        warn_caller(refused, SchedulingWarning)
