"""Temporary files beside streams: their names, who works on them, and removing those that nobody does.

A stream is made under a temporary name and moved into place, and taken aside before it is deleted. A process
that is killed in between leaves such a file. It is found by its name, and by its lock: whoever works on the
file has it locked for as long as it lives (flock, shared), in whatever PID namespace that is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time

from .processes import process_alive

__all__ = ["abandoned", "aside_path", "mark_busy", "mark_idle", "remove_abandoned", "temporary_path"]

#: ``.<file>.<pid>.<random>.new``: the dot and the ending keep it out of listings of streams. FITS files
#: that are being written, ``.pymilk.<pid>...``, are not locked, and left alone.
_NAME = re.compile(r"\.(?!pymilk\.\d).+\.(\d+)\.[0-9a-f]{8}\.new")

#: One that was taken aside to be deleted, and the inode that was meant.
_ASIDE = re.compile(r"\.(.+)\.aside(\d+)\.\d+\.[0-9a-f]{8}\.new")

#: Seconds after which a file without a lock is nobody's, although a process has the number of its maker.
_YOUNG = 60.0


def temporary_path(path: str) -> str:
    """Make a new name beside a file."""
    directory, file = os.path.split(path)
    return os.path.join(directory, f".{file[:60]}.{os.getpid()}.{os.urandom(4).hex()}.new")


def aside_path(path: str, inode: int) -> str:
    """Make a new name for a file that is taken aside, to be deleted if it has this inode."""
    directory, file = os.path.split(path)
    name = f".{file}.aside{inode}.{os.getpid()}.{os.urandom(4).hex()}.new"
    return os.path.join(directory, name)


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
    entries = sorted(entry for entry in os.listdir(directory) if _NAME.fullmatch(entry))
    return [path for entry in entries if _is_abandoned(path := os.path.join(directory, entry))]


def _is_abandoned(path: str, remove: bool = False) -> bool:
    """Tell whether nobody works on a temporary file; if so, remove it while nobody can begin to."""
    match = _NAME.fullmatch(os.path.basename(path))
    assert match is not None
    alive = process_alive(int(match[1]))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return not alive  # another user's
    except OSError:
        return False  # gone, or a link: not one of ours
    try:
        found = os.fstat(fd)
        if alive and time.time() - max(found.st_mtime, found.st_ctime) < _YOUNG:
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
                    _put_back(path, found.st_ino)
                    os.unlink(path)
        return True
    finally:
        os.close(fd)


def _put_back(path: str, inode: int) -> None:
    """Give a file its name again that was taken aside by mistake, unless there is a newer one."""
    match = _ASIDE.fullmatch(os.path.basename(path))
    if match is not None and int(match[2]) != inode:
        with contextlib.suppress(FileExistsError):
            os.link(path, os.path.join(os.path.dirname(path), match[1]), follow_symlinks=False)


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
