"""One living recorder an output: a lock that the kernel frees when its process ends, however it ends.

It is the lock of `pymilk.system.locks`. A folder, which cannot be opened for writing, gets one for reading,
which holds off others just as well. Nothing is stored in the file, and readers never look at it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable

from ..errors import RecordingInUseError
from .causes import ended_resources
from .files import file_error
from .locks import WriterLock, holder_of, take_lock
from .processes import named_processes

__all__ = ["check_outputs", "hold_output"]


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
            lock = holder_of(descriptor)
        finally:
            os.close(descriptor)
        if lock is not None:
            raise _refusal(path, lock.pid)


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
    try:
        take_lock(descriptor, reading=folder)
    except OSError as error:
        lock = holder_of(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES) and lock is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise _refusal(path, lock.pid) from None
    return WriterLock(descriptor)  # also on a file system without locks
