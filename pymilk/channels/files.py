"""Channel files: their names, made complete or not at all, opened, removed."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import stat
from typing import Any

from ..arguments import shown, whole_number
from ..errors import (
    ChannelArgumentError,
    ChannelError,
    ChannelExistsError,
    ChannelFormatError,
    ChannelInUseError,
    ChannelNotFoundError,
    ChannelPermissionError,
    ChannelStorageError,
)
from ..names import check_name, stream_directory
from ..system.causes import cause_of
from ..system.files import put_in_place
from ..system.hidden import temporary_path
from ..system.locks import holder_of, named_holder, take_lock
from ..system.temporary import mark_busy, mark_idle

__all__ = [
    "Kind",
    "channel_name",
    "channel_path",
    "checked_size",
    "create_channel",
    "let_others_write",
    "life_of",
    "lock_channel",
    "open_channel",
    "remove_channel",
]


class Kind(enum.IntEnum):
    """What a channel is; the number is in the header of its file, the word in the name of the file."""

    msg = 1
    cmd = 2
    state = 3


#: Where the locks are by which callers and takers of a queue prove that they live, and how far they reach.
LIVES_AT, LIVES_NBYTES = 1 << 60, 1 << 59


def life_of(owner: int) -> int:
    """Return where the lock of an object that uses a queue begins; it is as long as its PID."""
    return LIVES_AT + (owner << 32)


def suffix(kind: Kind) -> str:
    """Return the end of the file names of a kind: ``.msg.shm``."""
    return f".{kind.name}.shm"


def channel_name(path: str | os.PathLike[str], kind: Kind) -> str:
    """Return the name of a channel from the path of its file."""
    return os.path.basename(os.fspath(path)).removesuffix(suffix(kind))


def channel_path(name: str | os.PathLike[str], kind: Kind) -> str:
    """Turn the name of a channel, or the path of its file, into the path.

    Raises
    ------
    StreamNameError
    ChannelArgumentError
        A path of a file of another kind.
    StreamNotFoundError
        There is no stream directory.
    """
    end = suffix(kind)
    text = os.fspath(name) if isinstance(name, os.PathLike) else name
    if isinstance(name, os.PathLike) or (isinstance(text, str) and "/" in text):
        folder, file = os.path.split(os.fsdecode(text))
        if not file.endswith(end):
            raise ChannelArgumentError(
                f"{text!r} is not the path of a channel: it has to end in {end!r}",
                argument="name",
                found=name,
            )
        check_name(file.removesuffix(end))
        return os.path.join(folder, file)
    plain = text.removesuffix(end) if isinstance(text, str) else text
    return os.path.join(stream_directory(), check_name(plain) + end)


def trouble(error: OSError, name: str, path: str, what: str) -> ChannelError:
    """Return the error of ours for what the operating system says about a file."""
    kind: type[ChannelError] = ChannelStorageError
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        kind = ChannelPermissionError
    elif isinstance(error, FileNotFoundError):
        kind = ChannelNotFoundError
    elif isinstance(error, FileExistsError):
        kind = ChannelExistsError
    said = f"channel {name!r}: {path} cannot be {what}: {cause_of(error, path)}"
    return kind(said, channel=name, path=path)


def create_channel(path: str, name: str, header: bytes, nbytes: int, *, replace: bool, mode: int) -> int:
    """Make a file, and be its writer. It appears complete, or not at all.

    Returns
    -------
    int
        Its descriptor, which holds the lock of the writer.

    Raises
    ------
    ChannelExistsError
        There is one, and `replace` is false.
    ChannelPermissionError, ChannelStorageError, ChannelNotFoundError
    """
    bits = whole_number(mode)
    if bits is None or not 0 <= bits < 0o1000:
        raise ChannelArgumentError(
            f"channel {name!r}: mode is an int of 0 to 0o777, not {shown(mode)}",
            channel=name,
            argument="mode",
            found=mode,
        )
    exists = ChannelExistsError(
        f"channel {name!r} exists: {path}; attach it, or replace it with replace=True",
        channel=name,
        path=path,
    )
    if not replace and os.path.lexists(path):
        raise exists
    hidden = temporary_path(path)
    try:
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            mark_busy(fd)
            lock_channel(fd, name, path)
            # All of it now: memory that is missing later would be found by whoever writes there.
            os.posix_fallocate(fd, 0, nbytes)
            os.pwrite(fd, header, 0)
            put_in_place(hidden, path, replace)
            mark_idle(fd)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden)
            raise
        return fd
    except FileExistsError:
        raise exists from None
    except OSError as error:
        raise trouble(error, name, path, "made") from None


def open_channel(path: str, name: str, write: bool | None) -> tuple[int, bool]:
    """Open a file; returns the descriptor, and whether it is open for writing.

    Parameters
    ----------
    path, name : str
    write : bool or None
        None: if this user may.
    """
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    try:
        if write is not False:
            try:
                return _regular(os.open(path, os.O_RDWR | flags), name, path), True
            except OSError as error:
                if write or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
        return _regular(os.open(path, os.O_RDONLY | flags), name, path), False
    except FileNotFoundError:
        raise ChannelNotFoundError(
            f"no channel {name!r}: {path} does not exist; create it first", channel=name, path=path
        ) from None
    except OSError as error:
        raise trouble(error, name, path, "opened") from None


def _regular(fd: int, name: str, path: str) -> int:
    """Return the descriptor of a regular file; close any other, and raise."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    found = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
    raise ChannelFormatError(
        f"{path} is no channel: it is {found}, and no regular file",
        channel=name,
        path=path,
        field="file",
        expected="a regular file",
        found=found,
    )


def lock_channel(fd: int, name: str, path: str, *, others: bool = False) -> None:
    """Be a writer of a channel for as long as the descriptor is open. The lock ends with the process, too.

    Parameters
    ----------
    fd : int
    name, path : str
        For messages.
    others : bool, default False
        Share it with other writers that say the same.

    Raises
    ------
    ChannelInUseError
        Another object writes it, and one of the two keeps others out.
    """
    try:
        take_lock(fd, reading=others)
    except (BlockingIOError, PermissionError):
        lock = holder_of(fd)
        who, pids = named_holder(fd, lock)
        if pids == [os.getpid()]:
            who = "another object of this process"
        advice = "and keeps others out; end that one first"
        if lock is not None and lock.reading:
            advice = "with writers='many'; pass writers='many' here too, or end that one first"
        raise ChannelInUseError(
            f"channel {name!r}: {who} writes it {advice}",
            channel=name,
            path=path,
            pids=pids,
        ) from None


def let_others_write(fd: int) -> None:
    """Let further writers share the channel; `fd` has the lock of the only writer."""
    take_lock(fd, reading=True)


def remove_channel(path: str, name: str) -> None:
    """Delete a file."""
    try:
        os.unlink(path)
    except OSError as error:
        raise trouble(error, name, path, "removed") from None


def checked_size(given: Any, least: int, name: str) -> int:
    """Return a number of bytes, or raise `ChannelArgumentError`."""
    nbytes = whole_number(given)
    if nbytes is None or not least <= nbytes <= 1 << 40:
        raise ChannelArgumentError(
            f"channel {name!r}: nbytes is a number from {least} to 2**40, not {shown(given)}",
            channel=name,
            argument="nbytes",
            found=given,
        )
    return nbytes
