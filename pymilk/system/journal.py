"""What happens in the background, for the logger ``pymilk``: silent unless the program listens.

Nothing is imported for it: if nobody has imported `logging`, nobody can listen. Only threads and objects of
the background write here, between batches of frames, never for each frame.
"""

from __future__ import annotations

import sys
import time

__all__ = ["GapTeller", "tell", "warn"]

#: Least seconds between two messages about gaps of one reader.
_GAP_SECONDS = 1.0

#: Levels of `logging`.
_INFO, _WARNING = 20, 30


def _write(level: int, message: str, values: tuple[object, ...]) -> None:
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "NullHandler"):  # not there, or being imported
        return
    logger = logging.getLogger("pymilk")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # or `logging` would print warnings on stderr
    logger.log(level, message, *values)


def tell(message: str, *values: object) -> None:
    """Log what is no trouble, at level INFO: a format for ``%``, and its values."""
    _write(_INFO, message, values)


def warn(message: str, *values: object) -> None:
    """Log what costs frames or may soon, at level WARNING."""
    _write(_WARNING, message, values)


class GapTeller:
    """Messages about lost frames of one stream, one a second at most, in which all are counted.

    Parameters
    ----------
    stream : str
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._told = 0
        self._next = 0.0

    def tend(self, lost: int, last: bool = False) -> None:
        """Say how many frames were lost since the last message, if it is time; `lost` counts all of them.

        With `last` it is said now: nothing comes after.
        """
        if lost > self._told and (last or time.monotonic() >= self._next):
            warn("stream %r: gap of %d frames, %d in all", self._stream, lost - self._told, lost)
            self._told = lost
            self._next = time.monotonic() + _GAP_SECONDS
