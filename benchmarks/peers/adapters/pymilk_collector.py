"""pymilk, a plain stream through a collector: a ring in the process of the reader."""

from __future__ import annotations

import pymilk
from pymilk._core import FLAG_TORN

from ..peer import Array, Peer, Reader
from .pymilk_stream import StreamWriter


class CollectorReader(Reader):
    """Receives with `RingReader.read`."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._shm = pymilk.SHM(channel)
        self._ring = self._shm.ring_reader(depth=depth, wait=wait, source="collector")
        self._got: pymilk.Capture | None = None

    def prepare(self, out: Array) -> None:
        self._out = out
        self._ring.skip(self._ring.lag)

    def receive(self, timeout: float) -> int:
        try:
            self._got = self._ring.read(len(self._out), out=self._out, timeout=timeout)
        except pymilk.errors.StreamTimeoutError as error:
            self._got = error.capture
        assert self._got is not None
        return self._got.received

    def flags(self) -> Array | None:
        assert self._got is not None
        return (self._got.info["flags"] & FLAG_TORN) != 0

    def told(self) -> int | None:
        assert self._got is not None
        return self._got.report.lost

    def close(self) -> None:
        self._ring.close()
        self._shm.close()


class PymilkCollector(Peer):
    """A plain stream through a collector."""

    key = "pymilk-collector"
    title = "pymilk, collector"
    package = "pymilk"
    tasks = frozenset({"live", "busy"})
    waits = ("auto",)
    live_waits = ("auto",)
    writer_class = StreamWriter
    reader_class = CollectorReader

    def version(self) -> str:
        return pymilk.__version__


PEER = PymilkCollector()
