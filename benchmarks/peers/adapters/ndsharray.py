"""ndsharray: an array in shared memory with a time at both ends; readers have to poll."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed, poll


class NdWriter(Writer):
    """`write`."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from ndsharray import NdShArray

        self._name = channel
        self._array: Any = NdShArray(channel, np.zeros(shape, DTYPE), r_w="w")
        self.write = self._array.write  # type: ignore[method-assign]

    def close(self) -> None:
        if self._array is not None:
            self._array = None
            # It leaves its files where they are.
            for path in Path("/dev/shm").glob(f"{self._name}*"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


class NdReader(Reader):
    """`read` until it is valid, and new."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from ndsharray import NdShArray

        self._array: Any = NdShArray(channel, np.zeros(shape, DTYPE), r_w="r")

    def copy(self) -> Array:
        return self._array.read()[1]

    def next(self, timeout: float) -> Array | None:
        found: list[Array] = []

        def there() -> bool:
            valid, frame = self._array.read()
            if valid:
                found.append(frame)
            return valid

        return found[0] if poll(there, timeout) else None

    def close(self) -> None:
        self._array = None


class NdShArrayPeer(Peer):
    """One frame. Timed as a queue of one: a frame that was read already is not read again."""

    key = "ndsharray"
    title = "ndsharray, polled"
    package = "ndsharray"
    queue = True
    access_depth = 1
    waits = ("poll",)
    live_waits = ("poll",)
    writer_class = NdWriter
    reader_class = NdReader

    def missing(self) -> str:
        return not_installed("ndsharray", "pip install '.[bench]'")


PEER = NdShArrayPeer()
