"""Warnings that point at the line of the caller outside pymilk, and text for any terminal."""

from __future__ import annotations

import sys
import warnings

from ..errors import FrameTornWarning

__all__ = ["printable", "warn_caller", "warn_of_tear"]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line, outside of pymilk, that the call came from."""
    level = 1
    frame = sys._getframe(level)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pymilk."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)


def warn_of_tear(stream: str, number: int) -> None:
    """Warn that a frame may be torn."""
    warn_caller(
        f"stream {stream!r}: frame {number} may be torn; its writer has not finished it, or leaves no time "
        "for a copy",
        FrameTornWarning,
    )


def printable(text: str) -> str:
    """Return text of streams and files for `print`: letters that standard output cannot encode become "?"."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
