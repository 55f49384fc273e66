"""Regular files only: a pipe or a device in the place of a file would keep whoever opens it for ever."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import StreamFormatError
from .signals import held_signals

__all__ = ["check_regular", "open_regular", "read_regular", "regular_entries", "regular_file"]


def _refusal(path: str) -> StreamFormatError:
    return StreamFormatError(
        f"{path} is a pipe, a socket, a device or a folder, and no regular file",
        path=path,
        field="file",
        expected="a regular file",
    )


def check_regular(path: str) -> os.stat_result:
    """Return the status of a file, which is a regular one.

    Raises
    ------
    OSError
        It is not there.
    StreamFormatError
        It is no regular file, and no link to one.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path)
    return found


def open_regular(path: str) -> int:
    """Open a regular file for reading; returns its descriptor. Never waits. Raises as `check_regular`."""
    check_regular(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # replaced meanwhile
        os.close(descriptor)
        raise _refusal(path)
    return descriptor


def regular_file(path: str) -> BinaryIO:
    """Open a regular file for reading, as `open_regular`."""
    with held_signals():  # until an object has the descriptor
        return open(open_regular(path), "rb")


def read_regular(path: str, limit: int, *, part: bool = False) -> bytes:
    """Read a regular file of up to `limit` bytes; of a longer one its beginning with `part`.

    Raises
    ------
    OSError
    StreamFormatError
        It is no regular file, or longer.
    """
    with regular_file(path) as file:
        content = file.read(limit + (not part))
    if len(content) > limit:
        raise StreamFormatError(
            f"{path} is longer than such a file can be ({limit} bytes)",
            path=path,
            field="file size",
            expected=limit,
            found=os.path.getsize(path),
        )
    return content


def regular_entries(folder: str) -> Iterator[tuple[str, int]]:
    """Go through a folder whose files have to be regular ones: path and size of each.

    Raises
    ------
    OSError, StreamFormatError
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found = entry.stat()
            except FileNotFoundError:  # renamed by its writer meanwhile, or a link to nothing
                continue
            if not stat.S_ISREG(found.st_mode):
                raise _refusal(entry.path)
            yield entry.path, found.st_size
