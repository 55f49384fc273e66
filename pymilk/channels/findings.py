"""What is wrong with channels, and what to do about it; for ``pymilk doctor``."""

from __future__ import annotations

import os
import time

from ..errors import (
    ChannelDamagedError,
    ChannelError,
    ChannelFormatError,
    ChannelNotFoundError,
    ChannelPermissionError,
)
from ..names import stream_directory
from ..system.findings import MAKE_AGAIN, PERMIT_READING, Finding, finding
from ..system.mappings import deserted_files
from ..system.processes import named_processes
from .commands import look_at, slots_in_use
from .files import Kind, channel_name, suffix
from .listing import MOST_OWNERS, channel_files, owners_of, pids_here, writer_of
from .messages import MessageLog
from .states import SharedState

__all__ = ["channel_findings"]

#: Channels that are named.
_NAMED = 8

#: Seconds after which a command that nobody has taken is worth a note.
_QUIET = 1.0


def channel_findings() -> list[Finding]:
    """Look for channels without writer or taker, damaged ones, and removed ones that are still mapped.

    Returns
    -------
    list of dict
        ``topic``, ``level`` ("ok", "note" or "problem"), ``found``, ``todo``. Nothing is written. Empty if
        there are no channels.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no stream directory, or it cannot be listed.

    Notes
    -----
    Reads all messages of all logs, to see whether they are whole. Whether somebody writes or takes is told by
    locks of the kernel, which show from any PID namespace of this machine.
    """
    folder = stream_directory()
    findings: list[Finding] = []
    silent, usable = [], 0
    for path, kind in channel_files(folder):
        name = channel_name(path, kind)
        try:
            if kind is Kind.msg:
                _read_through(path)
                if writer_of(path) is None:
                    silent.append(name)
            elif kind is Kind.cmd:
                findings += _queue(path, name)
            else:
                with SharedState.attach(path, write=False) as state:
                    state.as_dict()
            usable += 1
        except ChannelNotFoundError:
            continue  # gone meanwhile
        except (ChannelError, OSError) as error:
            findings.append(_unusable(error, os.path.basename(path)))
    findings = _without_writer(silent) + findings + _removed(folder)
    if usable:
        findings.insert(0, finding("channels", f"{usable} usable"))
    return findings


def _read_through(path: str) -> None:
    """Read the messages that a log has now."""
    with MessageLog.attach(path, start="oldest") as log:
        count = log.count
        while True:
            rows = log.read_many().rows
            if not len(rows) or rows["number"][-1] >= count:
                return


def _unusable(error: ChannelError | OSError, file: str) -> Finding:
    if isinstance(error, ChannelDamagedError):
        return finding("channel", str(error), f"remove it: pymilk rm {file}; its program makes it anew",
                        "problem")  # fmt: skip
    todo = MAKE_AGAIN
    if isinstance(error, ChannelPermissionError):
        todo = PERMIT_READING
    elif (
        isinstance(error, ChannelFormatError)
        and error.field == "version"
        and isinstance(error.found, int)
        and error.found > error.expected
    ):
        todo = "it was made by a newer pymilk: update the one that is to read it"
    return finding("channel", str(error), todo)


def _without_writer(names: list[str]) -> list[Finding]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [
        finding("stale", f"{len(names)} message logs that nobody writes: {', '.join(names[:_NAMED])}{more}",
                 f"start their writers again, or remove what is not needed: pymilk rm NAME{suffix(Kind.msg)}")
    ]  # fmt: skip


def _queue(path: str, name: str) -> list[Finding]:
    """Tell of commands that nobody takes, and of those whose takers have ended."""
    with look_at(path) as queue:
        before = slots_in_use(queue)
        owners = owners_of(path)
        # What was the same before and after: others may have come and gone meanwhile.
        slots = before & slots_in_use(queue)
        size = queue.size
    findings = []
    broken = sum(state is None or length > size for state, _, _, length in slots)
    if broken:
        findings.append(
            finding("channel", f"queue {name}: {broken} of its slots hold what no caller or taker stores",
                     f"end those who use it, and remove it: pymilk rm {name}{suffix(Kind.cmd)}", "problem")
        )  # fmt: skip
    waiting = [(owner, time_ns) for state, owner, time_ns, _ in slots if state == "waiting"]
    if waiting:
        callers = {owner for owner, _ in waiting}
        age = (time.time_ns() - min(time_ns for _, time_ns in waiting)) / 1e9
        if age > _QUIET:
            told = {pid for owner, pid in owners.items() if owner not in callers}
            takers = sorted(set(pids_here(path, told)) - {0})
            findings.append(_waiting(name, len(waiting), age, bool(owners.keys() - callers), takers))
    dead = sum(state == "started" and owner not in owners for state, owner, _, _ in slots)
    if dead and len(owners) < MOST_OWNERS:
        findings.append(
            finding("taker", f"queue {name}: {dead} commands were taken by processes that have ended",
                     "see what has become of them before they are sent again; their callers are told "
                     "'started, unknown', and their slots become free with the next wait")
        )  # fmt: skip
    return findings


def _waiting(name: str, count: int, age: float, others: bool, pids: list[int]) -> Finding:
    found = f"queue {name}: {count} commands wait, the oldest for {age:.0f} s"
    if others:
        who = named_processes(pids) if pids else "a process that is not visible from here"
        return finding("taker", f"{found}, while others have it attached: {who}",
                        "look whether one of these should take, and what it does")  # fmt: skip
    return finding("taker", f"{found}, and nobody takes", "start the process that takes them, or remove "
                    f"the queue: pymilk rm {name}{suffix(Kind.cmd)}", "problem")  # fmt: skip


def _removed(folder: str) -> list[Finding]:
    """Tell of processes that have a deleted or replaced channel mapped."""
    findings = []
    for kind in Kind:
        for each in deserted_files(folder, end=suffix(kind)):
            what = "replaced by a new file" if os.path.exists(each.path) else "deleted"
            findings.append(
                finding("deserted", f"{os.path.basename(each.path)}: its file (inode {each.inode}) was "
                         f"{what}, and {named_processes([each.pid])} still has it mapped",
                         "have that process attach it again, or restart it")
            )  # fmt: skip
    return findings
