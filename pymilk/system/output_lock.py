"""One living recorder an output: a lock that the kernel frees when its process ends, however it ends.

It is a lock of the open file (an open file description lock) on bytes far behind the end of any file. How
many bytes it covers is the PID of its holder, so that whoever is refused can name it. Writing it needs the
right to write the file; a folder, which cannot be opened for writing, gets a lock for reading, which holds
off others just as well. Nothing is stored in the file, and readers never look at it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable

from ..errors import RecordingInUseError
from .causes import ended_resources
from .files import file_error
from .locks import WriterLock
from .processes import named_processes

__all__ = ["check_outputs", "hold_output"]

#: struct flock of 64-bit Linux: type, whence, start, length, PID.
_FLOCK = "hhqqi4x"

#: Commands of fcntl: look who has a lock, take one.
_OFD_GETLK, _OFD_SETLK = 36, 37

#: Where the lock begins.
_START = 1 << 61


def _holder(descriptor: int) -> int | None:
    """Return the PID of the process that has the lock; None if nobody has."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _START, 1, 0)
    try:
        found = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, _OFD_GETLK, asked))
    except OSError:
        return None  # a file system without locks: nobody can have one
    return None if found[0] == fcntl.F_UNLCK else int(found[3])


def _refusal(path: str, pid: int) -> RecordingInUseError:
    who = "another recorder of this process" if pid == os.getpid() else named_processes([pid])
    return RecordingInUseError(
        f"{path} is being recorded by {who}; end it first, or choose another name", path=path, pids=[pid]
    )


def check_outputs(paths: Iterable[str]) -> None:
    """Raise `RecordingInUseError` if a living recorder writes one of these files or folders."""
    for path in paths:
        try:
            if not stat.S_IFMT(os.stat(path).st_mode) & (stat.S_IFREG | stat.S_IFDIR):
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if ended_resources(error) is not None:
                raise file_error(error, path, "looked at") from error
            continue  # it is not there, or not for us
        try:
            pid = _holder(descriptor)
        finally:
            os.close(descriptor)
        if pid is not None:
            raise _refusal(path, pid)


def hold_output(path: str) -> WriterLock:
    """Take the lock of a file or folder that was made just now.

    Raises
    ------
    OSError
    RecordingInUseError
        Another recorder has it.
    """
    folder = os.path.isdir(path)
    descriptor = os.open(path, (os.O_RDONLY if folder else os.O_RDWR) | os.O_CLOEXEC)
    kind = fcntl.F_RDLCK if folder else fcntl.F_WRLCK
    wanted = struct.pack(_FLOCK, kind, os.SEEK_SET, _START, os.getpid(), 0)
    try:
        fcntl.fcntl(descriptor, _OFD_SETLK, wanted)
    except OSError as error:
        pid = _holder(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES) and pid is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise _refusal(path, pid) from None
    return WriterLock(descriptor)  # also on a file system without locks
