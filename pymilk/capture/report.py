"""`CaptureReport`: what a capture received, and how it came in."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field

import numpy as np

from .._core import FLAG_COUNTER_SET, FLAG_FROM_RING, FLAG_NEW_FILE, FLAG_TORN, FLAG_UNCERTAIN
from .._types import Array
from ..reports import LossReport, counter_set_rows, times_text, uncertain_text
from ..verdicts import gap_reasons, overwritten, published_rate

__all__ = ["CaptureReport", "spread"]


@dataclass(repr=False, eq=False)
class CaptureReport(LossReport):
    """What a capture received and what it missed.

    Parameters
    ----------
    stream, requested, repeated, duration
        See below.
    info : ndarray of FRAME_ROW
        The rows of the frames received.
    cpu_seconds : float
        Processor time of the receiving thread.

    Attributes
    ----------
    stream : str
    requested, received : int
        Frames.
    lost : int
        Frames that the writer published between the first wait and the last frame received, and that
        were overwritten before they could be copied. Exact by the counter of the stream.
    torn : int
        Frames that may hold pixels of two frames; flagged in `Capture.info`.
    uncertain : int
        Frames that are whole, but may be those with the next number: their writer posts and clears `write`
        before it counts, and stores no times. They are among `torn`.
    repeated : int
        Semaphore posts without a new frame, which were ignored; accurate to a few, because posts can be
        late. No frame is delivered twice. Known once the capture has ended.
    counter_set : int
        Times that another program set the counter forward. What was lost there is not known, and not in
        `lost`.
    new_files : int
        Times that the stream was replaced by a new file and followed.
    duration : float
        Seconds from arming to the last frame.
    rate : float
        Frames per second between the first and the last arrival; NaN below two frames.
    interval_us : dict
        Microseconds between arrivals: ``min``, ``p1``, ``p50``, ``p99``, ``max``; empty below two frames.
    latency_us : dict
        Microseconds from the writer's time stamp to the copy: ``p50``, ``p99``, ``max``; empty if the
        writer stores no times.
    wait_on : {"count", "post"}
        "post": each post was taken for a frame, and no frame is verified. `lost` are those whose post was
        seen; how many posts were left out at the cap of the semaphore is not known.
    cpu_share : float
        Processor time of the receiving thread as a share of `duration`.
    """

    stream: str
    requested: int
    info: InitVar[Array]
    received: int = field(init=False)
    lost: int = field(init=False)
    torn: int = field(init=False)
    uncertain: int = field(init=False)
    repeated: int
    counter_set: int = field(init=False)
    new_files: int = field(init=False)
    duration: float
    cpu_seconds: InitVar[float]
    wait_on: str = "count"
    cpu_share: float = field(init=False)
    rate: float = field(init=False, default=math.nan)
    interval_us: dict[str, float] = field(init=False, default_factory=dict)
    latency_us: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self, info: Array, cpu_seconds: float) -> None:
        flags = info["flags"]
        self._from_ring = bool(np.any(flags & FLAG_FROM_RING))
        behind = info[info["lost"] > 0]  # a copy: rows go on
        self._gaps = behind["lost"].astype(np.int64)
        ages = (behind["arrival_ns"] - behind["writetime_ns"]) / 1e3
        self._ages = np.where(behind["writetime_ns"] > 0, ages, np.nan)
        self.received = len(info)
        self.lost = int(info["lost"].sum())
        self.torn = int(np.count_nonzero(flags & FLAG_TORN))
        self.uncertain = int(np.count_nonzero(flags & FLAG_UNCERTAIN))
        self.counter_set = int(np.count_nonzero(flags & FLAG_COUNTER_SET))
        self.new_files = int(np.count_nonzero(flags & FLAG_NEW_FILE))
        self.cpu_share = cpu_seconds / self.duration if self.duration > 0 else 0.0
        if self.received > 1:
            arrival = info["arrival_ns"]
            self.rate = (self.received - 1) / max((int(arrival[-1]) - int(arrival[0])) / 1e9, 1e-9)
            self.interval_us = spread(np.diff(arrival) / 1e3, ("min", "p1", "p50", "p99", "max"))
        stamped = info[info["writetime_ns"] > 0]
        if len(stamped):
            delay = (stamped["arrival_ns"] - stamped["writetime_ns"]) / 1e3
            self.latency_us = spread(delay, ("p50", "p99", "max"))

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Capture of stream {self.stream!r}"

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        rows = [
            ("frames received", f"{self.received} of {self.requested}"),
            ("lost", str(self.lost)),
            ("torn", str(self.torn)),
            ("repeated posts ignored", str(self.repeated)),
            ("rate", f"{self.rate:.1f} frames/s"),
        ]
        if self.wait_on == "post":
            told = "none verified; those without a post, as at the cap of 10, are not counted"
            rows.append(("frames by posts", told))
        elif self.uncertain:
            rows.append(("number uncertain", uncertain_text(self.uncertain)))
        rows += counter_set_rows(self.counter_set)
        if self.new_files:
            rows.append(("new files followed", str(self.new_files)))
        if self.interval_us:
            rows.append(("interval, us", times_text(self.interval_us)))
        if self.latency_us:
            rows.append(("latency, us", times_text(self.latency_us)))
        rows.append(("duration", f"{self.duration:.3f} s"))
        rows.append(("processor", f"{self.cpu_share:.1%} of a core"))
        return rows

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do."""
        rate = published_rate(self.rate, self.received, self.lost)
        if self._from_ring:
            return overwritten(self._gaps, self._ages, rate)
        ring = "read from a ring, which keeps frames meanwhile: pymilk.RingReader, or pymilk record"
        return gap_reasons("The receiving thread", self._gaps, self._ages, rate, self.latency_us, ring)

    def __repr__(self) -> str:
        return (
            f"<CaptureReport {self.stream!r}: {self.received}/{self.requested} frames, "
            f"{self.lost} lost, {self.torn} torn>"
        )


def spread(values: Array, keys: tuple[str, ...]) -> dict[str, float]:
    """Return the named percentiles (p50, p99, ...), min and max of some values."""
    edges = {"min": 0.0, "max": 100.0}
    points = [edges[key] if key in edges else float(key[1:]) for key in keys]
    return {
        key: round(float(value), 3)
        for key, value in zip(keys, np.percentile(values, points), strict=True)
    }
