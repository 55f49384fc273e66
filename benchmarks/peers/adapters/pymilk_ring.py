"""pymilk, a stream with a fast ring."""

from __future__ import annotations

import pymilk

from ..peer import Array, Peer
from .pymilk_stream import CapturingReader, StreamWriter


class RingWriter(StreamWriter):
    """Publishes into the ring."""

    ring = "fast"


class RingReader(CapturingReader):
    """`ring_reader` for single frames and backlogs, `SHM.capture` for series."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        super().__init__(channel, shape, depth, wait)
        self._ring = self._shm.ring_reader(wait=wait)
        self._blocks = self._ring.blocks(1)
        self._timeout = 5.0  # of that
        self._block: pymilk.Block | None = None

    def view(self) -> Array:
        return self._ring.latest()

    def next(self, timeout: float) -> Array | None:
        if timeout != self._timeout:
            self._blocks, self._timeout = self._ring.blocks(1, timeout), timeout
        try:
            self._block = next(self._blocks)
        except pymilk.errors.StreamTimeoutError:
            self._timeout = -1.0  # a generator that has raised is at its end
            return None
        return self._block.frames[0]

    def published_ns(self) -> int:
        assert self._block is not None
        return int(self._block.info["writetime_ns"][0])

    def drain(self, out: Array) -> int:
        return self._ring.read(len(out), out=out, timeout=1.0).received

    def close(self) -> None:
        self._ring.close()
        super().close()


class PymilkRing(Peer):
    """A stream with a fast ring."""

    key = "pymilk-ring"
    title = "pymilk, ring"
    package = "pymilk"
    ring = True
    tasks = frozenset({"access", "latency", "live", "drain", "busy"})
    waits = ("auto", "sleep", "spin")
    live_waits = ("auto", "sleep")
    top_rate = 100_000.0
    writer_class = RingWriter
    reader_class = RingReader

    def version(self) -> str:
        return pymilk.__version__


PEER = PymilkRing()
