"""Checks of arguments: each is made, and worded, once."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .errors import StreamArgumentError

__all__ = ["bad_argument", "check_choice", "check_frames", "check_seconds"]


def check_choice(argument: str, found: object, known: tuple[str, ...]) -> None:
    """Raise `StreamArgumentError` if a value is none of those known."""
    if found not in known:
        raise StreamArgumentError(
            f"{argument} is one of {', '.join(map(repr, known))}, not {found!r}",
            argument=argument,
            found=found,
        )


def bad_argument(argument: str, found: object, wanted: str) -> StreamArgumentError:
    """Return the error for an argument: what it is, and what was found instead."""
    return StreamArgumentError(f"{argument} {wanted}, not {found!r}", argument=argument, found=found)


def check_seconds(seconds: float | None) -> None:
    """Raise `StreamArgumentError` if that is no time that a capture or a recording can last."""
    if seconds is None:
        return
    numeric = isinstance(seconds, (int, float, np.integer, np.floating)) and not isinstance(seconds, bool)
    if not numeric or not 0 < seconds <= threading.TIMEOUT_MAX:
        longest = f"{threading.TIMEOUT_MAX:g}"
        raise bad_argument("seconds", seconds, f"is a time of more than 0 and up to {longest} seconds")


def check_frames(argument: str, found: Any) -> int:
    """Return a number of frames, 1 or more."""
    if isinstance(found, bool) or not hasattr(found, "__index__") or not 1 <= found < 2**62:
        raise bad_argument(argument, found, "is a number of frames, 1 or more")
    return int(found)
