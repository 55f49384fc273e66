"""`Block`: frames of a ring, in place; `RingReport`: the account of a reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import RingCursor
from .._types import Array
from ..arraylike import ArrayLike
from ..errors import StreamClosedError
from ..reports import LossReport, counter_set_text, uncertain_text
from ..system.single import Single
from ..verdicts import ring_reasons

if TYPE_CHECKING:
    from .reader import RingReader

__all__ = ["Block", "RingReport"]


class Block(Single, ArrayLike):
    """Unread frames that lie side by side in a ring, in place.

    An array of shape (k, *shape): ``numpy.asarray(block)``, DLPack, indices and iteration give views of
    `frames`, which hold what the writer left there: see `intact`. A library that cannot take read-only memory
    through DLPack gets a copy.

    Attributes
    ----------
    frames : ndarray, shape (k, *shape)
        Read-only view of the ring, oriented as the user sees frames. The memory stays valid forever; it
        holds these frames until the writer overwrites them: see `intact`.
    info : ndarray of FRAME_ROW, shape (k,)
        A copy of the rows. For a ring in shared memory ``arrival_ns`` is when the frame was found there.
    """

    _single = "its frames are views of a ring; numpy.array copies them"

    __slots__ = ("_cursor", "_first", "_owner", "frames", "info")

    def __init__(
        self, owner: RingReader, cursor: RingCursor, first: int, frames: Array, info: Array
    ) -> None:
        self._owner = owner
        self._cursor = cursor
        self._first = first
        self.frames = frames
        self.info = info

    @property
    def overwritten(self) -> int:
        """Number of frames, from the first on, that may have been overwritten.

        Raises
        ------
        StreamClosedError
            The ring reader was closed.
        """
        if self._owner.closed:
            numbers = f"{self.info['cnt0'][0]} to {self.info['cnt0'][-1]}" if len(self) else "none"
            raise StreamClosedError(
                f"stream {self._cursor.name!r}: the ring reader of this block (frames {numbers}) is closed, "
                "so it is not known whether they are intact; check before. Their memory stays valid",
                stream=self._cursor.name,
            )
        return self._cursor.overwritten(self._first, len(self.info))

    def intact(self) -> bool:
        """Return whether no frame was overwritten: call it after the frames were used.

        False from the moment on that the writer may overwrite the first one. Takes about 0.3 us.

        Raises
        ------
        StreamClosedError
            The ring reader was closed.
        """
        return self.overwritten == 0

    def unread(self) -> None:
        """Mark the frames as unread again, if none was read since: for a block that is not handed over."""
        self._cursor.take_back(self._first + len(self.info))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `frames`: (k, *shape)."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.frames.dtype

    def _as_array(self, copy: bool | None) -> Array:
        return self.frames.copy() if copy else self.frames

    def __getitem__(self, key: Any) -> Any:
        """Return ``frames[key]``, as of an array."""
        return self.frames[key]

    def __iter__(self) -> Iterator[tuple[Array, np.void]]:
        """Go through (frame, row): views of `frames` and `info`."""
        return zip(self.frames, self.info, strict=True)

    def __len__(self) -> int:
        return len(self.info)

    def __repr__(self) -> str:
        numbers = (
            f" {self.info['cnt0'][0]} to {self.info['cnt0'][-1]}" if len(self) else ""
        )
        return f"<Block of {len(self)} frames{numbers} of {self._cursor.name!r}>"


@dataclass(kw_only=True, repr=False, eq=False)
class RingReport(LossReport):
    """The account of a ring reader: frames delivered, lost and skipped.

    Attributes
    ----------
    stream, source, policy : str
    depth : int
        Slots of the ring; of a collector, frames that it keeps.
    received : int
        Frames delivered, each counted once.
    lost : int
        Frames published since the start and not delivered: overwritten, or not copied in time by the
        collector. Those found missing so far.
    skipped : int
        Frames left out on request: by the policy "newest", by `RingReader.skip` and `RingReader.rewind`.
    counter_set : int
        Times that another program set the counter forward. What was lost there is not known, and not in
        `lost`.
    uncertain : int
        Frames put into the ring by the collector that may be those with the next number, read or not. Rows
        that were read before this was seen have no `FLAG_UNCERTAIN`: `unflagged`.
    unflagged : int
        Frames among these that were delivered without that flag, in blocks or by reads that had ended.
    lag : int
        Frames waiting to be read.
    new_files : int
        Times that the stream was replaced by a new file and followed by the reader.
    duration : float
        Seconds since the reader was made.
    cpu_share : float
        Processor time of the collector's thread as a share of `duration`; 0 for other sources.
    """

    stream: str
    source: str
    policy: str
    depth: int
    received: int
    lost: int
    skipped: int
    counter_set: int = 0
    uncertain: int = 0
    unflagged: int = 0
    lag: int
    new_files: int
    duration: float
    cpu_share: float

    def __str__(self) -> str:
        return self.told(
            f"Ring of stream {self.stream!r} ({self.source}, depth {self.depth}): {self.received} received, "
            f"{self.lost} lost, {self.skipped} skipped, {self.lag} waiting, {self.duration:.3f} s"
            + (f", collector {self.cpu_share:.1%} of a core" if self.source == "collector" else "")
            + (f"; {counter_set_text(self.counter_set)}" if self.counter_set else "")
            + (f"; number uncertain {uncertain_text(self.uncertain)}" if self.uncertain else "")
            + (f"; {self.unflagged} of them were delivered before this was seen, without a flag"
               if self.unflagged else "")
        )

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do."""
        rate = (self.received + self.lost + self.skipped + self.lag) / self.duration if self.duration else 0.0
        return ring_reasons(self.source, self.lost, rate, self.depth)

    def __repr__(self) -> str:
        return f"<RingReport {self.stream!r}: {self.received} received, {self.lost} lost>"
