"""Warnings that point at the line of the caller outside pymilk."""

from __future__ import annotations

import sys
import warnings

from ..errors import FrameTornWarning

__all__ = ["warn_caller", "warn_of_tear"]


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
