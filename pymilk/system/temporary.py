"""Temporary files beside streams: mark them as busy, find and remove abandoned ones.

A stream is made under a temporary name and moved into place, and taken aside before it is deleted. A process
that is killed in between leaves such a file. A living process holds a shared lock (flock) on the file that it
works on, which shows in every PID namespace.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from .hidden import YOUNG, read_name
from .processes import process_alive

__all__ = ["abandoned", "mark_busy", "mark_idle", "remove_abandoned"]


def mark_busy(fd: int) -> None:
    """Mark the file behind a descriptor as busy, until `mark_idle`."""
    # Without the lock (none on this file system, or just tested by another process) the process number
    # in the name has to do.
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def mark_idle(fd: int) -> None:
    """Undo `mark_busy`. Closing does not, where memory is mapped through the descriptor."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)


def abandoned(directory: str) -> list[str]:
    """Find temporary files that no process works on.

    Parameters
    ----------
    directory : str

    Returns
    -------
    list of str
        Paths, sorted: files that are not locked, and whose process has ended. From an age of a minute on
        a process of that number does not count: the number may have been used again.
    """
    entries = sorted(entry for entry in os.listdir(directory) if _is_temporary(entry))
    return [path for entry in entries if _is_abandoned(path := os.path.join(directory, entry))]


def _is_temporary(entry: str) -> bool:
    name = read_name(entry)
    return name is not None and name.stream


def _is_abandoned(path: str, remove: bool = False) -> bool:
    """Return whether a temporary file is abandoned; if so and asked for, remove it under its lock."""
    name = read_name(os.path.basename(path))
    assert name is not None
    alive = process_alive(name.pid)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return not alive  # another user's
    except OSError:
        return False  # gone, or a link: not made by pymilk
    try:
        found = os.fstat(fd)
        if alive and time.time() - max(found.st_mtime, found.st_ctime) < YOUNG:
            return False
        # A stream that also has its final name is not locked here: only this name is surplus.
        if found.st_nlink == 1:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # a file system without locks
                if alive:
                    return False
        if remove:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(path), found):
                    if name.aside is not None and name.aside[1] != found.st_ino:
                        _put_back(path, name.aside[0])
                    os.unlink(path)
        return True
    finally:
        os.close(fd)


def _put_back(path: str, file: str) -> None:
    """Restore the name of a file that was taken aside by mistake, unless a newer file has it."""
    with contextlib.suppress(FileExistsError):
        os.link(path, os.path.join(os.path.dirname(path), file), follow_symlinks=False)


def remove_abandoned(directory: str) -> list[str]:
    """Remove what `abandoned` finds; returns the paths. Files that this user may not remove stay.

    A stream that was taken aside by mistake, by a process that died then, gets its name back.
    """
    removed = []
    for path in abandoned(directory):
        with contextlib.suppress(PermissionError):
            if _is_abandoned(path, remove=True) and not os.path.lexists(path):
                removed.append(path)
    return removed
