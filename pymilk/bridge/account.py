"""Which frames are missing, and where they went: arithmetic on the numbers in messages."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .header import LOST_MOST, REPEATED, Epoch, Message

__all__ = ["Account", "Arrival"]

#: Senders that are remembered after another one took their place.
_LEFT = 64


class Arrival(NamedTuple):
    """What a message means to one who has seen those before it.

    Attributes
    ----------
    first : int
        The first row that is new; those before it are there already.
    before : int
        Frames missing before it that the sender did not have: lost at its end.
    on_way : int
        Those that it sent.
    away : int
        Those of a time in which this receiver or the sender was not there.
    new_file : bool
        The frames are those of another file of the stream than before.
    skipped : int
        Frames before it that the sender left out because it was asked to: not lost.
    """

    first: int
    before: int = 0
    on_way: int = 0
    away: int = 0
    new_file: bool = False
    skipped: int = 0

    @property
    def lost(self) -> int:
        """All that is missing and was wanted."""
        return self.before + self.on_way + self.away


class Account:
    """Compare each message with the one before.

    A sender counts what it sent and what it could not send, over all files of a stream; so do the messages of
    one sender say what is missing, whatever happens to the counter. Between two senders the counter says it.

    Parameters
    ----------
    known : (Epoch, int), optional
        File and counter of the last frame that an earlier receiver got.
    """

    def __init__(self, known: tuple[Epoch, int] | None = None) -> None:
        self._epoch: Epoch | None = None
        self._last = 0
        if known is not None:
            self._epoch, self._last = known
        self._sender: int | None = None
        self._sent = self._missing = self._skipped = 0
        self._joining = False
        self._left: deque[int] = deque(maxlen=_LEFT)

    def join(self) -> None:
        """Compare counters until a frame comes that is not there: the others came in another way."""
        self._joining = self._epoch is not None

    @property
    def sender(self) -> int | None:
        """The sender of the last message that was taken; None if there was none."""
        return self._sender

    def weigh(self, message: Message) -> Arrival | None:
        """Return what is new in a message, and change nothing; None if it came before, or is not true."""
        if message.sender in self._left:
            return None
        if not len(message.rows):
            return Arrival(0)  # keywords; what else it says is told with the next frame
        same = message.sender == self._sender and not self._joining
        arrival = self._next(message) if same else self._first(message)
        if arrival is None:
            return None
        between = int(message.rows["lost"][arrival.first + 1 :].sum())
        return None if arrival.lost + between > LOST_MOST else arrival

    def take(self, message: Message) -> Arrival | None:
        """Do the same as `weigh`, and compare later messages with this one."""
        arrival = self.weigh(message)
        if arrival is None or not len(message.rows):
            return arrival
        if message.sender != self._sender and self._sender is not None:
            self._left.append(self._sender)
        rows = message.rows
        again = int(bool(rows[0]["flags"] & REPEATED))
        self._sender = message.sender
        self._sent = message.sent + len(rows) - again
        self._missing = message.missing + int(rows["lost"].sum())
        self._skipped = message.skipped + int(rows["skipped"].sum())
        if self._joining and arrival.first == len(rows):
            return arrival  # the last one is still that of the other way
        self._joining = False
        self._epoch, self._last = message.epoch, int(rows[-1]["cnt0"])
        return arrival

    def _next(self, message: Message) -> Arrival | None:
        """Return the arrival of a further message of the same sender."""
        on_way, before = message.sent - self._sent, message.missing - self._missing
        skipped = message.skipped - self._skipped
        if min(on_way, before, skipped) < 0:
            return None
        rows = message.rows
        new_file = message.epoch != self._epoch
        if not rows[0]["flags"] & REPEATED:
            skipped += int(rows[0]["skipped"])
            return Arrival(0, before + int(rows[0]["lost"]), on_way, 0, new_file, skipped)
        if not on_way:
            return Arrival(1)  # it is there already
        return Arrival(0, before, max(0, on_way - 1), 0, new_file, skipped)

    def _first(self, message: Message) -> Arrival:
        """Return the arrival of the first message of a sender."""
        rows = message.rows
        if self._epoch is None:
            return Arrival(0)
        numbers = rows["cnt0"]
        if message.epoch != self._epoch:
            return Arrival(0, 0, 0, max(0, int(numbers[0]) - 1), True)
        first = int((numbers <= self._last).sum())
        if first == len(rows):
            return Arrival(first)
        # Frames that the sender lost between these are in its rows; those before the first new one are here.
        return Arrival(first, 0, 0, max(0, int(numbers[first]) - self._last - 1))
