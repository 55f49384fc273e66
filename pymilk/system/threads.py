"""Threads: start and end that Ctrl-C can interrupt, core and priority."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable

from ..arguments import bad_argument, whole_number
from ..errors import SchedulingWarning, StreamStorageError
from .notices import warn_caller
from .signals import held_signals

__all__ = [
    "check_scheduling",
    "do_all",
    "join_thread",
    "no_thread",
    "schedule_thread",
    "start_thread",
    "warn_of_scheduling",
]

#: Seconds that a thread whose start was interrupted may take to begin.
_BEGIN_SECONDS = 0.5

#: Seconds that signals wait in a wait for the end of a thread.
_SLICE_SECONDS = 0.05


def do_all(*steps: Callable[[], object]) -> BaseException | None:
    """Do all these steps, each also if one before it failed: what ends a thread has to wake those who wait.

    Returns
    -------
    BaseException or None
        The first exception.
    """
    first: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 (returned)
            first = error if first is None else first
    return first


def join_thread(thread: threading.Thread, timeout: float | None = None) -> None:
    """Wait for the end of a thread whose start may have been interrupted; signals act within 0.05 s.

    After Ctrl-C within `threading.Thread.start` it is not known whether the thread will run. If it has not
    begun after half a second, it is not waited for. And where a signal handler raises within
    `threading.Thread.join`, Python takes the thread for ended from then on, though it runs.

    Parameters
    ----------
    thread : threading.Thread
    timeout : float, optional
        Seconds to wait for its end; None waits without limit.
    """
    begins = time.monotonic() + _BEGIN_SECONDS
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        with held_signals():
            over = _joined(thread, min(_SLICE_SECONDS, max(0.0, deadline - time.monotonic())))
        if over or (over is None and time.monotonic() > begins) or time.monotonic() >= deadline:
            return
        if over is None:
            time.sleep(0.001)


def _joined(thread: threading.Thread, timeout: float) -> bool | None:
    """Wait for the end of a thread; returns whether it has ended, None if it has not begun."""
    try:
        thread.join(timeout)
    except RuntimeError:
        return None
    return not thread.is_alive()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; `StreamStorageError` if the system gives none.

    An exception of a signal handler that comes within `threading.Thread.start` can make that fail over its
    own lists and locks, in the middle of which it was: the one of the handler is raised then.
    """
    handled = sys.exc_info()[1]
    try:
        thread.start()
    except (RuntimeError, KeyError) as error:
        came = error.__context__
        if came is not None and came is not handled:
            raise came from None
        if isinstance(error, KeyError):
            raise
        if thread.ident is not None:  # started before
            raise
        raise no_thread() from error


def no_thread() -> StreamStorageError:
    """Return the error for a thread that the system does not give."""
    return StreamStorageError(
        "no thread can be started: this user or container may not have more (ulimit -u), or there is no "
        "memory for its stack (ulimit -v)"
    )


def check_scheduling(cpu: int | None, priority: int | None) -> None:
    """Raise `StreamArgumentError` if there is no such core to run on, or no such priority."""
    allowed = os.sched_getaffinity(0)
    if cpu is not None and whole_number(cpu) not in allowed:
        raise bad_argument("cpu", cpu, f"one of the cores that this process may use ({sorted(allowed)})")
    lowest, highest = (
        os.sched_get_priority_min(os.SCHED_FIFO),
        os.sched_get_priority_max(os.SCHED_FIFO),
    )
    if priority is not None and whole_number(priority) not in range(lowest, highest + 1):
        raise bad_argument("priority", priority, f"a SCHED_FIFO priority of {lowest} to {highest}")


def schedule_thread(cpu: int | None, priority: int | None) -> str:
    """Set core and priority of the calling thread; returns what was refused, or ""."""
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
    """Warn with the text that `schedule_thread` returned, unless it is empty."""
    if refused:
        warn_caller(refused, SchedulingWarning)
