"""The second process: creates, and publishes when it is told to."""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from pymilk.times import now_ns

from .adapters import PEERS
from .peer import DTYPE, Array, Closing, Peer

#: Different frames of live capture: every pixel of frame k is k modulo this.
STAMPS = 1024

#: Seconds from the order to publish to the first frame, for readers that cannot be armed before.
LEAD = 0.05

_numbers = itertools.count()


def stamped(shape: tuple[int, int]) -> Array:
    """Return the frames of live capture."""
    return np.repeat(np.arange(STAMPS, dtype=DTYPE), math.prod(shape)).reshape(STAMPS, *shape)


def serve(
    key: str, channel: Any, shape: tuple[int, int], depth: int, wait: str, cpu: int, pipe: Connection
) -> None:
    """Run the writer of a peer; the target of the process.

    Orders are tuples: ``("listen",)``, ``("lap", count)``, ``("series", count, rate)``,
    ``("stamps", count, rate)``. Each is answered; series and stamps a second time at their end, series with
    the seconds that they took.
    """
    os.sched_setaffinity(0, {cpu})
    with PEERS[key].writer(channel, shape, depth, wait) as writer:
        frames: Array | None = None
        pipe.send(None)
        while (order := pipe.recv()) is not None:
            match order:
                case ("listen",):
                    writer.listen()
                    pipe.send(None)
                case ("lap", count):
                    writer.lap(np.zeros(shape, DTYPE), count)
                    pipe.send(None)
                case ("series", count, rate):
                    if frames is None:
                        frames = stamped(shape)
                    pipe.send(None)
                    time.sleep(LEAD)
                    began = time.perf_counter()
                    writer.series(frames, count, rate)
                    pipe.send(time.perf_counter() - began)
                case ("stamps", count, rate):
                    pipe.send(None)
                    time.sleep(LEAD)
                    timed(writer, shape, count, rate)
                    pipe.send(None)
        # The answer comes before the end: the reader may still be looking at the last frame.
    pipe.close()


def timed(writer: Any, shape: tuple[int, int], count: int, rate: float) -> None:
    """Publish frames one by one that say in their first 8 bytes when `write` was called."""
    frame = np.zeros(shape, DTYPE)
    stamp = frame.reshape(-1)[:4].view(np.int64)
    interval = round(1e9 / rate)
    due = now_ns() + interval
    for _ in range(count):
        time.sleep(max(0, due - now_ns() - 150_000) / 1e9)
        while now_ns() < due:
            time.sleep(0)
        stamp[0] = now_ns()
        writer.write(frame)
        due = max(due + interval, now_ns())


class Second(Closing):
    """The process, seen from the first one.

    Parameters
    ----------
    peer : Peer
    shape : (int, int)
        Of a frame.
    depth : int
        Frames that a ring or a queue may hold.
    wait : str
        One of the peer's ways to wait.
    cpu : int
        Where it runs.

    Attributes
    ----------
    channel : object
        For `Peer.reader`.
    """

    def __init__(self, peer: Peer, shape: tuple[int, int], depth: int, wait: str, cpu: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._peer = peer
        self.channel = peer.channel(unique(), shape, depth)
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(
            target=serve, args=(peer.key, self.channel, shape, depth, wait, cpu, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self.hear()
        except BaseException:
            self.close()
            raise

    def tell(self, *order: Any) -> None:
        """Give an order, and wait until it was understood."""
        self._pipe.send(order)
        self.hear()

    def hear(self) -> Any:
        """Wait for an answer."""
        if not self._pipe.poll(60):
            raise RuntimeError(f"{self._peer.title}: the writer does not answer")
        try:
            return self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self._peer.title}: the writer ended; its message is above") from None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._pipe.send(None)
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._peer.discard(self.channel)


def unique() -> str:
    """Return a name that nobody else uses."""
    return f"peers{os.getpid()}x{next(_numbers)}"
