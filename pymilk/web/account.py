"""What a page painted of a stream, and what it did not: frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .refusing import bad_value

__all__ = ["Account", "frame_of"]

#: Counters and inodes have 64 bits.
_END = 2**64


@dataclass
class Account:
    """Frames shown and skipped since the first one of a view.

    In every life of the stream (from one file, or one restart of its counter, to the next) shown + skipped is
    the difference of the counters of the last and the first frame, and 1 for the first.

    Attributes
    ----------
    shown, skipped : int
        Over all lives.
    lives : int
        Files and restarts of the counter that were met.
    last : (int, int) or None
        ``cnt0`` of the last frame shown, and what tells its file from others.
    """

    shown: int = 0
    skipped: int = 0
    lives: int = 0
    last: tuple[int, int] | None = None

    @classmethod
    def read(cls, given: object) -> Account:
        """Check the account with which a page comes back after its connection was lost.

        Parameters
        ----------
        given : object
            ``{"cnt0", "file", "shown", "skipped", "lives"}``, as the page was told and has counted.

        Raises
        ------
        StreamArgumentError
            It is none, or its numbers do not go together.
        """
        last = frame_of(given)
        assert isinstance(given, dict)
        shown, skipped, lives = (_number(name, given.get(name)) for name in ("shown", "skipped", "lives"))
        if not 1 <= lives <= shown:
            raise bad_value("account", given, "one with a life, and a frame for each")
        return cls(shown, skipped, lives, last)

    def note(self, counter: int, file: int) -> None:
        """Note that a frame is shown. One that was shown before, in another region say, is no other one.

        Parameters
        ----------
        counter : int
            Its ``cnt0``.
        file : int
            What tells the file from the one before.
        """
        if self.last is None or file != self.last[1] or counter < self.last[0]:
            self.lives += 1
            self.shown += 1
        elif counter > self.last[0]:
            self.shown += 1
            self.skipped += counter - self.last[0] - 1
        self.last = counter, file

    def counts(self) -> dict[str, int]:
        """Return ``shown``, ``skipped`` and ``lives``."""
        return {"shown": self.shown, "skipped": self.skipped, "lives": self.lives}


def frame_of(given: object) -> tuple[int, int]:
    """Check how a page names a frame.

    Parameters
    ----------
    given : object
        ``{"cnt0", "file"}`` of its header: a number, and a number as text.

    Returns
    -------
    (int, int)
        Counter and file.

    Raises
    ------
    StreamArgumentError
        It names none.
    """
    if not isinstance(given, dict):
        raise bad_value("frame", given, "an object with cnt0 and file")
    file = given.get("file")
    if not (isinstance(file, str) and file.isascii() and file.isdecimal() and len(file) <= 20):
        raise bad_value("file", file, "a number from 0, as text")
    return _number("cnt0", given.get("cnt0")), _number("file", int(file))


def _number(name: str, found: Any) -> int:
    if type(found) is not int or not 0 <= found < _END:
        raise bad_value(name, found, "a number from 0")
    return found
