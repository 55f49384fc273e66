"""Other processes: whether they are alive, what they are called, when they started."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Literal

from ..errors import StreamStorageError
from ..times import now_ns, tai_offset
from .causes import cause_of

__all__ = [
    "command_of",
    "named_processes",
    "numbered",
    "owner_state",
    "proc_is_ours",
    "process_alive",
    "process_started_ns",
    "shows_all_processes",
]

#: Nanoseconds by which the start of a process may seem later than a time that it wrote: the kernel counts
#: starts in ticks, and clocks may be set.
_START_SLACK_NS = 2_000_000_000

#: Inode of the first PID namespace of a machine, which Linux has fixed.
_FIRST_NAMESPACE = 0xEFFFFFFC


def process_alive(pid: int) -> bool:
    """Return whether a process exists and has not ended (a zombie has).

    Processes of another PID namespace look dead, as they do to ImageStreamIO: before harm is done to what is
    theirs, ask `pymilk.system.living`.
    """
    if not 0 < pid < 2**31:
        return False
    if not _has_number(pid):
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The state follows the command, which is in parentheses and may hold anything.
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        # Its state cannot be read; or its parent has just waited for it, and its number is free.
        return _has_number(pid)


def _has_number(pid: int) -> bool:
    """Return whether a process has this number; zombies have one too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def proc_is_ours() -> bool:
    """Return whether /proc shows processes by the numbers that they have for this one."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def shows_all_processes() -> bool:
    """Return whether every process of the machine shows in /proc, if perhaps under another number.

    It does in the first PID namespace, unless /proc hides the processes of other users (hidepid). In a
    container it does not.
    """
    try:
        first = os.stat("/proc/self/ns/pid").st_ino == _FIRST_NAMESPACE
    except OSError:
        return False
    return first and proc_is_ours() and os.access("/proc/1/status", os.R_OK)


def numbered(pid: int) -> list[int]:
    """Find the processes that have a number in a PID namespace below this one.

    Parameters
    ----------
    pid : int
        What such a process calls itself.

    Returns
    -------
    list of int
        Their numbers here. The process that has this number here is not among them.
    """
    global _below
    now = time.monotonic()
    if now - _below[0] > _BELOW_SECONDS:
        _below = now, _numbers_below()
    return list(_below[1].get(pid, ()))


#: Seconds for which a look at all processes holds: one list of streams asks for many numbers.
_BELOW_SECONDS = 0.1

#: When it was made, and which processes have each number.
_below: tuple[float, dict[int, list[int]]] = (-_BELOW_SECONDS, {})


def _numbers_below() -> dict[int, list[int]]:
    """Return the processes of PID namespaces below this one, by the numbers that they have there."""
    found: dict[int, list[int]] = {}
    try:
        entries = os.listdir("/proc") if proc_is_ours() else []
    except OSError as error:
        raise StreamStorageError(f"/proc cannot be listed: {cause_of(error)}", path="/proc") from error
    for entry in entries:
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/status", "rb") as file:
                numbers = file.read().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
        except OSError:
            continue  # it has ended
        for number in numbers[1:]:
            found.setdefault(int(number), []).append(int(entry))
    return found


def command_of(pid: int) -> str:
    """Return the command of a process, for example ``python3``; "" if there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def named_processes(pids: Sequence[int]) -> str:
    """Write processes with their commands: ``process 12 (python3)``."""
    texts = []
    for pid in pids:
        command = command_of(pid)
        texts.append(f"{pid} ({command})" if command else str(pid))
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(texts)


def process_started_ns(pid: int) -> int | None:
    """Return when a process was started.

    Returns
    -------
    int or None
        Nanoseconds of CLOCK_TAI, to about 0.01 s; None if there is no such process.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Field 22; the command in parentheses is field 2 and may hold anything.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    since_boot = ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return now_ns() - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_boot)


def owner_state(pid: int, written_ns: int) -> Literal["running", "gone", "reused"]:
    """Return the state of the process whose PID is stored in a file.

    Parameters
    ----------
    pid : int
    written_ns : int
        When the PID was written: nanoseconds of CLOCK_TAI. 0 if not known.

    Returns
    -------
    {"running", "gone", "reused"}
        "reused": a process has that PID, but was started later than the PID was written.

    Notes
    -----
    Processes of another PID namespace look "gone".
    """
    if not process_alive(pid):
        return "gone"
    started = process_started_ns(pid)
    slack = _START_SLACK_NS + abs(tai_offset()) * 1_000_000_000  # the offset may have been set in between
    if written_ns > 0 and started is not None and started > written_ns + slack:
        return "reused"
    return "running"
