"""`WebReport`: what a server of the page has done so far."""

from __future__ import annotations

from dataclasses import dataclass

from ..reports import Report

__all__ = ["WebReport"]


@dataclass(repr=False, eq=False)
class WebReport(Report):
    """What a server has done since its start.

    Attributes
    ----------
    address : str
        Host and port that it answers under, without the token.
    running : bool
        Whether it answers.
    connections : int
        That are open now; a page that shows a stream has one for its frames.
    requests : int
        Answered so far: files of the page, lists, keywords. Frames are not requests.
    duration : float
        Seconds from the start, to the end once it has ended.
    """

    address: str
    running: bool
    connections: int
    requests: int
    duration: float

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Server of the page at {self.address}"

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        return [
            ("answers", "yes" if self.running else "no, it has ended"),
            ("connections", str(self.connections)),
            ("requests", str(self.requests)),
            ("duration", f"{self.duration:.3f} s"),
        ]

    def __repr__(self) -> str:
        ends = f"{self.connections} connections" if self.running else "ended"
        return f"<WebReport {self.address}: {self.requests} requests, {ends}>"
