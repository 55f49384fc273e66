"""Threads: waiting for them so that Ctrl-C works, their core and their priority."""

from __future__ import annotations

import os
import threading
import time

from ..arguments import bad_argument
from ..errors import SchedulingWarning
from .notices import warn_caller

__all__ = ["await_event", "check_scheduling", "join_thread", "schedule_thread", "warn_of_scheduling"]

#: How often a foreground capture looks at signals, in seconds.
_SIGNAL_INTERVAL = 0.05


#: How long a thread may take to begin, once its start was interrupted, in seconds.
_BEGIN_SECONDS = 0.5


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


def check_scheduling(cpu: int | None, priority: int | None) -> None:
    """Raise `StreamArgumentError` if there is no such core to run on, or no such priority."""
    allowed = os.sched_getaffinity(0)
    if cpu is not None and cpu not in allowed:
        raise bad_argument("cpu", cpu, f"one of the cores that this process may use ({sorted(allowed)})")
    lowest, highest = (
        os.sched_get_priority_min(os.SCHED_FIFO),
        os.sched_get_priority_max(os.SCHED_FIFO),
    )
    if priority is not None and priority not in range(lowest, highest + 1):
        raise bad_argument("priority", priority, f"a SCHED_FIFO priority of {lowest} to {highest}")


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
