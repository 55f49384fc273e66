"""Find the processes that use a stream."""

from __future__ import annotations

import os
from collections import Counter

from .._core import Stream
from ..system.causes import ended_resources
from ..system.files import file_error
from ..system.processes import process_alive

__all__ = ["owners_of", "posters_of", "processes_using", "writer_of"]


def owners_of(stream: Stream) -> list[int]:
    """Return the reader of each semaphore: a process number, or 0 or less for none."""
    return [int(pid) for pid in stream.section("sem_read_pid")]


def posters_of(stream: Stream) -> list[int]:
    """Return the processes that posted semaphores last, the one with most semaphores first."""
    numbers = Counter(int(pid) for pid in stream.section("sem_write_pid") if pid > 0)
    trace = stream.section("trace")
    if len(trace) and trace["procwrite_PID"][0] > 0:
        numbers[int(trace["procwrite_PID"][0])] += 0
    return [pid for pid, _ in numbers.most_common()]


def writer_of(stream: Stream) -> tuple[int | None, bool | None]:
    """Return the process that publishes in a stream, if known, and whether it is alive."""
    candidates = posters_of(stream) or [pid for pid in (stream.creator_pid,) if pid > 0]
    for pid in candidates:
        if process_alive(pid):
            return pid, True
    return (candidates[0], False) if candidates else (None, None)


def processes_using(stream: Stream) -> list[int]:
    """Find the living processes that have a stream mapped, this one not counted.

    Parameters
    ----------
    stream : Stream

    Returns
    -------
    list of int
        In ascending order. A process of another user, whose mappings cannot be read, is included if it holds
        a semaphore or created the stream.

    Notes
    -----
    Reads ``/proc/*/maps``: milliseconds to some tenths of a second, by the number of processes.
    """
    named = {*owners_of(stream), *posters_of(stream), stream.creator_pid}
    end = "/" + os.path.basename(os.path.realpath(stream.path))
    # The inode of the file itself: the header of a copied or linked stream has the old one.
    try:
        inode = str(os.stat(stream.path).st_ino)
    except OSError:  # it was deleted
        inode = str(stream.inode)
    users = []
    for entry in _processes():
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        mapped = _has_mapped(entry, inode, end)
        if mapped or (mapped is None and int(entry) in named and process_alive(int(entry))):
            users.append(int(entry))
    return sorted(users)


def _has_mapped(pid: str, inode: str, end: str) -> bool | None:
    """Return whether a process has a file mapped; None if that cannot be read."""
    try:
        with open(f"/proc/{pid}/maps", errors="surrogateescape") as lines:
            for line in lines:
                # Address, permissions, offset, device, inode, path, which may hold spaces.
                fields = line.rstrip("\n").split(maxsplit=5)
                if len(fields) < 6 or fields[4] != inode:
                    continue
                if fields[5].removesuffix(" (deleted)").endswith(end):
                    return True
    except PermissionError:
        return None
    except OSError as error:
        if ended_resources(error) is not None:
            raise file_error(error, f"/proc/{pid}/maps", "read") from error
        return False  # it has ended
    return False


def _processes() -> list[str]:
    try:
        return os.listdir("/proc")
    except OSError as error:
        raise file_error(error, "/proc", "listed") from error
