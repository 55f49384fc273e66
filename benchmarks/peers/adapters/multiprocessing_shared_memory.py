"""`multiprocessing.shared_memory`: a ring made by hand, with a counter and a semaphore."""

from __future__ import annotations

import math
import multiprocessing
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer

#: Bytes in front of the slots, for the counter.
HEAD = 64


class Ring:
    """A counter and slots in shared memory, on either side."""

    def __init__(self, channel: tuple[str, Any], shape: tuple[int, int], depth: int) -> None:
        name, self.bell = channel
        self.memory = SharedMemory(name)
        self.depth = depth
        self.counter = np.ndarray(1, np.int64, self.memory.buf)
        self.slots = np.ndarray((depth, *shape), DTYPE, self.memory.buf, HEAD)

    def close(self) -> None:
        """Let go of the memory, which has to have no arrays on it."""
        del self.counter, self.slots
        self.memory.close()


class RingWriter(Writer):
    """Copy into the next slot, count, ring."""

    def __init__(
        self, channel: tuple[str, Any], shape: tuple[int, int], depth: int, wait: str
    ) -> None:
        self._ring: Ring | None = Ring(channel, shape, depth)
        self._count = 0
        self._slots: Array | None = self._ring.slots
        self._counter: Array | None = self._ring.counter
        self._depth = depth
        self._post = channel[1].release

    def write(self, frame: Array) -> None:
        assert self._slots is not None
        assert self._counter is not None
        self._slots[self._count % self._depth] = frame
        self._count += 1
        self._counter[0] = self._count
        self._post()

    def close(self) -> None:
        if self._ring is not None:
            self._slots = self._counter = None
            self._ring.close()
            self._ring = None


class RingReader(Reader):
    """Wait on the semaphore, read the next slot."""

    def __init__(
        self, channel: tuple[str, Any], shape: tuple[int, int], depth: int, wait: str
    ) -> None:
        self._ring: Ring | None = Ring(channel, shape, depth)
        self._slots: Array | None = self._ring.slots
        self._counter: Array | None = self._ring.counter
        self._depth = depth
        self._wait = channel[1].acquire
        while self._wait(False):
            pass  # rung for frames of before
        self._taken = int(self._counter[0])
        self._lost = 0

    def copy(self) -> Array:
        return self.view().copy()

    def view(self) -> Array:
        assert self._slots is not None
        assert self._counter is not None
        return self._slots[(int(self._counter[0]) - 1) % self._depth]

    def next(self, timeout: float) -> Array | None:
        assert self._slots is not None
        assert self._counter is not None
        if not self._wait(True, timeout):
            return None
        behind = int(self._counter[0]) - self._taken
        if behind >= self._depth:
            self._lost += behind - self._depth + 1
            self._taken += behind - self._depth + 1
        frame = self._slots[self._taken % self._depth]
        self._taken += 1
        return frame

    def prepare(self, out: Array) -> None:
        super().prepare(out)
        self._lost = 0

    def told(self) -> int | None:
        return self._lost

    def close(self) -> None:
        if self._ring is not None:
            self._slots = self._counter = None
            self._ring.close()
            self._ring = None


class SharedMemoryRing(Peer):
    """The ring."""

    key = "shared-memory-ring"
    title = "multiprocessing.shared_memory, ring by hand"
    ring = True
    tasks = frozenset({"access", "latency", "live", "drain", "busy"})
    writer_class = RingWriter
    reader_class = RingReader

    def channel(self, name: str, shape: tuple[int, int], depth: int) -> Any:
        nbytes = HEAD + depth * math.prod(shape) * DTYPE.itemsize
        memory = SharedMemory(name, create=True, size=nbytes)
        memory.close()
        return name, multiprocessing.get_context("spawn").Semaphore(0)

    def discard(self, channel: Any) -> None:
        memory = SharedMemory(channel[0])
        memory.close()
        memory.unlink()


PEER = SharedMemoryRing()
