"""C loops on the semaphore, on streams that pymilk writes: see ``reference.c``."""

from __future__ import annotations

import os

import numpy as np

import pymilk

from .. import reference
from ..peer import Array, Peer, Reader
from .pymilk_ring import RingWriter
from .pymilk_stream import StreamWriter


class LoopReader(Reader):
    """One wait, one memcpy."""

    call = "reference_receive"

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._c = reference.library()
        self._spin = wait == "spin"
        with pymilk.Stream.attach(channel) as stream:
            self._handle = self._c.reference_open(os.fsencode(stream.path))
        if not self._handle or not self._c.reference_usable(self._handle):
            raise RuntimeError(f"the C reader cannot use stream {channel!r}: no file, or no free semaphore")
        self._c.reference_arm(self._handle)

    def prepare(self, out: Array) -> None:
        self._out = out
        self._c.reference_arm(self._handle)

    def receive(self, timeout: float) -> int:
        call = getattr(self._c, self.call)
        return call(self._handle, self._out.ctypes.data, len(self._out), timeout)

    def latencies(self, count: int, timeout: float) -> Array:
        rows = np.zeros((count, 3), np.int64)
        self._c.reference_arm(self._handle)
        done = self._c.reference_latencies(self._handle, rows.ctypes.data, count, timeout, self._spin, None)
        return rows[:done]

    def close(self) -> None:
        if self._handle:
            self._c.reference_close(self._handle)
            self._handle = None


class SlotReader(LoopReader):
    """Sleeps on the semaphore, takes every slot behind the counter."""

    call = "reference_receive_ring"

    def told(self) -> int | None:
        return self._c.reference_lost(self._handle)

    def drain(self, out: Array) -> int:
        self._out = out
        return self.receive(1.0)


class CLoop(Peer):
    """A plain stream."""

    key = "c-loop"
    title = "C loop, plain stream"
    tasks = frozenset({"latency", "live", "busy"})
    waits = ("sleep", "spin")
    live_waits = ("sleep",)
    writer_class = StreamWriter
    reader_class = LoopReader

    def missing(self) -> str:
        return reference.missing()


class CRing(CLoop):
    """A stream with a fast ring."""

    key = "c-ring"
    title = "C loop, ring"
    ring = True
    tasks = frozenset({"live", "drain", "busy"})
    waits = ("sleep",)
    top_rate = 100_000.0
    writer_class = RingWriter
    reader_class = SlotReader


LOOP = CLoop()
RING = CRing()
