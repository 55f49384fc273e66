"""Numbers of senders: what one of them sends in several ways has numbers of one family."""

from __future__ import annotations

import itertools
import secrets

__all__ = ["Family", "family_of", "past_number"]

#: Low bits of a number say which one of its family it is. 0: the frames as they are, and what is said alone.
_BITS = 24

#: Numbers of messages of the past; lines have those below.
_PAST = 1 << (_BITS - 1)


class Family:
    """The numbers of a sender.

    Attributes
    ----------
    number : int
        The first one, which its presence is told under.
    """

    def __init__(self) -> None:
        self.number = secrets.randbits(63 - _BITS) << _BITS
        self._count = itertools.count(1)

    def next(self) -> int:
        """Return a number that is not in use."""
        return self.number + next(self._count) % _PAST


def family_of(number: int) -> int:
    """Return the first number of the family of a number."""
    return number >> _BITS << _BITS


def past_number(number: int) -> int:
    """Return a number of the same family for messages of the past, by chance."""
    return family_of(number) + _PAST + secrets.randbits(_BITS - 1)
