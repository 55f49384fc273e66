"""pymilk, a plain stream: one frame, a counter and semaphores."""

from __future__ import annotations

import contextlib

import pymilk
from pymilk._core import FLAG_TORN

from ..peer import DTYPE, Array, Peer, Reader, Writer

#: Nanoseconds that a waiting reader spins, where it is not left to pymilk.
SPIN_NS = {"sleep": 0, "spin": -1}


class StreamWriter(Writer):
    """`SHM.set_data`, and `Stream.publish_many` for series; of the ISIO peers all."""

    ring: str | None = None

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        options = {"ring": depth, "ring_kind": self.ring} if self.ring else {}
        self._shm = pymilk.SHM(channel, (shape, DTYPE), **options)
        self._stream = pymilk.Stream.attach(self._shm.FILEPATH)
        self.write = self._shm.set_data  # type: ignore[method-assign]

    def series(self, frames: Array, count: int, rate: float) -> None:
        self._stream.publish_many(frames, count, interval_ns=round(1e9 / rate) if rate else 0)

    def lap(self, frame: Array, count: int) -> None:
        super().lap(frame, count)
        self._stream.publish_many(frame[None], count)  # through the other mapping

    def close(self) -> None:
        self._stream.close()
        self._shm.destroy()


class CapturingReader(Reader):
    """Receives with `SHM.capture`."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._wait = wait
        self._shm = pymilk.SHM(channel)
        self._capture: pymilk.Capture | None = None

    def prepare(self, out: Array) -> None:
        self._count = len(out)
        self._capture = self._shm.capture(
            len(out), out, timeout=1.0, wait=self._wait, background=True
        )

    def receive(self, timeout: float) -> int:
        assert self._capture is not None
        with contextlib.suppress(pymilk.errors.StreamTimeoutError):  # it keeps what came
            self._capture.join()
        return self._capture.received

    def flags(self) -> Array | None:
        assert self._capture is not None
        return (self._capture.info["flags"] & FLAG_TORN) != 0

    def told(self) -> int | None:
        assert self._capture is not None
        return self._capture.report.lost

    def close(self) -> None:
        self._shm.close()


class StreamReader(CapturingReader):
    """`SHM.get_data`; `Reader.wait` where the way to wait is chosen."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        super().__init__(channel, shape, depth, wait)
        self.copy = self._shm.get_data  # type: ignore[method-assign]
        self._stream = pymilk.Stream.attach(self._shm.FILEPATH)
        self._pixels = self._stream.view()
        self._bell = self._stream.reader()
        self._seen = self._bell.arm()

    def view(self) -> Array:
        return self._shm.get_data(copy=False)

    def into(self, out: Array) -> None:
        self._shm.get_data(out=out)

    def next(self, timeout: float) -> Array | None:
        if self._wait == "auto":
            return self._shm.get_data(
                True, timeout, False, checkSemAndFlush=False, return_none_on_timeout=True
            )
        try:
            self._seen = self._bell.wait(timeout, after=self._seen, spin_ns=SPIN_NS[self._wait])
        except pymilk.errors.StreamTimeoutError:
            return None
        return self._pixels

    def published_ns(self) -> int:
        return self._stream.write_time_ns

    def close(self) -> None:
        self._bell.close()
        self._stream.close()
        super().close()


class PymilkStream(Peer):
    """A plain stream."""

    key = "pymilk"
    title = "pymilk, plain stream"
    package = "pymilk"
    waits = ("auto", "sleep", "spin")
    live_waits = ("auto", "sleep")
    writer_class = StreamWriter
    reader_class = StreamReader

    def version(self) -> str:
        return pymilk.__version__


PEER = PymilkStream()

