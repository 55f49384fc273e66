"""How far the clock of another machine is from the one here: round trips, as in PTP (IEEE 1588)."""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import NamedTuple

from ..times import now_ns
from .engine import Engine

__all__ = ["Clock", "ClockOffset", "answer_clock", "ask_clock"]

#: An answer: magic, when the question came and when the answer went, by the clock there.
_ANSWER = struct.Struct("<4sqq")
_MAGIC = b"PMCK"

#: Samples that are kept. Clocks are taken to drift by so much against each other since a sample.
_SAMPLES, _DRIFT = 64, 20e-6

_LAST_NS = 2**62


class ClockOffset(NamedTuple):
    """The difference of two clocks.

    Attributes
    ----------
    offset : float
        Seconds that the clock there is ahead of the one here.
    uncertainty : float
        Seconds: it is not further off than that if clocks drift by less than 20 ppm, however asymmetric the
        way is.
    """

    offset: float
    uncertainty: float


class _Sample(NamedTuple):
    offset: float
    bound: float
    taken: float  # by the monotonic clock

    def bound_at(self, now: float) -> float:
        return self.bound + _DRIFT * (now - self.taken)


def answer_clock(key: str, question: bytes) -> bytes:
    """Answer with the times here."""
    came = now_ns()
    return _ANSWER.pack(_MAGIC, came, now_ns())


class Clock:
    """Keep round trips, and say what the best of them tells.

    With `sent` and `back` by the clock here, `came` and `went` by the clock there, the offset is
    ``((came - sent) + (went - back)) / 2`` if both ways take as long. It is wrong by half the time on the way
    at most, so the shortest round trip tells most, and less with each second.
    """

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sent: int, came: int, went: int, back: int, now: float | None = None) -> None:
        """Take a round trip: times in nanoseconds, `now` in seconds of the monotonic clock."""
        way = (back - sent) - (went - came)
        if way < 0 or went < came:
            return  # one of the clocks was set meanwhile
        taken = time.monotonic() if now is None else now
        new = _Sample(((came - sent) + (went - back)) / 2e9, way / 2e9, taken)
        best = self._best(taken)
        if best is not None and abs(new.offset - best.offset) > new.bound + best.bound_at(taken):
            self._samples.clear()  # one of the clocks was set: what was known is not true any more
        self._samples.append(new)

    def read(self, now: float | None = None) -> ClockOffset | None:
        """Return the offset; None if nothing is known."""
        at = time.monotonic() if now is None else now
        best = self._best(at)
        return None if best is None else ClockOffset(best.offset, best.bound_at(at))

    def _best(self, now: float) -> _Sample | None:
        return min(list(self._samples), key=lambda each: each.bound_at(now), default=None)


def ask_clock(engine: Engine, key: str, clock: Clock, timeout: float) -> bool:
    """Make a round trip; returns whether an answer came.

    Raises
    ------
    BridgeError
        The engine has ended.
    """
    sent = now_ns()
    for answer in engine.ask(key, timeout):
        if len(answer.message) == _ANSWER.size and answer.message.startswith(_MAGIC):
            _, came, went = _ANSWER.unpack(answer.message)
            if 0 <= came < _LAST_NS and 0 <= went < _LAST_NS:
                clock.add(sent, came, went, answer.at_ns)
                return True
    return False
