"""One writer at a time: the lock of a process that writes a stream exclusively.

The lock is an advisory one of the operating system (flock) on the file of the stream. Nothing is stored in
the file, so programs of ImageStreamIO see no difference, and ignore it; readers never touch it. It belongs to
the process that took it and ends with that, however it ends. After a fork it stays with the parent. It locks
the file, not the name: a stream that is created again is a new file. Before a stream is replaced, the old
file is checked (`lock_writer` or `check_free`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from collections.abc import Callable

from ..errors import StreamLockedError, StreamReplacedError, StreamUnsupportedError
from .causes import ended_resources
from .files import file_error
from .processes import named_processes

__all__ = ["WriterLock", "check_free", "check_stream", "lock_stream", "lock_writer"]

#: Seconds to wait for a shared lock to go away: `check_free` holds one for microseconds.
_LOOKERS_LEAVE = 0.2


class WriterLock:
    """A lock that is held; ends with `release`, with the object, or with the process.

    Parameters
    ----------
    fd : int
        Descriptor that the lock was taken through. It belongs to the object. No memory is mapped through
        it, or the lock would last as long as that.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        _locks.add(self)

    @property
    def held(self) -> bool:
        """Whether this process holds it: False after `release`, and in a child after fork."""
        return self._fd >= 0

    def release(self, _close: Callable[[int], None] = os.close) -> None:
        """Give it back. In a child after fork the lock of the parent stays."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _close(fd)  # at interpreter exit `os` may be gone

    def __del__(self) -> None:
        self.release()


_locks: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a child after fork: close its copies, which would hold the lock after the death of the parent."""
    for lock in list(_locks):
        lock.release()


os.register_at_fork(after_in_child=_leave_to_parent)


def lock_writer(fd: int, name: str, path: str) -> WriterLock:
    """Take the lock of the file behind a descriptor.

    Parameters
    ----------
    fd : int
        Belongs to the lock from now on; closed if the lock is not free.
    name, path : str
        Of the stream, for messages.

    Raises
    ------
    StreamLockedError
        Another handle, of this process or another one, holds it.
    StreamUnsupportedError
        The file system has no locks.
    """
    deadline = time.monotonic() + _LOOKERS_LEAVE
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return WriterLock(fd)
            except BlockingIOError:
                holders = _holders(fd)
                if holders or time.monotonic() >= deadline:
                    raise _locked(holders, name, path) from None
            except OSError as error:
                raise StreamUnsupportedError(
                    f"stream {name!r}: the file system of {path} has no locks ({error.strerror}), "
                    "and exclusive=True needs one; leave it out",
                    stream=name,
                ) from None
            time.sleep(0.002)
    except BaseException:
        os.close(fd)
        raise


def lock_stream(path: str, device: int, inode: int, name: str) -> WriterLock:
    """Take the lock of the stream that a path leads to, if it is that file.

    Raises
    ------
    StreamReplacedError
        It leads to another file, or nowhere.
    StreamLockedError, StreamUnsupportedError
        As `lock_writer`.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise file_error(error, path, "locked") from error
        lock = lock_writer(descriptor, name, path)
        # From here on the file cannot be replaced.
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            if (found.st_dev, found.st_ino) == (device, inode):
                return lock
        lock.release()
    raise StreamReplacedError(
        f"stream {name!r}: {path} is no longer the file that was attached, and cannot be written "
        "exclusively; attach it again",
        stream=name,
        field="inode",
        expected=inode,
    )


def check_free(fd: int, name: str, path: str) -> None:
    """Raise `StreamLockedError` if another handle holds the lock of the file behind a descriptor.

    Holds a shared lock until the descriptor is closed, and memory that is mapped through it.

    Raises
    ------
    StreamLockedError
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _locked(_holders(fd), name, path) from None
    except OSError:
        pass  # a file system without locks: none is held


def check_stream(path: str, device: int, inode: int, name: str) -> None:
    """Raise `StreamLockedError` if another handle holds the lock of a stream; not if it is gone.

    Raises
    ------
    StreamLockedError
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if ended_resources(error) is not None:
            raise file_error(error, path, "looked at") from error
        return
    try:
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) == (device, inode):
            check_free(fd, name, path)
    finally:
        os.close(fd)


def _holders(fd: int) -> list[int]:
    """Return which processes hold the lock; empty if the system does not say (another PID namespace)."""
    found = os.fstat(fd)
    pids = []
    with contextlib.suppress(OSError), open("/proc/locks") as lines:
        for line in lines:
            # 1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF
            fields = line.split()
            if len(fields) < 6 or fields[1] != "FLOCK" or fields[3] != "WRITE":
                continue
            major, minor, inode = fields[5].split(":")
            file = os.makedev(int(major, 16), int(minor, 16)), int(inode)
            if file == (found.st_dev, found.st_ino) and int(fields[4]) > 0:
                pids.append(int(fields[4]))
    return pids


def _locked(pids: list[int], name: str, path: str) -> StreamLockedError:
    if os.getpid() in pids:
        who, todo = "another handle of this process", "write through that one, or close it"
    elif pids:
        who, todo = named_processes(pids), "end it first"
    else:
        who, todo = "a process that is not visible here (other container, other user)", "end it first"
    return StreamLockedError(
        f"stream {name!r}: {who} writes it exclusively (exclusive=True); {todo}",
        stream=name,
        path=path,
        pids=pids,
    )
