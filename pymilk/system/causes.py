"""What an error of the operating system comes from, in words: its own text often names another reason."""

from __future__ import annotations

import errno
import os

__all__ = ["cause_of", "ended_resources"]

#: Errors about this process or the machine, whatever file was to be opened: no file descriptors, no memory.
_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

_WORDS: dict[int | None, str] = {
    errno.EMFILE: "this process has no file descriptors left; close some, or raise the limit (ulimit -n)",
    errno.ENFILE: "the machine has no file descriptors left",
    errno.ENOMEM: "there is no memory for it, or this process may not have so much (ulimit -v)",
    errno.EFBIG: "the file is too large for its file system, or for the limit of this process (ulimit -f)",
}


def cause_of(error: OSError, path: str = "") -> str:
    """Say in words what went wrong.

    Parameters
    ----------
    error : OSError
    path : str, optional
        What was to be made or changed: tells a file system without inodes from one without blocks.
    """
    text = error.strerror or str(error)
    if error.errno in _WORDS:
        return f"{text}: {_WORDS[error.errno]}"
    if error.errno == errno.ENOSPC and path and _has_no_inodes(os.path.dirname(path) or "."):
        return f"{text}: the file system has no inodes left, that is, too many files; remove some"
    return text


def _has_no_inodes(folder: str) -> bool:
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return bool(room.f_files) and room.f_favail == 0


def ended_resources(error: BaseException | None) -> OSError | None:
    """Return the error that says that file descriptors or memory are used up, if this one comes from it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _RESOURCES:
            return error
        error = error.__cause__ or error.__context__
    return None
