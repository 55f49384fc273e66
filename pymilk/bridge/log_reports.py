"""Reports about message logs: of the one who sends them, and of the one who reads them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..reports import LossReport, Report, amount

__all__ = ["LogReport", "TailReport"]

_WERE = ("message was", "messages were")


@dataclass(kw_only=True, repr=False, eq=False)
class LogReport(Report):
    """What a sender sent of one message log.

    Attributes
    ----------
    log : str
    asked : int
        Questions that were answered.
    sent : int
        Messages of these answers, to all who asked; those that were sent again count again.
    on_way : int
        Messages that were sent, did not arrive, and were overwritten before they were asked for again.
    nbytes : int
        Bytes of all answers.
    wanted : bool
        Whether anybody waits for new messages.
    trouble : str
        Why the last question was not answered; "" if it was.
    """

    log: str
    asked: int = 0
    sent: int = 0
    on_way: int = 0
    nbytes: int = 0
    wanted: bool = False
    trouble: str = ""

    def title(self) -> str:
        """Return the line above the rows."""
        return f"Log {self.log}"

    def __str__(self) -> str:
        state = self.trouble or ("listened to" if self.wanted else "nobody listens")
        return f"{self.log} (log): {amount(self.sent, 'message')} sent, {state}"


@dataclass(kw_only=True, repr=False, eq=False)
class TailReport(LossReport):
    """What was read of a message log of another machine.

    Attributes
    ----------
    source : str
        ``HOST/LOG``.
    received : int
        Messages.
    lost : int
        Messages between the first one and the last one that did not come: the sum of the following three.
    before : int
        Overwritten at the source before they were read, while its sender answered.
    on_way : int
        Sent, but not arrived, and overwritten before they were asked for again.
    away : int
        Overwritten while the sender was not there, or did not answer.
    again : int
        Questions without an answer: they were asked again.
    remade : int
        Times that the log was made anew.
    cut_short : int
        Those of them where it is not known whether the old log had more messages: its sender ended with it.
    refused : int
        Answers that were refused, because they were damaged or of another version.
    trouble : str
        Why the last question has no answer; "" if it has one.
    duration : float
        Seconds.
    connected, not_connected, denied : list of str
        As in `SenderReport`.
    """

    source: str
    received: int
    lost: int = field(init=False)
    before: int
    on_way: int
    away: int
    again: int
    remade: int
    cut_short: int
    refused: int
    trouble: str
    duration: float
    connected: list[str] = field(default_factory=list)
    not_connected: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lost = self.before + self.on_way + self.away

    def reasons(self) -> list[str]:
        """Return why messages are missing, and what to do."""
        said = []
        if self.before:
            said.append(f"{amount(self.before, *_WERE)} overwritten unread: enlarge the log.")
        if self.on_way:
            said.append(f"{amount(self.on_way, *_WERE)} lost on the way, and then overwritten at the source.")
        if self.away:
            said.append(f"{amount(self.away, *_WERE)} overwritten while the sender was not there.")
        if self.cut_short:
            said.append(
                f"The log was made anew {self.cut_short} times while nobody read it: how many messages the "
                "old one still had is not known."
            )
        if self.trouble:
            said.append(f"{self.trouble}.")
        said += [f"Not connected: {each}." for each in self.not_connected]
        return said + [f"Denied: {each}." for each in self.denied]

    def __str__(self) -> str:
        return self.told(
            f"{self.source}: {amount(self.received, 'message')}, {self.lost} lost ({self.before} before, "
            f"{self.on_way} on the way, {self.away} away), {self.duration:.1f} s"
        )
