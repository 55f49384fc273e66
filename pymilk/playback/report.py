"""`PlayReport`: what was played, and how punctually."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._types import Array
from ..capture import spread
from ..reports import Report, ending_text, times_text

__all__ = ["PlayReport", "Timing"]

#: Frames whose times percentiles are taken from: the last ones, so that a loop can go on for weeks.
_REMEMBERED = 1 << 20


@dataclass(kw_only=True, repr=False, eq=False)
class PlayReport(Report):
    """How a player has published its frames so far.

    Attributes
    ----------
    stream, source : str
    requested_rate : float or None
        Frames per second; 0: as fast as possible; None: at the times of the recording.
    published : int
        Frames.
    loops : int
        Times that the last frame was reached.
    duration : float
        Seconds from the first frame to the last.
    rate : float
        Frames per second reached in that time; NaN below two frames.
    late_us : dict
        Microseconds from when a frame was due until it was published: ``p50``, ``p99``, ``max``. That
        includes the time to write it. Empty if nothing was waited for.
    jitter_us : dict
        Microseconds by which intervals between frames differ from those wanted: ``rms`` of all, and ``p99``
        of their sizes. Empty if nothing was waited for, and below two frames.
    shifted : float
        Seconds that the timetable was moved back altogether, where frames were late by more than an
        interval: nothing was published in a burst to make up for it.
    starved : int
        Frames that had not been read yet when they were due: the disk, or decoding, is too slow.
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
    """Times of the frames that were published, summed up."""

    def __init__(self) -> None:
        self.frames = 0
        self.first = self.last = self.last_due = 0
        self.latest = 0
        self.squares = 0.0
        self.shifted = 0
        # The last ones, round and round.
        self._late = np.empty(_REMEMBERED, np.float32)
        self._off = np.empty(_REMEMBERED, np.float32)

    def add(self, dues: Array, moments: Array, steps: Array | None) -> None:
        """Take the times of the next frames; `steps` are those that were wanted before each, if any were."""
        if self.frames == 0:
            self.first = self.last = int(moments[0])
            self.last_due = int(dues[0])
        if steps is not None:
            late = moments - dues
            self.latest = max(self.latest, int(late.max()))
            off = np.diff(moments, prepend=self.last) - steps
            shifts = np.diff(dues, prepend=self.last_due) - steps
            if self.frames == 0:  # there was no interval before it
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
