"""One writer at a time: the lock of a process that writes a stream exclusively.

The lock is an advisory one of the operating system: an open file description lock for writing, on bytes far
behind the end of any file. How many bytes it covers is the PID of its holder, so that those who are refused
can name it. It needs the right to write the file: whoever may only read it keeps no writer from publishing.
Nothing is stored in the file, so programs of ImageStreamIO see no difference, and ignore it; readers never
touch it. It belongs to the process that took it and ends with that, however it ends. After a fork it stays
with the parent. It locks the file, not the name: a stream that is created again is a new file. Before a
stream is replaced, the old file is checked (`lock_writer` or `hold_free`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple

from ..errors import StreamLockedError, StreamPermissionError, StreamReplacedError, StreamUnsupportedError
from .causes import ended_resources
from .files import file_error
from .journal import tell
from .mappings import FileId, those_called
from .processes import named_processes

__all__ = [
    "FileLock",
    "WriterLock",
    "check_free",
    "check_stream",
    "hold_free",
    "holder_of",
    "lock_stream",
    "lock_writer",
    "named_holder",
    "open_to_lock",
    "processes_called",
    "take_lock",
    "unlock",
]

#: Seconds to wait for a lock for reading to go away: `hold_free` takes one for a moment.
_LOOKERS_LEAVE = 0.2

#: struct flock of 64-bit Linux: type, whence, start, length, PID.
_FLOCK = "hhqqi4x"

#: Commands of fcntl for open file description locks: look who has one, take one.
_OFD_GETLK, _OFD_SETLK = 36, 37

#: Where the locks of pymilk begin.
_START = 1 << 61

#: Who has a lock and no number here.
_INVISIBLE = "a process that is not visible here (other container, other user)"


class FileLock(NamedTuple):
    """A lock that is in the way.

    Attributes
    ----------
    pid : int
        Of its holder, as that calls itself in its own PID namespace; 0 if the lock does not tell.
    reading : bool
        It is one for reading, which takes no right to write.
    start : int
        Its first byte.
    """

    pid: int
    reading: bool
    start: int = _START


def _told(kind: int, command: int, fd: int, length: int, start: int = _START) -> tuple[int, ...]:
    asked = struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
    return struct.unpack(_FLOCK, fcntl.fcntl(fd, command, asked))


def holder_of(
    fd: int, *, writers_only: bool = False, start: int = _START, length: int = 1
) -> FileLock | None:
    """Return the lock that another handle has on the file behind a descriptor; None if there is none.

    Parameters
    ----------
    fd : int
    writers_only : bool, default False
        Look for locks for writing only.
    start, length : int
        Bytes to look at; those of the lock of a writer if not given.
    """
    try:
        found = _told(fcntl.F_RDLCK if writers_only else fcntl.F_WRLCK, _OFD_GETLK, fd, length, start)
    except OSError:
        return None  # a file system without locks: nobody can have one
    kind, _, first, covered, pid = found
    if kind == fcntl.F_UNLCK:
        return None
    # A lock that belongs to a process tells its PID; one of an open file does not, but ours is as long.
    ours = first >= start and 0 < covered < 2**31
    return FileLock(pid if pid > 0 else covered if ours else 0, kind == fcntl.F_RDLCK, first)


def take_lock(fd: int, *, reading: bool = False, start: int = _START) -> None:
    """Take the lock of the file behind a descriptor, for writing if not said otherwise.

    Raises
    ------
    OSError
        Another handle has it (BlockingIOError), it needs a descriptor for writing, or there are no locks.
    """
    _told(fcntl.F_RDLCK if reading else fcntl.F_WRLCK, _OFD_SETLK, fd, os.getpid(), start)


def unlock(fd: int) -> None:
    """Give the lock of an open file back. Closing does not, where memory is mapped through the descriptor."""
    with contextlib.suppress(OSError):
        _told(fcntl.F_UNLCK, _OFD_SETLK, fd, 0)


class WriterLock:
    """A lock that is held; ends with `release`, with the object, or with the process.

    Parameters
    ----------
    fd : int
        Descriptor that the lock was taken through. It belongs to the object. No memory is mapped through
        it, or the lock would last as long as that.
    """

    _fd = -1  # of one whose making was interrupted

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
        Open for writing. Belongs to the lock from now on; closed if the lock is not free.
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
    waited = False
    lock = WriterLock(fd)  # from now on nobody else closes it
    try:
        while True:
            try:
                take_lock(fd)
                if waited:
                    tell("stream %r: waited for the lock of its writer", name)
                return lock
            except (BlockingIOError, PermissionError):
                other = holder_of(fd) or FileLock(0, True)
                # Locks for reading go away again, unless one was not made by pymilk.
                if not other.reading or time.monotonic() >= deadline:
                    raise _locked(other, fd, name, path) from None
                waited = True
            except OSError as error:
                raise StreamUnsupportedError(
                    f"stream {name!r}: the file system of {path} has no locks ({error.strerror}), "
                    "and exclusive=True needs one; leave it out",
                    stream=name,
                ) from None
            time.sleep(0.002)
    except BaseException:
        lock.release()
        raise


def open_to_lock(path: str, name: str, shown: str) -> int:
    """Open a file to lock it for writing; returns the descriptor.

    Parameters
    ----------
    path : str
    name, shown : str
        Name and path of the stream, for the message.

    Raises
    ------
    FileNotFoundError
    StreamPermissionError
        It may not be written.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise StreamPermissionError(
            f"stream {name!r}: {shown} may not be written by this user, and exclusive=True needs that",
            stream=name,
            path=shown,
        ) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise file_error(error, shown, "locked") from error


