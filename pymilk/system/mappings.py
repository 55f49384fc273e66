"""Which processes have a file mapped, as their memory maps tell (``/proc/PID/maps``)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ..errors import StreamError
from ..names import SUFFIX
from .causes import ended_resources
from .files import file_error
from .hidden import read_name
from .processes import numbered, proc_is_ours, process_alive

__all__ = [
    "Deserted",
    "FileId",
    "deserted_files",
    "has_mapped",
    "mapped_by",
    "mapped_lately",
    "mention_of_deserted",
    "those_called",
]

#: Seconds that a look for the writer of a missing file may take, and between two such looks.
_MENTION_SECONDS = 0.02
_MENTION_PAUSE = 1.0

#: What the kernel writes behind the path of a file that has no name any more.
_DELETED = " (deleted)"


class FileId(NamedTuple):
    """Which file.

    Attributes
    ----------
    device, inode : int
    name : str
        Of its directory entry: some file systems show another device in memory maps than to `os.stat`.
    """

    device: int
    inode: int
    name: str


class Deserted(NamedTuple):
    """A stream file without a name that a process has mapped for writing.

    Attributes
    ----------
    pid : int
    path : str
        Where the file was.
    device, inode : int
    content : str
        Path under ``/proc`` that leads to the file, for those who may open it.
    """

    pid: int
    path: str
    device: int
    inode: int
    content: str


class _Mapped(NamedTuple):
    device: int
    inode: int
    path: str
    deleted: bool
    writable: bool
    addresses: str


def _shared_mappings(pid: int, word: str) -> Iterator[_Mapped]:
    """Give the shared mappings of a process whose lines contain a word."""
    with open(f"/proc/{pid}/maps", errors="surrogateescape") as file:
        lines = file.read()
    # Of thousands of lines few have the word, most often none.
    if word in lines:
        for line in lines.split("\n"):
            if word not in line:
                continue
            # Address, permissions, offset, device, inode, path, which may hold spaces.
            fields = line.split(maxsplit=5)
            if len(fields) < 6 or fields[1][3] != "s":
                continue
            major, _, minor = fields[3].partition(":")
            path = fields[5].removesuffix(_DELETED)
            yield _Mapped(
                os.makedev(int(major, 16), int(minor, 16)),
                int(fields[4]),
                path,
                path != fields[5],
                fields[1][1] == "w",
                fields[0],
            )


def _processes() -> list[int]:
    """Return the processes that show, without this one."""
    if not proc_is_ours():
        return []
    try:
        numbers = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    except OSError as error:
        raise file_error(error, "/proc", "listed") from error
    return sorted(numbers - {os.getpid()})


def has_mapped(pid: int, file: FileId) -> bool | None:
    """Return whether a process has a file mapped; None if that cannot be read."""
    if not proc_is_ours():
        return None
    try:
        for each in _shared_mappings(pid, str(file.inode)):
            same_name = os.path.basename(each.path) == file.name
            if each.inode == file.inode and (each.device == file.device or same_name):
                return True
    except PermissionError:
        return None
    except OSError as error:
        if ended_resources(error) is not None:
            raise file_error(error, f"/proc/{pid}/maps", "read") from error
        return False  # it has ended
    return False


def those_called(number: int, file: FileId) -> tuple[list[int], bool]:
    """Find the living processes that a number in a file means, here or in a PID namespace below this one.

    Returns
    -------
    pids : list of int
        Processes that have the file mapped, by their numbers here; not this process.
    known : bool
        False if they are there by their number alone: their mappings cannot be read.
    """
    mapped: bool | None = False
    if number != os.getpid() and process_alive(number):
        mapped = has_mapped(number, file)
    if mapped:
        return [number], True
    below = [pid for pid in numbered(number) if has_mapped(pid, file)]
    if below or mapped is not None:
        return below, True
    return [number], False


@lru_cache(maxsize=64)
def _inodes_of(pid: int, moment: int) -> frozenset[int] | None:
    """Return the inodes of all files that a process has mapped; None if that cannot be read."""
    try:
        return frozenset(each.inode for each in _shared_mappings(pid, "/"))
    except PermissionError:
        return None
    except OSError:
        return frozenset()


def mapped_lately(pid: int, file: FileId) -> bool | None:
    """Return what `has_mapped` returns; also by a look 0.1 s ago: lists ask for many files."""
    if proc_is_ours() and file.inode in (_inodes_of(pid, int(time.monotonic() * 10)) or ()):
        return True
    return has_mapped(pid, file)


def mapped_by(file: FileId) -> tuple[list[int], list[int]]:
    """Find the processes that have a file mapped, this one not counted.

    Returns
    -------
    mapped : list of int
        In ascending order.
    unknown : list of int
        Those whose mappings cannot be read: processes of other users.

    Notes
    -----
    Milliseconds to some tenths of a second, by the number of processes.
    """
    mapped, unknown = [], []
    for pid in _processes():
        found = has_mapped(pid, file)
        if found:
            mapped.append(pid)
        elif found is None:
            unknown.append(pid)
    return mapped, unknown


def deserted_files(
    folder: str, name: str | None = None, seconds: float | None = None, *, end: str = SUFFIX
) -> list[Deserted]:
    """Find files of a directory that have no name any more, and that processes still have mapped.

    Parameters
    ----------
    folder : str
    name : str, optional
        Of a stream: look for this one only.
    seconds : float, optional
        End the search after this time, with what was found.
    end : str, default ".im.shm"
        Of the names of the files.

    Returns
    -------
    list of Deserted
        Files mapped for writing, each once for a process. Without this process, and those whose mappings
        cannot be read.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    where = os.path.realpath(folder)
    named = _files_with_names(where)
    found: dict[tuple[int, int, int], Deserted] = {}
    for pid in _processes():
        if deadline is not None and time.monotonic() > deadline:
            break
        try:
            for each in _shared_mappings(pid, (name or "") + end):
                path = _path_before(each.path)
                if not (each.deleted and each.writable and os.path.dirname(path) == where):
                    continue
                if (each.device, each.inode) in named or not path.endswith(end):
                    continue
                if name is None or os.path.basename(path) == name + end:
                    content = f"/proc/{pid}/map_files/{each.addresses}"
                    key = (pid, each.device, each.inode)
                    found.setdefault(key, Deserted(pid, path, each.device, each.inode, content))
        except OSError:
            continue
    return list(found.values())


def _files_with_names(folder: str) -> set[tuple[int, int]]:
    """Return device and inode of all files of a directory: a linked one keeps its first name in maps."""
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                found.add((status.st_dev, status.st_ino))
    except OSError:
        pass
    return found


def _path_before(path: str) -> str:
    """Return the path that a file had before it was taken aside to be deleted."""
    directory, entry = os.path.split(path)
    hidden = read_name(entry)
    if hidden is not None and hidden.aside is not None:
        return os.path.join(directory, hidden.aside[0])
    return path


_mentioned = -_MENTION_PAUSE


def mention_of_deserted(path: str) -> list[int]:
    """Return the processes that have the missing file of a stream mapped for writing, if that is quick.

    Looks for 20 ms at most, once a second: callers may ask again and again until the file is there.
    """
    global _mentioned
    now = time.monotonic()
    if now - _mentioned < _MENTION_PAUSE:
        return []
    _mentioned = now
    folder, entry = os.path.split(path)
    try:
        found = deserted_files(folder, entry.removesuffix(SUFFIX), _MENTION_SECONDS)
    except StreamError:
        return []  # no file descriptors: the stream is missing all the same
    return sorted({each.pid for each in found})
