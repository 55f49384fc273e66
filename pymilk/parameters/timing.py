"""Rate and jitter of a loop, from the ring of start and end times in its file."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .process_file import MappedFile
from .process_layout import TIMER_SLOTS, Field

__all__ = ["Timing", "read_timing"]

#: Looks at a ring that moves on while it is copied. A loop needs 100 iterations to overwrite all of it.
_TRIES = 4


class Timing:
    """Start and end times of the last iterations of a loop, up to 100 of them.

    Attributes
    ----------
    starts_ns, ends_ns : ndarray of int64, shape (n,)
        Nanoseconds of CLOCK_TAI, oldest first. An end is 0 where the iteration is not finished.
    """

    def __init__(self, starts_ns: npt.NDArray[np.int64], ends_ns: npt.NDArray[np.int64]) -> None:
        self.starts_ns, self.ends_ns = starts_ns, ends_ns

    def __len__(self) -> int:
        return len(self.starts_ns)

    def __repr__(self) -> str:
        rate = "unknown" if self.rate is None else f"{self.rate:.6g} Hz"
        return f"<Timing of {len(self)} iterations, rate {rate}>"

    @property
    def periods_ns(self) -> npt.NDArray[np.int64]:
        """Times from start to start, shape (n - 1,)."""
        return np.diff(self.starts_ns)

    @property
    def durations_ns(self) -> npt.NDArray[np.int64]:
        """Times from start to end of the iterations that are finished."""
        done = self.ends_ns >= self.starts_ns
        return (self.ends_ns - self.starts_ns)[done]

    @property
    def rate(self) -> float | None:
        """Iterations per second on average; None for fewer than two."""
        if len(self) < 2:
            return None
        span = int(self.starts_ns[-1] - self.starts_ns[0])
        return (len(self) - 1) / (span / 1e9) if span > 0 else None

    @property
    def jitter(self) -> float | None:
        """Standard deviation of the period, in seconds; None for fewer than two periods."""
        return float(np.std(self.periods_ns)) / 1e9 if len(self) > 2 else None

    @property
    def period_max(self) -> float | None:
        """Longest period, in seconds."""
        return float(self.periods_ns.max()) / 1e9 if len(self) > 1 else None

    @property
    def duration(self) -> float | None:
        """Median time from start to end, in seconds."""
        durations = self.durations_ns
        return float(np.median(durations)) / 1e9 if len(durations) else None

    @property
    def last_start_ns(self) -> int | None:
        """Start of the newest iteration, nanoseconds of CLOCK_TAI."""
        return int(self.starts_ns[-1]) if len(self) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, times in seconds."""
        return {
            "iterations": len(self),
            "rate": self.rate,
            "jitter": self.jitter,
            "period_max": self.period_max,
            "duration": self.duration,
            "last_start_ns": self.last_start_ns,
        }


def _stamps(content: bytes) -> npt.NDArray[np.int64]:
    """Turn an array of timespec into nanoseconds; impossible ones become 0."""
    pairs = np.frombuffer(content, "<i8").reshape(-1, 2)
    seconds, rest = pairs[:, 0], pairs[:, 1]
    sane = (seconds > 0) & (seconds < 9_000_000_000) & (rest >= 0) & (rest < 1_000_000_000)
    return np.where(sane, np.where(sane, seconds, 0) * 1_000_000_000 + rest, 0)


def read_timing(file: MappedFile, fields: Mapping[str, Field]) -> Timing:
    """Read the ring of times.

    Notes
    -----
    The owner writes without a lock. The ring is copied until its index did not move meanwhile, four times at
    most; a fast loop may then have overwritten the oldest entries, and what does not ascend is left out.
    """
    index_at, wraps_at = fields["timerindex"].offset, fields["timingbuffercnt"].offset
    for _ in range(_TRIES):
        index, wraps = struct.unpack("<ii", file.get(index_at, 4) + file.get(wraps_at, 4))
        starts = _stamps(file.get(fields["texecstart"].offset, fields["texecstart"].nbytes))
        ends = _stamps(file.get(fields["texecend"].offset, fields["texecend"].nbytes))
        if file.get(index_at, 4) == struct.pack("<i", index):
            break
    if not 0 <= index < TIMER_SLOTS:  # no ring of ours or of milk
        return Timing(starts[:0], ends[:0])
    # The first iteration is in slot 1, and slot 0 is used once the ring has come round.
    if wraps <= 0:
        order = np.arange(1, index + 1)
    else:
        order = np.arange(index + 1, index + 1 + TIMER_SLOTS) % TIMER_SLOTS
    starts, ends = starts[order], ends[order]
    starts, ends = starts[starts > 0], ends[starts > 0]
    descends = np.flatnonzero(np.diff(starts) < 0)
    if len(descends):
        starts, ends = starts[descends[-1] + 1 :], ends[descends[-1] + 1 :]
    return Timing(starts, ends)
