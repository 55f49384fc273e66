"""Reports of senders and receivers."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import Protocol

from ..reports import LossReport, Report, amount
from .clocks import ClockOffset
from .log_reports import LogReport

__all__ = ["LineReport", "ParameterReport", "ReceiverReport", "RouterReport", "SenderReport", "clock_text"]

_WERE = ("frame was", "frames were")


class _Clocked(Protocol):
    """What has an offset of clocks."""

    @property
    def clock_offset(self) -> float | None: ...

    @property
    def clock_uncertainty(self) -> float | None: ...


def clock_text(each: _Clocked) -> str:
    """Return the offset of a clock behind a comma; "" if it is not known."""
    if each.clock_offset is None or each.clock_uncertainty is None:
        return ""
    return f", its clock {each.clock_offset * 1e3:+.3f} ms +-{each.clock_uncertainty * 1e3:.3f} ms"


@dataclass(kw_only=True, repr=False, eq=False)
class LineReport(Report):
    """What a sender sent of one stream.

    Attributes
    ----------
    stream : str
    options : str
        What those who listen asked for: see `Options`.
    sent : int
        Frames handed to the engine.
    skipped : int
        Frames that were left out because it was asked for the newest.
    missing : int
        Frames that were published meanwhile and not sent: overwritten before they were read, or published
        while nobody listened.
    repeated : int
        Frames that were sent again for those who began to listen.
    nbytes : int
        Bytes of all messages.
    wanted : bool
        Whether anybody listens now.
    trouble : str
        Why nothing is read now; "" if that is not so.
    """

    stream: str
    options: str = ""
    sent: int = 0
    missing: int = 0
    skipped: int = 0
    repeated: int = 0
    nbytes: int = 0
    wanted: bool = False
    trouble: str = ""

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Stream {self.stream}"

    def __str__(self) -> str:
        state = self.trouble or ("listened to" if self.wanted else "nobody listens")
        asked = f" ({self.options})" if self.options else ""
        skipped = f"{self.skipped} left out, " if self.skipped else ""
        sent = amount(self.sent, "frame")
        return f"{self.stream}{asked}: {sent} sent, {self.missing} missing, {skipped}{state}"


@dataclass(kw_only=True, repr=False, eq=False)
class ParameterReport(Report):
    """What was done with the parameters that a sender offers.

    Attributes
    ----------
    fps : list of str
        Those that are offered.
    asked : int
        Questions about them.
    written, commanded : int
        Values that were written, and commands that were done.
    repeated : int
        Questions that came again and got the answer that was kept; nothing was done.
    refused : int
        Questions that were refused: none, too many, replayed, not allowed, or with a value that may not be.
    trouble : str
        Why the last one was.
    """

    fps: list[str] = field(default_factory=list)
    asked: int = 0
    written: int = 0
    commanded: int = 0
    repeated: int = 0
    refused: int = 0
    trouble: str = ""

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Parameters of {len(self.fps)} fps"

    def __str__(self) -> str:
        last = f" (the last one: {self.trouble})" if self.refused else ""
        return (
            f"{', '.join(self.fps) or 'no fps there'}: {amount(self.asked, 'question')}, "
            f"{amount(self.written, 'value')} written, {amount(self.commanded, 'command')} done, "
            f"{self.refused} refused{last}"
        )


@dataclass(kw_only=True, repr=False, eq=False)
class SenderReport(Report):
    """What a sender sent.

    Attributes
    ----------
    host : str
    duration : float
        Seconds since it began.
    cpu_share : float
        Processor time of the threads that read and send as a share of `duration`, those of the engine not
        counted.
    streams : list of LineReport
    logs : list of LogReport
    parameters : ParameterReport or None
        None if none are offered.
    error : str or None
        What ended it; `wait` raises that.
    connected : list of str
        Who is connected, with the name of its certificate where it has one: ``NAME (ADDRESS)``.
    not_connected : list of str
        Addresses that should be, and why they are not: ``ADDRESS: REASON``.
    denied : list of str
        Who is connected and may do nothing, and why: ``NAME (ADDRESS): REASON``.
    """

    host: str
    duration: float
    cpu_share: float
    streams: list[LineReport] = field(default_factory=list)
    logs: list[LogReport] = field(default_factory=list)
    parameters: ParameterReport | None = None
    error: str | None = None
    connected: list[str] = field(default_factory=list)
    not_connected: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Sender on {self.host}, {self.duration:.1f} s"

    def rows(self) -> list[tuple[str, str]]:
        """Return a row for each stream and log, each address not connected, and each who is denied."""
        said = (str(each).partition(": ") for each in (*self.streams, *self.logs))
        rows = [(label, text) for label, _, text in said]
        if self.parameters is not None:
            rows.append(("parameters", str(self.parameters)))
        if self.error is not None:
            rows.append(("ended", self.error))
        rows += [("not connected", each) for each in self.not_connected]
        return rows + [("denied", each) for each in self.denied]


@dataclass(kw_only=True, repr=False, eq=False)
class RouterReport(Report):
    """Who uses a router.

    Attributes
    ----------
    duration : float
        Seconds since it began.
    connected, not_connected, denied : list of str
        As in `SenderReport`.
    """

    duration: float
    connected: list[str] = field(default_factory=list)
    not_connected: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Router, {self.duration:.1f} s"

    def rows(self) -> list[tuple[str, str]]:
        """Return a row for each who is connected or denied, and for each address that is not connected."""
        rows = [("connected", each) for each in self.connected]
        rows += [("not connected", each) for each in self.not_connected]
        return rows + [("denied", each) for each in self.denied]


@dataclass(kw_only=True, repr=False, eq=False)
class ReceiverReport(LossReport):
    """The account of a receiver.

    Attributes
    ----------
    source : str
        ``HOST/STREAM``.
    target : str
        The stream that frames are published in.
    received : int
        Frames published there.
    lost : int
        Frames of the source that are not there: the sum of the following three.
    before : int
        Those that the sender did not have: overwritten before it read them, or left out by the writer.
    on_way : int
        Those that it sent and that did not arrive.
    away : int
        Those of a time in which the sender or a receiver was not there.
    skipped : int
        Frames that the sender left out because it was asked for the newest: not among the lost.
    history : int
        Frames received that were asked for as the past.
    repeated : int
        Frames that came again, and were not published again.
    refused : int
        Messages that were refused: damaged, too large, of another version, older than what is here, or of a
        second sender of this stream.
    trouble : str
        Why the last one was refused, or what the receiver waits for: also what the sender says after 5 s in
        which nothing came.
    senders : int
        Senders of this stream that are there. Of several, the first one counts as long as it is there.
    sender : bool
        Whether there is one.
    duration : float
        Seconds since the receiver began.
    clock_offset, clock_uncertainty : float or None
        Seconds that the clock of the source is ahead of the one here, and how far off that may be; None if it
        is not known. No time in rows or streams is changed by it.
    rate : float
        Frames received a second.
    error : str or None
        What ended it; `wait` raises that.
    connected, not_connected, denied : list of str
        As in `SenderReport`.
    """

    source: str
    target: str
    received: int
    lost: int = field(init=False)
    before: int
    on_way: int
    away: int
    skipped: int
    history: int
    repeated: int
    refused: int
    trouble: str
    senders: int
    sender: bool = field(init=False)
    duration: float
    clock: InitVar[ClockOffset | None] = None
    clock_offset: float | None = field(init=False)
    clock_uncertainty: float | None = field(init=False)
    rate: float = field(init=False)
    error: str | None = None
    connected: list[str] = field(default_factory=list)
    not_connected: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def __post_init__(self, clock: ClockOffset | None) -> None:
        self.clock_offset, self.clock_uncertainty = (None, None) if clock is None else clock
        self.lost = self.before + self.on_way + self.away
        self.sender = self.senders > 0
        self.rate = self.received / self.duration if self.duration > 0 else 0.0

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do."""
        said = [f"It ended: {self.error}."] if self.error else []
        if self.on_way:
            said.append(
                f"{amount(self.on_way, *_WERE)} lost on the way: a link or this machine was too slow, or was "
                "cut. Send fewer bytes, or give the receiver a core."
            )
        if self.before:
            said.append(
                f"{amount(self.before, *_WERE)} lost before sending: the writer left their numbers out, or "
                "`pymilk bridge send` did not keep up: then give the source a ring (ring=, pymilk relay)."
            )
        if self.away:
            said.append(
                f"{amount(self.away, *_WERE)} published while the sender or a receiver was not there."
            )
        if self.refused:
            refused = amount(self.refused, "message was", "messages were")
            said.append(f"{refused} refused; the last one: {self.trouble}.")
        elif self.trouble:
            said.append(f"{self.trouble}.")
        said += [f"Not connected: {each}." for each in self.not_connected]
        said += [f"Denied: {each}." for each in self.denied]
        if self.senders > 1:
            said.append(
                f"{self.senders} senders of {self.source} are there: `pymilk bridge ls` shows them. Those "
                "of the first one count; give the others another --host."
            )
        if self.connected and not self.sender and not self.received:
            said.append(
                f"{', '.join(self.connected)} offers no {self.source}: it is not sent yet, or access rules "
                "there do not let this machine receive it."
            )
        return said

    def __str__(self) -> str:
        skipped = f"{self.skipped} left out, " if self.skipped else ""
        return self.told(
            f"{self.source} -> {self.target}: {amount(self.received, 'frame')}, {self.lost} lost "
            f"({self.before} before, {self.on_way} on the way, {self.away} away), {skipped}"
            f"{self.rate:.1f} frames/s, {self.duration:.1f} s, "
            f"sender {'there' if self.sender else 'not there'}{clock_text(self)}"
        )
