"""`StreamReport` and `RecordReport`: what was recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..reports import LossReport, counter_set_rows, ending_text, uncertain_text
from ..verdicts import published_rate, ring_reasons
from .sinks.packed import Packed

__all__ = ["RecordReport", "StreamReport"]

#: Share of the ring from which on it is taken to have been full: its fill is looked at now and then only.
_FULL = 0.95


@dataclass(kw_only=True, repr=False, eq=False)
class StreamReport(LossReport):
    """What was recorded of one stream.

    Attributes
    ----------
    stream : str
    paths : list of str
        The files, in order. None with `force` as long as no frame has come: the old ones are still there.
    requested : int or None
        Frames asked for.
    recorded : int
        Frames in the files.
    lost : int
        Frames that the writer published between those recorded and that are in no file. Exact by the
        counter of the stream.
    torn : int
        Frames that may hold pixels of two frames; flagged in their rows.
    uncertain : int
        Frames that are whole, but may be those with the next number: their writer posts and clears `write`
        before it counts, and stores no times. They are among `torn`.
    unwritten : int
        Frames that were in the ring when `Recorder.stop` ran out of time, or at an error, and are in no file.
    counter_set : int
        Times that another program set the counter forward. What was lost there is not known, and not in
        `lost`.
    new_files : int
        Times that the stream was replaced by a new one and followed.
    nbytes : int
        Bytes of pixels.
    duration : float
        Seconds since the start.
    rate : float
        Frames per second between the first and the last arrival; NaN below two frames.
    source : str
        Ring that frames came from: "fast", "temporal" or "collector"; see `RingReader`.
    ring_peak : float
        How full the ring was with frames that waited for the disk, at most: 0 to 1. At 1 frames are lost.
    depth : int
        Slots of the ring.
    last_age : float or None
        Seconds since the last frame arrived; None if none did.
    ended : str
        "running", "complete" (all frames), "time", "stopped" or "error".
    error : str or None
        Message of what ended it.
    complete : bool
        The files, if any, are finished, whatever ended the recording.
    packed : Packed or None
        How small the frames got with `compress`, and how fast: `ratio`, `rate_in` and `rate_out` (bytes per
        second of one core), `unpacked` (frames stored as they are). None without `compress`.
    cached : bool
        Direct writes were asked for, and the file system has none: frames went through the page cache.
    """

    stream: str
    paths: list[str]
    requested: int | None
    recorded: int
    lost: int
    torn: int
    unwritten: int
    new_files: int
    nbytes: int
    duration: float
    rate: float
    source: str
    ring_peak: float
    last_age: float | None
    ended: str
    error: str | None
    complete: bool
    counter_set: int = 0
    uncertain: int = 0
    depth: int = 0
    packed: Packed | None = None
    cached: bool = False

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Recording of stream {self.stream!r}"

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        more = f" and {len(self.paths) - 1} more" if self.paths[1:] else ""
        wanted = "" if self.requested is None else f" of {self.requested}"
        rows = [
            ("file", f"{self.paths[0] if self.paths else 'none; what was there stays'}{more}"),
            ("frames recorded", f"{self.recorded}{wanted}"),
            ("lost", str(self.lost)),
            ("torn", str(self.torn)),
        ]
        if self.uncertain:
            rows.append(("number uncertain", uncertain_text(self.uncertain)))
        if self.unwritten:
            rows.append(("not written", f"{self.unwritten}, in the ring at the end"))
        rows += counter_set_rows(self.counter_set)
        if self.new_files:
            rows.append(("new files followed", str(self.new_files)))
        rows += [
            ("rate", "not known" if math.isnan(self.rate) else f"{self.rate:.1f} frames/s"),
            ("size", f"{self.nbytes / 1e6:.1f} MB of pixels"),
            *(() if self.packed is None else self.packed.rows()),
            ("ring", f"{self.source}, {self.ring_peak:.1%} full at most"),
            ("duration", f"{self.duration:.3f} s"),
            ("ended", ending_text(self.ended, self.error)),
        ]
        if self.cached:
            rows.append(("direct", "no: this file system writes through the page cache only"))
        if self.ended != "running" and not self.complete:
            rows.append(("files", "not finished; pymilk.load reads what is there"))
        return rows

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do."""
        rate = published_rate(self.rate, self.recorded, self.lost)
        found = ring_reasons(self.source, self.lost, rate, self.depth, self.ring_peak >= _FULL)
        if found and self.ring_peak >= _FULL:
            found.append("The disk, or compress (--compress), was slower than the stream for that long.")
        return found

    def __repr__(self) -> str:
        return f"<StreamReport {self.stream!r}: {self.recorded} recorded, {self.lost} lost, {self.ended}>"


@dataclass(repr=False, eq=False)
class RecordReport(LossReport):
    """What a recorder has written so far.

    Attributes
    ----------
    streams : dict of str to StreamReport
        By name of the stream.
    recorded, lost, torn, unwritten, nbytes : int
        Of all together; see `StreamReport`.
    duration : float
        Seconds that the longest took.
    complete : bool
        All files are finished.
    packed : Packed or None
        Of all together; see `StreamReport`.
    """

    streams: dict[str, StreamReport]
    recorded: int = field(init=False)
    lost: int = field(init=False)
    torn: int = field(init=False)
    unwritten: int = field(init=False)
    nbytes: int = field(init=False)
    duration: float = field(init=False)
    complete: bool = field(init=False)
    packed: Packed | None = field(init=False)

    def __post_init__(self) -> None:
        reports = list(self.streams.values())
        self.recorded = sum(each.recorded for each in reports)
        self.lost = sum(each.lost for each in reports)
        self.torn = sum(each.torn for each in reports)
        self.unwritten = sum(each.unwritten for each in reports)
        self.nbytes = sum(each.nbytes for each in reports)
        self.duration = max(each.duration for each in reports)
        self.complete = all(each.complete for each in reports)
        self.packed = Packed.together(each.packed for each in reports)

    def reasons(self) -> list[str]:
        """Return those of all streams, each with the name of its stream."""
        return [f"{name}: {said}" for name, each in self.streams.items() for said in each.reasons()]

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self.streams.values())

    def __str__(self) -> str:
        return "\n".join(str(each) for each in self.streams.values())

    def __repr__(self) -> str:
        return f"<RecordReport {len(self.streams)} streams: {self.recorded} recorded, {self.lost} lost>"
