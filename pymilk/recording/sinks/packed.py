"""`Packed`: what was compressed, how small it got, and how fast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from ...reports import Report

__all__ = ["Packed"]


@dataclass(repr=False, eq=False)
class Packed(Report):
    """What was compressed. Its numbers grow during a recording.

    Attributes
    ----------
    frames_nbytes, stored_nbytes : int
        Bytes of pixels of the frames in files, and what they take there.
    nbytes, packed_nbytes : int
        Bytes that went into the codec, and came out. What was written before its chunk was full
        counts twice.
    seconds : float
        Processor time of the codec, of all threads together.
    unpacked : int
        Frames that were stored as they are, since the ring filled up.
    """

    frames_nbytes: int = 0
    stored_nbytes: int = 0
    nbytes: int = 0
    packed_nbytes: int = 0
    seconds: float = 0.0
    unpacked: int = 0

    @classmethod
    def together(cls, parts: Iterable[Packed | None]) -> Packed | None:
        """Return the sum of all; None: none of them was compressed."""
        there = [each for each in parts if each is not None]
        if not there:
            return None
        return cls(*(sum(getattr(each, field.name) for each in there) for field in fields(cls)))

    @property
    def ratio(self) -> float:
        """How many times larger the pixels are than what they take in files; NaN before the first chunk."""
        return self.frames_nbytes / self.stored_nbytes if self.stored_nbytes else math.nan

    @property
    def rate_in(self) -> float:
        """Bytes per second that one core took; NaN before the first chunk."""
        return self.nbytes / self.seconds if self.seconds else math.nan

    @property
    def rate_out(self) -> float:
        """Bytes per second that one core made; NaN before the first chunk."""
        return self.packed_nbytes / self.seconds if self.seconds else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes, and what follows from them, as plain Python values."""
        derived = {"ratio": self.ratio, "rate_in": self.rate_in, "rate_out": self.rate_out}
        return {
            **super().to_dict(),
            **{name: None if math.isnan(value) else value for name, value in derived.items()},
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of a report."""
        if not self.stored_nbytes:
            return [("compressed", "nothing yet")]
        rows = [("compressed", f"{self.stored_nbytes / 1e6:.1f} MB, ratio {self.ratio:.2f}")]
        if self.seconds:
            speed = f"{self.rate_in / 1e6:.0f} MB/s in, {self.rate_out / 1e6:.0f} MB/s out, on one core"
            rows.append(("codec", speed))
        if self.unpacked:
            rows.append(("not compressed", f"{self.unpacked} frames, since the ring filled up"))
        return rows
