"""What the operating system says about files, as errors of pymilk."""

from __future__ import annotations

import errno
import os
from typing import Any

from .errors import (
    StreamArgumentError,
    StreamError,
    StreamExistsError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamStorageError,
)

__all__ = ["checked_path", "file_error"]


def file_error(error: OSError, path: str, what: str, argument: str = "path") -> StreamError:
    """Return the error of ours for what the operating system says about a file.

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
        error = error.__context__  # libraries put errors without number in front
    text = f"{path} cannot be {what}: {error.strerror or error}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return StreamNotFoundError(text, path=path)
    if error.errno == errno.EEXIST:
        return StreamExistsError(text, path=path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StreamPermissionError(text, path=path)
    if error.errno in (errno.EISDIR, errno.ENAMETOOLONG):
        return StreamArgumentError(text, argument=argument, found=path)
    return StreamStorageError(text, path=path)


def checked_path(given: Any, what: str, argument: str = "path") -> str:
    """Return a path as str, with ``~`` expanded.

    Parameters
    ----------
    given : str or PathLike
    what : str
        What it is the path of, for the message: ``"a FITS file"``.
    argument : str, default "path"

    Raises
    ------
    StreamArgumentError
        It is no path.
    """
    try:
        path = os.path.expanduser(os.fsdecode(given))
    except TypeError:
        path = ""
    if not path or "\0" in path:
        raise StreamArgumentError(
            f"the path of {what} is a str or PathLike, not {given!r}", argument=argument, found=given
        )
    return path