def lock_stream(path: str, device: int, inode: int, name: str) -> WriterLock:
    """Take the lock of the stream that a path leads to, if it is that file.

    Raises
    ------
    StreamReplacedError
        It leads to another file, or nowhere.
    StreamLockedError, StreamUnsupportedError, StreamPermissionError
        As `lock_writer` and `open_to_lock`.
    """
    with contextlib.suppress(FileNotFoundError):
        lock = lock_writer(open_to_lock(path, name, path), name, path)
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

    Locks for reading do not count: they need no right to write.

    Raises
    ------
    StreamLockedError
    """
    lock = holder_of(fd, writers_only=True)
    if lock is not None:
        raise _locked(lock, fd, name, path)


def hold_free(fd: int, name: str, path: str) -> None:
    """Do the same, and let no other handle take the lock until `unlock`.

    Raises
    ------
    StreamLockedError
    """
    try:
        take_lock(fd, reading=True)
    except (BlockingIOError, PermissionError):
        check_free(fd, name, path)
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


def processes_called(fd: int, pid: int) -> list[int]:
    """Return the process that a lock of the file behind a descriptor tells, by its number here.

    Empty if it does not show. It has told its number as it is in its own PID namespace: here that may be
    another process.
    """
    if pid == 0:
        return []
    if pid == os.getpid() and _locked_here(fd):
        return [pid]  # and no process of another container that is called the same
    found = os.fstat(fd)
    file = FileId(found.st_dev, found.st_ino, os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
    return those_called(pid, file)[0][:1]


def _locked_here(fd: int) -> bool:
    """Tell whether this process has the file behind a descriptor locked through another one."""
    found = os.fstat(fd)
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            other = os.stat(f"/proc/self/fd/{each}")
            if int(each) != fd and (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino):
                with open(f"/proc/self/fdinfo/{each}") as info:
                    if "\nlock:" in info.read():
                        return True
    return False


def named_holder(fd: int, lock: FileLock | None) -> tuple[str, list[int]]:
    """Return who holds a lock in words, and the PIDs; without one: a process that has just let go of it."""
    pids = [] if lock is None else processes_called(fd, lock.pid)
    if not pids:
        return "a process" if lock is None else _INVISIBLE, []
    return named_processes(pids), pids


def _holders(fd: int) -> list[int]:
    """Return the process that holds the lock of a writer, by its number here; empty if it does not show."""
    lock = holder_of(fd)
    return [] if lock is None else processes_called(fd, lock.pid)


def _locked(lock: FileLock, fd: int, name: str, path: str) -> StreamLockedError:
    pids = _holders(fd)
    if lock.reading:
        who = named_processes(pids) if pids else "a process"
        text = f"{who} has locked {path} for reading (fcntl), which holds off exclusive=True; end it first"
    elif not pids:
        text = f"{_INVISIBLE} writes it exclusively (exclusive=True); end it first"
    elif os.getpid() in pids:
        text = (
            "another handle of this process writes it exclusively (exclusive=True); write through that one, "
            "or close it"
        )
    else:
        text = f"{named_processes(pids)} writes it exclusively (exclusive=True); end it first"
    return StreamLockedError(f"stream {name!r}: {text}", stream=name, path=path, pids=pids)
