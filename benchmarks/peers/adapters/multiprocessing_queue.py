"""`multiprocessing.Queue`: frames are pickled and sent through a pipe by a thread of the writer."""

from __future__ import annotations

import multiprocessing
import queue
from typing import Any

from ..peer import Array, Peer, Reader, Writer


class QueueWriter(Writer):
    """`put`, which hands the frame to the thread: what is timed is not all of the work."""

    def __init__(self, channel: Any, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._queue = channel

    def write(self, frame: Array) -> None:
        # The thread pickles later: a frame that the caller changes meanwhile would be sent changed.
        self._queue.put(frame.copy())

    def close(self) -> None:
        self._queue.cancel_join_thread()  # frames that nobody wants any more must not hold up the end


class QueueReader(Reader):
    """`get`."""

    def __init__(self, channel: Any, shape: tuple[int, int], depth: int, wait: str) -> None:
        self._queue = channel

    def copy(self) -> Array:
        return self._queue.get(True, 10)

    def next(self, timeout: float) -> Array | None:
        try:
            return self._queue.get(True, timeout)
        except queue.Empty:
            return None


class MultiprocessingQueue(Peer):
    """The queue; it is bounded, so that a slow reader holds up the writer."""

    key = "multiprocessing-queue"
    title = "multiprocessing.Queue"
    queue = True
    writer_class = QueueWriter
    reader_class = QueueReader

    def channel(self, name: str, shape: tuple[int, int], depth: int) -> Any:
        return multiprocessing.get_context("spawn").Queue(depth)

    def discard(self, channel: Any) -> None:
        channel.close()
        channel.cancel_join_thread()


PEER = MultiprocessingQueue()
