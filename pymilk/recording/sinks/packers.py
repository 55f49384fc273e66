"""`Packers`: threads that pack full chunks of frames while the next ones are collected.

The thread of a recorder hands a chunk over, collects the next one in other memory, and takes packed chunks in
the order in which it gave them; it alone writes files. Codecs release the GIL. There is a bounded number of
chunks. A chunk that no thread has begun can be taken back, to be written as it is.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..._types import Array
from ...system.latch import Latch
from ...system.threads import start_thread
from .packed import Packed
from .packing import Encode
from .staging import Staging

__all__ = ["Packers", "Piece"]

#: Most threads of a file. One packs about 1 GB/s with the fast codec.
_MOST_THREADS = 4

#: Seconds between two looks whether a thread is left, while a chunk is waited for.
_LOOK_SECONDS = 0.5


class Piece:
    """A chunk on its way.

    Attributes
    ----------
    staging : Staging
        With its frames and their rows; the first `first` frames are in the file already.
    frames : ndarray
        Those of `staging` that are packed.
    content : buffer or None
        Packed; None: as it is.
    """

    def __init__(self, staging: Staging, first: int, frames: Array) -> None:
        self.staging, self.first, self.frames = staging, first, frames
        self.content: Any = None
        self.seconds = 0.0
        self.error: BaseException | None = None
        self.done = Latch()

    def pack(self, encode: Encode) -> None:
        """Pack it, in any thread. If there is no memory for that, it stays as it is."""
        began = time.thread_time()
        try:
            self.content = encode(self.frames)
        except MemoryError:
            pass
        except BaseException as error:  # noqa: BLE001 (for the thread that takes it)
            self.error = error
        finally:
            self.seconds = time.thread_time() - began
            self.done.set()


class Packers:
    """Threads that pack chunks, in order.

    Parameters
    ----------
    encode : callable
        Packs an array.
    another : callable
        Makes memory for one more chunk.

    Raises
    ------
    StreamStorageError
        There are no threads.
    """

    def __init__(self, encode: Encode, another: Callable[[], Staging]) -> None:
        count = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0)) - 1))
        self.account = Packed()
        self._todo: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._pending: deque[Piece] = deque()
        # Beside the one that is being filled: one for each thread, and one that waits.
        self._free = [another() for _ in range(count + 1)]
        self._threads: list[threading.Thread] = []
        try:
            for _ in range(count):
                # Its arguments are all that it knows, so that it keeps no file alive.
                thread = threading.Thread(
                    target=_work, args=(self._todo, encode), name="pymilk-pack", daemon=True
                )
                start_thread(thread)
                self._threads.append(thread)
        except BaseException:
            self.close()
            raise

    def put(self, piece: Piece, pack: bool = True) -> None:
        """Hand a chunk over; without `pack` it stays as it is, and so do those that nobody has begun."""
        self._pending.append(piece)
        if pack:
            self._todo.put(piece)
            return
        piece.done.set()
        self.take_back()

    def take_back(self) -> None:
        """Have the chunks that no thread has begun stay as they are."""
        with contextlib.suppress(queue.Empty):
            while (piece := self._todo.get_nowait()) is not None:
                piece.done.set()

    def next(self, wait: bool) -> Piece | None:
        """Return the oldest chunk, or None: there is none, or it is not packed yet.

        Parameters
        ----------
        wait : bool
            Wait until it is packed.
        """
        if not self._pending:
            return None
        piece = self._pending[0]
        if wait:
            self._await(piece)
        if not piece.done.is_set():
            return None
        self._pending.popleft()
        if piece.error is not None:
            raise piece.error
        if piece.content is not None:
            self.account.nbytes += piece.frames.nbytes
            self.account.packed_nbytes += len(piece.content)
            self.account.seconds += piece.seconds
        return piece

    def memory(self) -> Staging | None:
        """Return free memory for a chunk, if there is some."""
        return self._free.pop() if self._free else None

    def give_back(self, staging: Staging) -> None:
        """Free the memory of a chunk."""
        staging.used = 0
        self._free.append(staging)

    def drop(self) -> None:
        """Forget all chunks."""
        self.take_back()
        for piece in self._pending:
            self._await(piece)
        self._pending.clear()

    def _await(self, piece: Piece) -> None:
        """Wait until a chunk is packed; where no thread is left that could do it, it stays as it is."""
        while not piece.done.wait(_LOOK_SECONDS):
            if not any(each.is_alive() for each in self._threads):
                self.take_back()
                piece.done.set()

    def close(self) -> None:
        """End the threads, once."""
        if self._threads:
            self.drop()
        for _ in self._threads:
            self._todo.put(None)
        self._threads.clear()


def _work(todo: queue.SimpleQueue[Piece | None], encode: Encode) -> None:
    while (piece := todo.get()) is not None:
        piece.pack(encode)
        del piece  # its memory is not kept while there is nothing to do
