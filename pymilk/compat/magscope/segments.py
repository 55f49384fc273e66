"""Segments of shared memory with public names, and who removes them.

A segment is that of `multiprocessing.shared_memory`, with three rules besides:

- The process that made it owns its name. The name goes with `unlink`, else when that process ends; if it is
  killed, Python's resource tracker removes the name, if it is printable ASCII without a colon: the tracker
  cannot be told of others. Processes that attach never register with a tracker, and so never remove what
  others use.
- A name is removed at the end of a process only if it still leads to the segment that this process made.
- Nothing is unmapped under a view: `close` lets go of the memory, and the last array over it unmaps it.
"""

from __future__ import annotations

import _posixshmem  # type: ignore[import-not-found]
import atexit
import contextlib
import mmap
import os
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EmptySegmentError", "Segment", "array_of", "roll_back"]


#: Where Linux has the names of shared memory.
_FOLDER = "/dev/shm"


class EmptySegmentError(ValueError):
    """A segment is there, but its creator has not given it a size yet."""


class Segment(SharedMemory):
    """One segment.

    Parameters
    ----------
    name : str
    size : int, optional
        Make it, with so many bytes, all of them 0. Default: attach.

    Attributes
    ----------
    identity : tuple of int
        Device and inode: of two segments that have the same name one after the other these differ.

    Raises
    ------
    FileExistsError, FileNotFoundError
        When making, there is one of that name; when attaching, there is none.
    OSError
        The system refuses the name, or has no memory left (ENOSPC; nothing stays behind).
    """

    _fd: int
    _mmap: Any
    _buf: Any
    _name: str
    _size: int
    _track: bool
    identity: tuple[int, int] = (-1, -1)  # before it is known: no file's

    def __init__(self, name: str, size: int | None = None) -> None:
        if "\0" in name:  # the C library would take what is before it for the name
            raise ValueError(f"the name of shared memory has a NUL in it: {name!r}")
        if size is None:
            self._attach(name)
            return
        self._make(name, size)
        self.identity = _identity(self._fd)
        _own[self._name] = os.getpid(), self.identity
        try:
            # Memory that is missing shows here, not as a bus error at the first touch.
            os.posix_fallocate(self._fd, 0, size)
        except OSError:
            self.unlink()
            self.close()
            raise

    def _make(self, name: str, size: int) -> None:
        if _trackable(name):
            super().__init__(name, True, size)
            return
        fd = _posixshmem.shm_open(f"/{name}", os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
        try:
            os.ftruncate(fd, size)
            self._attach(name)
        except BaseException:
            _posixshmem.shm_unlink(f"/{name}")
            raise
        finally:
            os.close(fd)

    def _attach(self, name: str) -> None:
        """Map a segment without telling the resource tracker, which would remove it with this process."""
        self._track = False
        self._name = "/" + name
        self._fd = _posixshmem.shm_open(self._name, os.O_RDWR, mode=0o600)
        try:
            self._size = os.fstat(self._fd).st_size
            if self._size == 0:
                raise EmptySegmentError(f"shared memory {name!r} is empty: its creator has not finished it")
            self._mmap = mmap.mmap(self._fd, self._size)
            self.identity = _identity(self._fd)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        self._buf = memoryview(self._mmap)

    @property
    def memory(self) -> memoryview:
        """The memory; closed segments have none."""
        if self._buf is None:
            raise ValueError(f"shared memory {self.name!r} is closed")
        return self._buf  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return Segment, (self.name,)

    def close(self) -> None:
        """Let go of the memory. Arrays over it stay valid."""
        try:
            super().close()
        except BufferError:
            self._buf = self._mmap = None
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def unlink(self) -> None:
        """Remove the name, whatever it leads to; who has the memory keeps it."""
        try:
            _posixshmem.shm_unlink(self._name)
        finally:
            if _own.get(self._name) == (os.getpid(), self.identity):
                _disown(self._name)

    def remove(self) -> None:
        """Remove the name if it still leads to this segment."""
        if _leads_to(self._name, self.identity):
            self.unlink()


#: Names of segments that this process made and that were not unlinked here: process and identity.
_own: dict[str, tuple[int, tuple[int, int]]] = {}


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _leads_to(name: str, identity: tuple[int, int]) -> bool:
    """Tell whether a name leads to a segment; without a descriptor, of which there may be none left."""
    try:
        found = os.stat(f"{_FOLDER}{name}")
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == identity


def _trackable(name: str) -> bool:
    """Tell whether the resource tracker can be told of a name: it gets them as lines of ASCII with colons."""
    return name.isascii() and name.isprintable() and ":" not in name


def _disown(name: str) -> None:
    """Tell the resource tracker that nothing is to be removed any more."""
    del _own[name]
    if not _trackable(name):
        return
    # First: it complains on stderr about a name that is not registered, as after another object unlinked it.
    resource_tracker.register(name, "shared_memory")
    resource_tracker.unregister(name, "shared_memory")


@atexit.register
def _remove_own() -> None:
    """Remove the names that this process made; those that lead to a segment of another one by now stay."""
    for name, (pid, identity) in list(_own.items()):
        if pid == os.getpid():  # else made before a fork: it belongs to the parent
            if _leads_to(name, identity):
                _posixshmem.shm_unlink(name)
            _disown(name)


@contextlib.contextmanager
def roll_back() -> Iterator[list[Segment]]:
    """Remove the segments that were put into the list if the block raises."""
    made: list[Segment] = []
    try:
        yield made
    except BaseException:
        for segment in reversed(made):
            segment.remove()
            segment.close()
        raise


def array_of(segment: Segment, dtype: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return a writable array over the beginning of a segment; it keeps the memory mapped."""
    count = int(np.prod(shape))
    return np.frombuffer(segment.memory, dtype, count).reshape(shape)
