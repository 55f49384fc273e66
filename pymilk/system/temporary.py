"""Temporary files beside streams: their names, who works on them, and removing those that nobody does.

A stream is made under a temporary name and moved into place, and taken aside before it is deleted. A process
that is killed in between leaves such a file. It is found by its name, and by its lock: whoever works on the
file has it locked for as long as it lives (flock, shared), in whatever PID namespace that is.
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
    """Show that the file behind a descriptor is being worked on, until `mark_idle`."""
    # Where it cannot be had the number in the name has to do: file systems without locks, or
    # somebody who tries it at this moment.
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def mark_idle(fd: int) -> None:
    """Undo `mark_busy`. Closing does not, where memory is mapped through the descriptor."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)


def abandoned(directory: str) -> list[str]:
    """Find temporary files that nobody works on any more.

    Parameters
    ----------
    directory : str

    Returns
    -------
    list of str
        Paths, sorted: files that are not locked, and whose maker has ended. A file of more than a minute ago
        counts also if another process has the number of its maker by now.
    """
    entries = sorted(entry for entry in os.listdir(directory) if _is_temporary(entry))
    return [path for entry in entries if _is_abandoned(path := os.path.join(directory, entry))]


def _is_temporary(entry: str) -> bool:
    name = read_name(entry)
    return name is not None and name.stream


def _is_abandoned(path: str, remove: bool = False) -> bool:
    """Tell whether nobody works on a temporary file; if so, remove it while nobody can begin to."""
    name = read_name(os.path.basename(path))
    assert name is not None
    alive = process_alive(name.pid)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return not alive  # another user's
    except OSError:
        return False  # gone, or a link: not one of ours
    try:
        found = os.fstat(fd)
        if alive and time.time() - max(found.st_mtime, found.st_ctime) < YOUNG:
            return False
        # A stream that has its own name already is let alone, and so is its lock: this name is surplus.
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
    """Give a file its name again that was taken aside by mistake, unless there is a newer one."""
    with contextlib.suppress(FileExistsError):
        os.link(path, os.path.join(os.path.dirname(path), file), follow_symlinks=False)


def remove_abandoned(directory: str) -> list[str]:
    """Remove what `abandoned` finds; returns the paths. What this user may not remove stays.

    A stream of others that was taken aside by one that died in that moment gets its name again.
    """
    removed = []
    for path in abandoned(directory):
        with contextlib.suppress(PermissionError):
            if _is_abandoned(path, remove=True) and not os.path.lexists(path):
                removed.append(path)
    return removed
