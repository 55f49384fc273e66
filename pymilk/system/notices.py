"""Warnings that point at the line of the caller outside pymilk, and text for any terminal."""

from __future__ import annotations

import sys
import warnings

from ..errors import FrameTornWarning

__all__ = ["printable", "warn_always", "warn_caller", "warn_of_tear"]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line, outside of pymilk, that the call came from."""
    level = _level_of_caller()
    warnings.warn(message, category, stacklevel=level)


def warn_always(message: str, category: type[Warning]) -> None:
    """Do the same, and show it each time: by default Python shows a warning once for a line.

    A filter of the user decides as ever: "ignore" hides it, "error" raises it.
    """
    frame = sys._getframe(_level_of_caller() - 1)
    # Without a registry of what was shown already.
    warnings.warn_explicit(
        message, category, frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "")
    )


def _level_of_caller() -> int:
    """Return the stack level, for the function that asks, of the line outside of pymilk."""
    level = 2
    frame = sys._getframe(level)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pymilk."):
        frame = frame.f_back
        level += 1
    return level


def warn_of_tear(stream: str, number: int, uncertain: bool = False) -> None:
    """Warn that a frame may be torn, or that its number is uncertain."""
    if uncertain:
        warn_caller(
            f"stream {stream!r}: frame {number} may be the next one: its writer posts a frame before "
            "it counts it, and stores no times",
            FrameTornWarning,
        )
        return
    warn_caller(
        f"stream {stream!r}: frame {number} may be torn; its writer has not finished it, or leaves no time "
        "for a copy",
        FrameTornWarning,
    )


def printable(text: str) -> str:
    """Return text of streams and files for `print`: letters that standard output cannot encode become "?"."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
