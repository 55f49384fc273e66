"""Files that are being written: whether each is still there, under its name and in its whole length."""

from __future__ import annotations

import os

from ...errors import OutputChangedError

__all__ = ["check_length", "check_name", "identity_of"]


def check_length(path: str, descriptor: int, nbytes: int) -> None:
    """Raise `OutputChangedError` if a file that is being written is shorter than it was left."""
    found = os.fstat(descriptor).st_size
    if found < nbytes:
        raise OutputChangedError(
            f"{path} was cut by another program while it was recorded: it has {found} bytes of {nbytes}",
            path=path,
        )


def check_name(path: str, identity: tuple[int, int]) -> None:
    """Raise `OutputChangedError` if a name does not lead to the file of this device and inode."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise OutputChangedError(
            f"{path} was deleted or renamed by another program while it was recorded", path=path
        ) from None
    if (found.st_dev, found.st_ino) != identity:
        raise OutputChangedError(f"{path} was replaced by another program while it was recorded", path=path)


def identity_of(status: os.stat_result) -> tuple[int, int]:
    """Return device and inode."""
    return status.st_dev, status.st_ino
