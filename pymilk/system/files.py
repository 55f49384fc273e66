"""Files: replaced atomically; errors of the operating system turned into errors of pymilk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ..arguments import shown
from ..errors import (
    CaptureMemoryError,
    StreamArgumentError,
    StreamError,
    StreamExistsError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamStorageError,
)
from .causes import cause_of
from .hidden import YOUNG, hidden_name, read_name
from .memory import free_memory
from .processes import process_alive

__all__ = [
    "NO_RESERVING",
    "NO_ROOM",
    "check_replaceable",
    "check_room_for",
    "checked_path",
    "delete",
    "error_kind",
    "file_error",
    "is_device",
    "memory_error",
    "moved_into_place",
    "put_in_place",
    "remove_unfinished",
    "replace_regular",
]

#: The class of error for each errno; any other errno is a `StreamStorageError`.
_ERRORS: dict[int | None, type[StreamError]] = {
    errno.ENOENT: StreamNotFoundError,
    errno.ENOTDIR: StreamNotFoundError,
    errno.EEXIST: StreamExistsError,
    errno.EACCES: StreamPermissionError,
    errno.EPERM: StreamPermissionError,
    errno.EROFS: StreamPermissionError,
    errno.EISDIR: StreamArgumentError,
    errno.ENAMETOOLONG: StreamArgumentError,
}

#: The disk is full, or a quota is used up.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: The file system does not support posix_fallocate.
NO_RESERVING = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)

#: The file system does not support hard links.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def error_kind(error: OSError) -> type[StreamError]:
    """Return the class of pymilk's error for an error of the operating system."""
    return _ERRORS.get(error.errno, StreamStorageError)


def file_error(error: OSError, path: str, what: str, argument: str = "path") -> StreamError:
    """Return pymilk's error for an error of the operating system about a file.

    Parameters
    ----------
    error : OSError
    path : str
    what : str
        What cannot be done with it, to end "... cannot be": ``"read"``, ``"written"``.
    argument : str, default "path"
        Name of the argument that the path came from.

    Returns
    -------
    StreamError
        Not raised.
    """
    while error.errno is None and isinstance(error.__context__, OSError):
        error = error.__context__  # libraries wrap the error that has the number
    text = f"{path} cannot be {what}: {cause_of(error, path)}"
    kind = error_kind(error)
    if kind is StreamArgumentError:
        return StreamArgumentError(text, argument=argument, found=path)
    return kind(text, path=path)


def memory_error(path: str, what: str, needed: int | None = None) -> CaptureMemoryError:
    """Return pymilk's error for a MemoryError of Python or NumPy; parameters as for `file_error`."""
    return CaptureMemoryError(
        f"{path} cannot be {what}: there is no memory for it, or this process may not have so much "
        "(ulimit -v)",
        needed=needed,
        available=free_memory(),
    )


def checked_path(given: Any, what: str, argument: str = "path") -> str:
    """Return a path as str, with ``~`` expanded and without the slash that tab completion puts behind it.

    Parameters
    ----------
    given : str or PathLike
    what : str
        What it is the path of, for the message: ``"a FITS file"``.
    argument : str, default "path"

    Raises
    ------
    StreamArgumentError
        It is not a path.
    """
    try:
        path = os.path.expanduser(os.fsdecode(given))
    except TypeError:
        raise StreamArgumentError(
            f"the path of {what} is a str or PathLike, not {shown(given)}", argument=argument, found=given
        ) from None
    if not path or "\0" in path:
        raise StreamArgumentError(
            f"the path of {what} is not empty and has no NUL in it, unlike {given!r}",
            argument=argument,
            found=given,
        )
    return path.rstrip("/") or "/"


def check_room_for(path: str, others: Iterable[str], stream: str) -> None:
    """Raise if a recording cannot be made under a path.

    Parameters
    ----------
    path : str
    others : iterable of str
        Paths of which none may exist.
    stream : str
        What is recorded, for the message.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no such directory, or it is not writable.
    StreamExistsError
        One of `others` exists.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise StreamNotFoundError(
            f"there is no directory {folder!r} to record stream {stream!r} in; create it",
            stream=stream,
            path=folder,
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StreamPermissionError(
            f"directory {folder!r} is not writable for this user; choose another", path=folder
        )
    for each in others:
        if os.path.lexists(each):
            raise StreamExistsError(
                f"{each} exists already; choose another name, or replace it with force=True",
                path=each,
                argument="force",
            )


def is_device(path: str) -> bool:
    """Tell whether a path leads to a pipe, a socket or a device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def delete(path: str) -> None:
    """Delete a file, or a directory with its content, if it exists."""
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil  # here, because it brings three libraries of compression

        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def check_replaceable(path: str) -> None:
    """Raise `FileExistsError` if a path leads to a pipe, a socket or a device.

    A file would take its place for all programs; a user who may do anything would lose /dev/null.
    """
    if is_device(path):
        why = "it is a pipe, a socket or a device, and only files are replaced; choose another name"
        raise FileExistsError(errno.EEXIST, why, path)


def replace_regular(hidden: str, path: str) -> None:
    """Give a file its final name, also that of another file; raises as `check_replaceable`."""
    check_replaceable(path)
    os.replace(hidden, path)


def put_in_place(hidden: str, path: str, replace: bool = False) -> None:
    """Give a file its final name. At any moment the old file, if any, or the new one has that name.

    Parameters
    ----------
    hidden : str
        What it is called now.
    path : str
    replace : bool, default False
        Replace an existing file.

    Raises
    ------
    FileExistsError
        The file exists, and `replace` is false.
    OSError
    """
    if replace:
        replace_regular(hidden, path)
        return
    try:
        os.link(hidden, path)  # unlike rename, this never replaces a file
    except OSError as error:
        if error.errno not in NO_LINKS or os.path.lexists(path):
            raise
        os.rename(hidden, path)  # a file system without links
    else:
        os.unlink(hidden)


def remove_unfinished(path: str) -> None:
    """Remove hidden files beside a file that are a minute old or more, and whose processes have ended.

    A younger file may belong to a process on another machine, or in another container.
    """
    folder = os.path.dirname(path)
    for entry in os.listdir(folder or "."):
        name = read_name(entry)
        if name is None or name.stream or process_alive(name.pid):
            continue
        left = os.path.join(folder, entry)
        with contextlib.suppress(OSError):
            if time.time() - os.lstat(left).st_mtime > YOUNG:
                delete(left)


@contextlib.contextmanager
def moved_into_place(path: str) -> Iterator[str]:
    """Write a file under a hidden name: renamed to `path` after the block, deleted if the block fails.

    At any moment `path` is the old file, or the complete new one.

    Raises
    ------
    FileExistsError
        The path leads to a pipe, a socket or a device: a file would take its place for all programs.
    OSError
    """
    check_replaceable(path)
    hidden = hidden_name(path)
    try:
        yield hidden
        replace_regular(hidden, path)
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            os.unlink(hidden)
        raise
