"""The stream that a receiver publishes in: an ordinary one with a ring."""

from __future__ import annotations

import contextlib
import hashlib
import math

import numpy as np

from .._core import Keyword, Stream
from .._types import Array
from ..arguments import FORCED, Replace, said_as
from ..errors import StreamError, StreamNotFoundError, StreamReplacedError
from ..times import now_ns
from .account import Arrival
from .header import Epoch, Message

__all__ = ["EPOCH", "OFFSET", "Target"]

#: Keywords that say which file of the source frames are from, and what to take from a counter for that of the
#: source.
EPOCH, OFFSET = "PMBREPO", "PMBROFF"

#: Default depth of the ring: as many frames as fit into these bytes, within limits.
_RING_NBYTES, _RING_DEPTH = 256 << 20, (16, 4096)

class Target:
    """A stream that is like that of the source, and goes on where an earlier receiver was killed.

    Parameters
    ----------
    name : str
    message : Message
        Says what the stream is like.
    ring : int, optional
        Its slots. Default: what fits into 256 MiB, but 16 to 4096.
    replace : Replace
        See `Stream.create`.

    Attributes
    ----------
    known : int or None
        Counter at the source of the last frame that an earlier receiver published; None if there was none, or
        it was from another file.

    Raises
    ------
    StreamError
        As `Stream.create`.
    """

    def __init__(self, name: str, message: Message, ring: int | None, replace: Replace) -> None:
        self.shape, self.dtype = message.shape, message.dtype
        least, most = _RING_DEPTH
        frame_nbytes = math.prod(self.shape) * self.dtype.itemsize
        depth = ring or max(least, min(most, _RING_NBYTES // frame_nbytes))
        self._words: list[Keyword] = []
        self._told: tuple[Epoch, int] | None = None
        self._slots = message.slots + 2
        self.known: int | None = None
        found = self._left_over(name, message, depth)
        if found is not None:
            self.stream = found
            return
        with said_as(FORCED):
            self.stream = Stream.create(
                name, self.shape, self.dtype, nbkw=self._slots, cb_size=depth, exclusive=True, replace=replace
            )

    def _left_over(self, name: str, message: Message, depth: int) -> Stream | None:
        """Return the stream of a receiver that was killed, if the same frames belong into it."""
        try:
            old = Stream.attach(name, exclusive=True)
        except StreamError:
            return None  # none, or in use: creating it says so
        words = {word.name: word.value for word in old.read_keywords()}
        offset = words.get(OFFSET)
        same = (old.frame_shape, old.dtype, old.cb_size, old.nbkw) == (
            self.shape, self.dtype, depth, self._slots
        )  # fmt: skip
        if not same or not isinstance(offset, int) or words.get(EPOCH) != _short(message.epoch):
            old.close()
            return None
        self.known = old.counter - offset
        return old

    def fits(self, message: Message) -> bool:
        """Tell whether the frames of a message belong into this stream."""
        wanted = (message.shape, message.dtype, message.slots + 2)
        return wanted == (self.shape, self.dtype, self._slots) and not self.stream.damaged

    def publish(self, message: Message, arrival: Arrival) -> Array:
        """Publish the new frames of a message; returns the counter of each.

        Frames that are missing leave a gap in the counters. The first frame of a new file has the counter
        that it has at the source.
        """
        rows, frames = message.rows[arrival.first :], message.frames[arrival.first :]
        lost = rows["lost"].astype(np.int64)
        lost[0] = arrival.lost if self.stream.counter else int(rows[0]["cnt0"]) - 1
        times = np.where(rows["atime_ns"] > 0, rows["atime_ns"], now_ns())
        counters = self.stream.counter + np.cumsum(lost + 1)
        # Before the frames: who finds the counter finds what to take from it.
        self._tell(message.epoch, int(counters[-1]) - int(rows[-1]["cnt0"]))
        begins = [*(np.flatnonzero(lost[1:]) + 1).tolist(), len(rows)]
        first = 0
        for end in begins:
            self._run(frames[first:end], times[first:end], max(0, int(lost[first])))
            first = end
        return counters

    def _run(self, frames: Array, times: Array, missed: int) -> None:
        """Publish frames of which none is missing but before the first."""
        if missed:
            with self.stream.claim(atime_ns=int(times[0]), missed=missed) as pixels:
                pixels[...] = frames[0]
            frames, times = frames[1:], times[1:]
        if len(frames):
            self.stream.publish_many(frames, atimes_ns=times)

    def keep(self, words: list[Keyword]) -> None:
        """Store the keywords of the source."""
        if words != self._words:
            before, self._words = self._words, words
            try:
                self._write()
            except StreamError:
                self._words = before  # they are written again with frames
                raise

    def _tell(self, epoch: Epoch, offset: int) -> None:
        if self._told != (epoch, offset):
            self._told = (epoch, offset)
            self._write()

    def _write(self) -> None:
        own = []
        if self._told is not None:
            epoch, offset = self._told
            own = [
                Keyword(EPOCH, _short(epoch), "bridge: file of the source"),
                Keyword(OFFSET, offset, "bridge: counter here less that at the source"),
            ]
        names = (EPOCH, OFFSET)
        self.stream.write_keywords([*(each for each in self._words if each.name not in names), *own])

    def lose(self) -> bool:
        """Tell whether the file was deleted or replaced by another program."""
        return self.stream.deleted or self.stream.replaced()

    def close(self, *, delete: bool) -> None:
        """Close it; delete the file unless another one has taken its place."""
        try:
            if delete:
                with contextlib.suppress(StreamNotFoundError, StreamReplacedError):
                    self.stream.destroy()
        finally:
            self.stream.close()


def _short(epoch: Epoch) -> str:
    """Return 15 letters that no other epoch is likely to have: what fits into a keyword."""
    return hashlib.sha256(repr(tuple(epoch)).encode()).hexdigest()[:15]
