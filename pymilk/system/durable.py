"""Files on the disk itself: what a power failure leaves, and writing past the page cache."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .regular import open_regular

__all__ = ["DirectFile", "direct_memory", "sync_files", "sync_names", "write_out"]

#: Direct writes begin, end and lie in memory at multiples of these bytes: enough for any disk.
_ALIGNMENT = 4096

#: Bytes that are written at a time.
_PIECE_NBYTES = 4 << 20

#: What a file system says that has no direct writes.
_NO_DIRECT = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


def direct_memory() -> Any:
    """Return memory for a `DirectFile`: bytes that begin with a page."""
    return np.frombuffer(mmap.mmap(-1, _PIECE_NBYTES), np.uint8)


class DirectFile:
    """Direct writes (O_DIRECT) into a file that is open already, from any memory to any place.

    What is written is copied once, into aligned memory. Of the first block the bytes before the place are
    read from the file and written again; up to 4095 zeros follow the last byte. The file may be written
    through the page cache meanwhile by the same thread: the kernel keeps both alike.

    Parameters
    ----------
    descriptor : int
        Of the file, opened for reading and writing; it stays open.
    memory : ndarray, optional
        That `direct_memory` returned, for files that are written one after the other. None: its own.

    Raises
    ------
    OSError
        The file system has no direct writes: see `open`.
    """

    def __init__(self, descriptor: int, memory: Any = None) -> None:
        self._plain = descriptor
        # Another opening of the same file, whatever its name is by now.
        self._file = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        self._memory = direct_memory() if memory is None else memory

    @classmethod
    def open(cls, descriptor: int) -> DirectFile | None:
        """Return a `DirectFile`; None if the file system has no direct writes."""
        try:
            return cls(descriptor)
        except OSError as error:
            if error.errno not in _NO_DIRECT:
                raise
            return None

    def write(self, content: Any, place: int) -> None:
        """Write all bytes of a buffer. Without the GIL where it takes time."""
        left = np.frombuffer(content, np.uint8)
        while len(left):
            before = place % _ALIGNMENT
            part = left[: _PIECE_NBYTES - before]
            if before:
                held = os.pread(self._plain, before, place - before)
                self._memory[:before] = np.frombuffer(held.ljust(before, b"\0"), np.uint8)
            used = before + len(part)
            np.copyto(self._memory[before:used], part)
            whole = -(-used // _ALIGNMENT) * _ALIGNMENT
            self._memory[used:whole] = 0
            self._write_blocks(self._memory[:whole], place - before)
            left, place = left[len(part) :], place + len(part)

    def _write_blocks(self, blocks: Any, place: int) -> None:
        while len(blocks):
            written = os.pwrite(self._file, blocks, place)
            if written % _ALIGNMENT:  # the last room of a full disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            blocks, place = blocks[written:], place + written

    def close(self) -> None:
        """Close this opening of the file; a second call does nothing."""
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)


def write_out(descriptor: int, place: int, nbytes: int) -> None:
    """Have the kernel begin to write a part of a file to the disk, and forget what is there already.

    Waits for nothing, unless the queue of the disk is full. Pages that a reader has mapped stay in memory.

    Parameters
    ----------
    descriptor : int
    place : int
    nbytes : int
        0: up to the end of the file.
    """
    os.posix_fadvise(descriptor, place, nbytes, os.POSIX_FADV_DONTNEED)


def sync_files(paths: Iterable[str], *, names: bool = True, forget: bool = False) -> None:
    """Wait until files, folders with all that is in them, and their names are on the disk.

    Paths that are not there are passed over.

    Parameters
    ----------
    paths : iterable of str
    names : bool, default True
        False: the files alone.
    forget : bool, default False
        Have the kernel forget the files afterwards.
    """
    folders: set[str] = set()
    for path in paths:
        folders.add(os.path.dirname(os.path.abspath(path)))
        for each in _files_of(path):
            with contextlib.suppress(FileNotFoundError):
                _sync(open_regular(each), forget)
        if os.path.isdir(path):
            folders.update(folder for folder, _, _ in os.walk(path))
    # Behind the files: a name on the disk leads to a whole file.
    for folder in sorted(folders, reverse=True) if names else ():
        sync_names(folder)


def sync_names(folder: str) -> None:
    """Wait until the names of the files in a folder are on the disk: not the files."""
    _sync(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def _files_of(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in names)


def _sync(descriptor: int, forget: bool = False) -> None:
    try:
        os.fsync(descriptor)
        if forget:
            write_out(descriptor, 0, 0)
    finally:
        os.close(descriptor)
