"""What a view was shown of a stream, and what it was not: frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Account"]


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
    last : int or None
        Counter of the last frame shown.
    """

    shown: int = 0
    skipped: int = 0
    lives: int = 0
    last: int | None = None
    _file: int | None = None

    def note(self, counter: int, file: int) -> None:
        """Note that a frame is shown. One that was shown before, in another region say, is no other one.

        Parameters
        ----------
        counter : int
            Its ``cnt0``.
        file : int
            What tells the file from the one before.
        """
        if self.last is None or file != self._file or counter < self.last:
            self.lives += 1
            self.shown += 1
        elif counter > self.last:
            self.shown += 1
            self.skipped += counter - self.last - 1
        self.last, self._file = counter, file
