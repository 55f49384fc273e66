"""Parameter files on disk: made, locked while an entry is added, removed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence

from ..arguments import shown, whole_number
from ..errors import (
    FPSArgumentError,
    FPSError,
    FPSExistsError,
    FPSFullError,
    FPSNotFoundError,
    FPSPermissionError,
    FPSStorageError,
)
from ..system.causes import cause_of
from ..system.files import put_in_place
from ..system.hidden import temporary_path
from ..system.temporary import mark_busy, mark_idle
from .layout import LAYOUTS, MOST_SLOTS
from .naming import fps_name
from .records import Header, header_bytes

__all__ = [
    "DEFAULT_SLOTS",
    "MODE",
    "create_file",
    "file_trouble",
    "locked",
    "remove_file",
]

#: Slots of a new file, as milk has them.
DEFAULT_SLOTS = 200

#: Permissions of a new file, less the umask, as milk has them.
MODE = 0o600


def file_trouble(error: OSError, path: str, what: str) -> FPSError:
    """Return the error of ours for what the operating system says about a file or directory of an FPS.

    Parameters
    ----------
    error : OSError
    path : str
    what : str
        What cannot be done with it, to end "... cannot be": ``"made"``.
    """
    text = f"{path} cannot be {what}: {cause_of(error, path)}"
    kind: type[FPSError] = FPSStorageError
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        kind = FPSPermissionError
    elif isinstance(error, FileNotFoundError):
        kind = FPSNotFoundError
    elif isinstance(error, FileExistsError):
        kind = FPSExistsError
    return kind(text, fps=fps_name(path), path=path)


def create_file(
    path: str,
    header: Header,
    entries: Sequence[bytes] = (),
    *,
    replace: bool = False,
    directories: bool = False,
) -> None:
    """Make a parameter file of layout v1. It appears complete, or not at all.

    Parameters
    ----------
    path : str
    header : Header
    entries : sequence of bytes
        Slots in use.
    replace : bool, default False
        Whether it may take the place of another one.
    directories : bool, default False
        Whether to make the directories for its data and its configuration. They are not left behind if the
        file cannot be made.

    Raises
    ------
    FPSExistsError
        There is one, and `replace` is false.
    FPSArgumentError, FPSTextError, FPSFullError
        Its header cannot be as it was asked for.
    FPSPermissionError, FPSStorageError, FPSNotFoundError
    """
    layout = LAYOUTS[0]
    slots = header.slots
    number = whole_number(slots)
    if number is None or not 1 <= number <= MOST_SLOTS:
        raise FPSArgumentError(
            f"fps {header.name!r}: slots is a number of 1 to {MOST_SLOTS}, not {shown(slots)}",
            fps=header.name,
            argument="slots",
            found=slots,
        )
    if len(entries) > slots:
        raise FPSFullError(
            f"fps {header.name!r}: {slots} slots are too few for {len(entries)} entries",
            fps=header.name,
            slots=slots,
        )
    content = bytes(header_bytes(header, layout)) + b"".join(entries)
    if not replace and os.path.lexists(path):
        raise _exists(path)
    made = make_directories(header.workdir, header.name) if directories else []
    try:
        _write(path, content, layout.size(slots), replace)
    except BaseException:
        _remove_directories(made)
        raise


def _write(path: str, content: bytes, nbytes: int, replace: bool) -> None:
    """Put a complete file in place; behind its content it is zeros."""
    hidden = temporary_path(path)
    try:
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            mark_busy(fd)
            # Reserve all memory now: a later store into missing memory would end the process.
            os.posix_fallocate(fd, 0, nbytes)
            os.pwrite(fd, content, 0)
            put_in_place(hidden, path, replace)
            mark_idle(fd)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden)
            raise
        finally:
            os.close(fd)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise file_trouble(error, path, "made") from error


def _exists(path: str) -> FPSExistsError:
    name = fps_name(path)
    return FPSExistsError(
        f"there is an fps {name!r} already ({path}); attach it, or replace it with replace=True",
        fps=name,
        path=path,
    )


def make_directories(workdir: str, name: str) -> list[str]:
    """Make the directories of an FPS for its data and its configuration, where they are missing.

    Returns
    -------
    list of str
        Those that were made.

    Raises
    ------
    FPSPermissionError, FPSStorageError, FPSNotFoundError
    """
    made: list[str] = []
    for kind in ("datadir", "confdir"):
        path = os.path.join(workdir, f"fps.{name}.{kind}")
        if os.path.isdir(path):
            continue
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            _remove_directories(made)
            raise file_trouble(error, path, "made (directories=False goes without)") from error
        made.append(path)
    return made


def _remove_directories(paths: Sequence[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # something is in it by now
            os.rmdir(path)


def remove_file(path: str) -> None:
    """Remove a parameter file.

    Raises
    ------
    FPSNotFoundError, FPSPermissionError, FPSStorageError
    """
    try:
        os.unlink(path)
    except OSError as error:
        raise file_trouble(error, path, "removed") from error


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold a lock of the file in the block, against other pymilk processes that add entries."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise file_trouble(error, path, "locked") from error
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
