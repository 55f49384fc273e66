"""`PlayReport`: the account of a player, and the times of its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._types import Array
from ..capture import spread
from ..reports import Report, ending_text, times_text

__all__ = ["PlayReport", "Timing"]

#: Number of last frames that percentiles are computed from, so that memory is bounded.
_REMEMBERED = 1 << 20


@dataclass(kw_only=True, repr=False, eq=False)
class PlayReport(Report):
    """The account of a player.

    Attributes
    ----------
    stream, source : str
    requested_rate : float or None
        Frames per second; 0: as fast as possible; None: at the times of the recording.
    published : int
        Frames.
    loops : int
        Number of times that the last frame was published.
    duration : float
        Seconds from the first frame to the last.
    rate : float
        Frames per second reached in that time; NaN below two frames.
    late_us : dict
        Microseconds from when a frame was due until it was published, including the time to write it:
        ``p50``, ``p99``, ``max``. Empty without pacing.
    jitter_us : dict
        Microseconds by which intervals between frames differ from those wanted: ``rms``, and ``p99`` of the
        absolute values. Empty without pacing, and below two frames.
    shifted : float
        Total seconds by which later frames were delayed because a frame was late by more than an interval:
        delays are not made up for in bursts.
    starved : int
        Frames that were not read yet when they were due: the disk, or decoding, is too slow.
    ended : str
        "running", "complete", "stopped" or "error".
    error : str or None
        Message of what ended it.
    """

    stream: str
    source: str
    requested_rate: float | None
    published: int
    loops: int
    duration: float
    rate: float
    late_us: dict[str, float]
    jitter_us: dict[str, float]
    shifted: float
    starved: int
    ended: str
    error: str | None

    def title(self) -> str:
        """Return the line above the rows."""
        return f"{self.source} played as stream {self.stream!r}"

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        wanted = "at the times of the recording"
        if self.requested_rate is not None:
            asked = f"{self.requested_rate:g} frames/s asked for"
            wanted = asked if self.requested_rate else "as fast as possible"
        rows = [
            ("frames published", f"{self.published}{f', {self.loops} loops' if self.loops > 1 else ''}"),
            ("rate", f"{self.rate:.2f} frames/s, {wanted}"),
        ]
        for label, found in (("jitter, us", self.jitter_us), ("late, us", self.late_us)):
            if found:
                rows.append((label, times_text(found)))
        if self.shifted:
            rows.append(("timetable shifted", f"{self.shifted * 1e3:.3f} ms"))
        if self.starved:
            rows.append(("not read in time", f"{self.starved} frames"))
        rows.append(("duration", f"{self.duration:.3f} s"))
        rows.append(("ended", ending_text(self.ended, self.error)))
        return rows

    def __repr__(self) -> str:
        return f"<PlayReport {self.stream!r}: {self.published} frames, {self.ended}>"


class Timing:
    """Statistics of the times of published frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.first = self.last = self.last_due = 0
        self.latest = 0
        self.squares = 0.0
        self.shifted = 0
        # Circular buffers of the last frames.
        self._late = np.empty(_REMEMBERED, np.float32)
        self._off = np.empty(_REMEMBERED, np.float32)

    def add(self, dues: Array, moments: Array, steps: Array | None) -> None:
        """Add the times of the next frames; `steps` are the wanted intervals before each, if any."""
        if self.frames == 0:
            self.first = self.last = int(moments[0])
            self.last_due = int(dues[0])
        if steps is not None:
            late = moments - dues
            self.latest = max(self.latest, int(late.max()))
            off = np.diff(moments, prepend=self.last) - steps
            shifts = np.diff(dues, prepend=self.last_due) - steps
            if self.frames == 0:  # the first frame has no interval before it
                off[0] = shifts[0] = 0
            self.squares += float((off.astype(np.float64) ** 2).sum())
            self.shifted += int(shifts.sum())
            at = np.arange(self.frames, self.frames + len(late)) % _REMEMBERED
            self._late[at] = late
            self._off[at] = np.abs(off)
        self.frames += len(moments)
        self.last = int(moments[-1])
        self.last_due = int(dues[-1])

    def percentiles(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return how late frames were, and how far intervals were off, in microseconds."""
        if self.frames == 0:
            return {}, {}
        late = spread(self._late[: self.frames] / 1e3, ("p50", "p99"))
        late["max"] = round(self.latest / 1e3, 3)
        if self.frames == 1:
            return late, {}
        off = self._off[: self.frames] if self.frames > _REMEMBERED else self._off[1 : self.frames]
        rms = math.sqrt(self.squares / (self.frames - 1)) / 1e3
        return late, {"rms": round(rms, 3), **spread(off / 1e3, ("p99",))}
