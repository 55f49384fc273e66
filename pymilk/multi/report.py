"""`MultiCaptureReport`: what several captures received."""

from __future__ import annotations

from typing import Any

from ..capture import CaptureReport

__all__ = ["MultiCaptureReport"]


class MultiCaptureReport:
    """What several captures received, each and together.

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
    nbytes : int
        Bytes of the frames received.
    started_ns : int
        When all were armed; nanoseconds of CLOCK_TAI.
    duration : float
        Seconds that the longest took.
    cpu_share : float
        Processor time of all receiving threads as a share of `duration`. 1 is one core.
    """

    def __init__(
        self,
        streams: dict[str, CaptureReport],
        ended: dict[str, str],
        errors: dict[str, str],
        nbytes: int,
        started_ns: int,
    ) -> None:
        self.streams = streams
        self.ended = ended
        self.errors = errors
        self.received = sum(report.received for report in streams.values())
        self.lost = sum(report.lost for report in streams.values())
        self.torn = sum(report.torn for report in streams.values())
        self.nbytes = nbytes
        self.started_ns = started_ns
        self.duration = max(report.duration for report in streams.values())
        used = sum(report.cpu_share * report.duration for report in streams.values())
        self.cpu_share = used / self.duration if self.duration > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON."""
        streams = {label: report.to_dict() for label, report in self.streams.items()}
        return {**vars(self), "streams": streams, "ended": dict(self.ended), "errors": dict(self.errors)}

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
        lines += [f"  {label}: {message}" for label, message in self.errors.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<MultiCaptureReport {len(self.streams)} streams: {self.received} frames, {self.lost} lost>"
