"""posix_ipc: shared memory with one frame, and a named semaphore."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed


class Frame:
    """The memory and the semaphore, on either side."""

    def __init__(self, channel: str, shape: tuple[int, int], create: bool) -> None:
        import posix_ipc

        flags = posix_ipc.O_CREX if create else 0
        nbytes = int(np.prod(shape)) * DTYPE.itemsize
        self.busy = posix_ipc.BusyError
        self.shared = posix_ipc.SharedMemory(f"/{channel}", flags, size=nbytes if create else 0)
        self.bell = posix_ipc.Semaphore(f"/{channel}", flags)
        memory = mmap.mmap(self.shared.fd, nbytes)
        os.close(self.shared.fd)
        # Unmapped with the last array on it.
        self.pixels = np.frombuffer(memory, DTYPE).reshape(shape)


class FrameWriter(Writer):
    """Copy, release."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._frame: Any = Frame(channel, shape, True)
        self._pixels = self._frame.pixels

    def write(self, frame: Array) -> None:
        self._pixels[...] = frame
        self._frame.bell.release()

    def close(self) -> None:
        if self._frame is not None:
            self._frame.shared.unlink()
            self._frame.bell.unlink()
            self._frame.bell.close()
            self._frame = None


class FrameReader(Reader):
    """Acquire, then there is a frame."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._frame: Any = Frame(channel, shape, False)
        self._pixels = self._frame.pixels

    def copy(self) -> Array:
        return self._pixels.copy()

    def view(self) -> Array:
        return self._pixels[...]

    def into(self, out: Array) -> None:
        out[...] = self._pixels

    def next(self, timeout: float) -> Array | None:
        try:
            self._frame.bell.acquire(timeout)
        except self._frame.busy:
            return None
        return self._pixels

    def close(self) -> None:
        if self._frame is not None:
            self._frame.bell.close()
            self._frame = None


class PosixIpc(Peer):
    """One frame."""

    key = "posix-ipc"
    title = "posix_ipc, one frame"
    package = "posix_ipc"
    writer_class = FrameWriter
    reader_class = FrameReader

    def missing(self) -> str:
        return not_installed("posix_ipc", "pip install '.[bench]'")


PEER = PosixIpc()
