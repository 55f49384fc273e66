"""SharedArray: an array in shared memory, and a second one that counts; readers have to poll."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed, poll


def names(channel: str) -> tuple[str, str]:
    """Return the names of the frame and of the counter."""
    return f"shm://{channel}-frame", f"shm://{channel}-count"


class ArrayWriter(Writer):
    """Copy, count."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        import SharedArray

        self._api = SharedArray
        self._names = names(channel)
        self._pixels: Any = SharedArray.create(self._names[0], shape, DTYPE)
        self._counter: Any = SharedArray.create(self._names[1], 1, np.int64)

    def write(self, frame: Array) -> None:
        self._pixels[...] = frame
        self._counter[0] += 1

    def close(self) -> None:
        self._pixels = self._counter = None
        for name in self._names:
            with contextlib.suppress(FileNotFoundError):
                self._api.delete(name)


class ArrayReader(Reader):
    """Look at the counter until it moves."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        import SharedArray

        pixels, counter = (SharedArray.attach(name) for name in names(channel))
        self._pixels: Any = pixels
        self._counter: Any = counter
        self._seen = int(counter[0])

    def copy(self) -> Array:
        return self._pixels.copy()

    def view(self) -> Array:
        return self._pixels[...]

    def into(self, out: Array) -> None:
        out[...] = self._pixels

    def _moved(self) -> bool:
        return self._counter[0] != self._seen

    def next(self, timeout: float) -> Array | None:
        if not poll(self._moved, timeout):
            return None
        self._seen = int(self._counter[0])
        return self._pixels

    def close(self) -> None:
        self._pixels = self._counter = None


class SharedArrayPeer(Peer):
    """One frame."""

    key = "sharedarray"
    title = "SharedArray, polled"
    package = "SharedArray"
    waits = ("poll",)
    live_waits = ("poll",)
    writer_class = ArrayWriter
    reader_class = ArrayReader

    def missing(self) -> str:
        return not_installed("SharedArray", "pip install '.[bench]'")


PEER = SharedArrayPeer()
