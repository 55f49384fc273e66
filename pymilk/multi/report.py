"""`MultiCaptureReport`: what several captures received."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..capture import CaptureReport
from ..reports import LossReport, counter_set_text, uncertain_text

__all__ = ["MultiCaptureReport"]


@dataclass(repr=False, eq=False)
class MultiCaptureReport(LossReport):
    """The account of several captures, each and together.

    Attributes
    ----------
    streams : dict of str to CaptureReport
        By label.
    ended : dict of str to str
        Why each ended: "complete" (all frames are there), "time" (`seconds` were over), "full" (its room was
        used up before that), "stopped", or "error"; "running" if it has not.
    errors : dict of str to str
        Message of each that failed.
    received, lost, torn : int
        Frames of all together.
    uncertain : int
        Frames that may be those with the next number; they are among `torn`. See `CaptureReport.uncertain`.
    counter_set : int
        Times that another program set the counter of one of them. What was lost there is not known.
    nbytes : int
        Bytes of the frames received.
    started_ns : int
        When all were armed; nanoseconds of CLOCK_TAI.
    duration : float
        Seconds that the longest took.
    cpu_share : float
        Processor time of all receiving threads as a share of `duration`. 1 is one core.
    """

    streams: dict[str, CaptureReport]
    ended: dict[str, str]
    errors: dict[str, str]
    received: int = field(init=False)
    lost: int = field(init=False)
    torn: int = field(init=False)
    uncertain: int = field(init=False)
    counter_set: int = field(init=False)
    nbytes: int
    started_ns: int
    duration: float = field(init=False)
    cpu_share: float = field(init=False)

    def __post_init__(self) -> None:
        reports = list(self.streams.values())
        self.received = sum(each.received for each in reports)
        self.lost = sum(each.lost for each in reports)
        self.torn = sum(each.torn for each in reports)
        self.uncertain = sum(each.uncertain for each in reports)
        self.counter_set = sum(each.counter_set for each in reports)
        self.duration = max(each.duration for each in reports)
        used = sum(each.cpu_share * each.duration for each in reports)
        self.cpu_share = used / self.duration if self.duration > 0 else 0.0

    def __str__(self) -> str:
        table = [("stream", "frames", "lost", "torn", "frames/s", "of a core", "ended")]
        for label, report in self.streams.items():
            table.append(
                (
                    label,
                    f"{report.received} of {report.requested}",
                    str(report.lost),
                    str(report.torn),
                    f"{report.rate:.1f}",
                    f"{report.cpu_share:.1%}",
                    self.ended[label],
                )
            )
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            f"Captures of {len(self.streams)} streams: {self.received} frames, {self.lost} lost, "
            f"{self.torn} torn, {self.duration:.3f} s, {self.cpu_share:.1%} of a core"
        ]
        for row in table:
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
            lines.append(f"  {'  '.join(cells)}".rstrip())
        for label, report in self.streams.items():
            if report.uncertain and report.wait_on != "post":
                lines.append(f"  {label}: number uncertain {uncertain_text(report.uncertain)}")
            if report.counter_set:
                lines.append(f"  {label}: {counter_set_text(report.counter_set)}")
        lines += [f"  {label}: {message}" for label, message in self.errors.items()]
        return self.told("\n".join(lines))

    def reasons(self) -> list[str]:
        """Return those of all streams, each with its label."""
        return [f"{label}: {said}" for label, each in self.streams.items() for said in each.reasons()]

    def __repr__(self) -> str:
        return f"<MultiCaptureReport {len(self.streams)} streams: {self.received} frames, {self.lost} lost>"
