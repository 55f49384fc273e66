"""What cameras say of themselves in the keywords of their streams: exposure, rate, reads, crop.

Cameras of several generations use different names; the newest one that is there counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import KeywordTypeError

__all__ = ["crop_window", "exposure_time", "frame_rate", "reads_per_frame"]

#: Exposure time of a camera that tells none, in seconds: the value that existing scripts know.
UNKNOWN_EXPOSURE = 0.1234


def _number(keywords: Mapping[str, Any], names: Sequence[str], default: float, kinds: Any) -> Any:
    """Return the first of these keywords that is there."""
    for name in names:
        if name in keywords:
            value = keywords[name]
            if not isinstance(value, kinds):
                raise KeywordTypeError(
                    f"keyword {name!r} is {value!r}, which is no {' or '.join(k.__name__ for k in kinds)}",
                    keyword=name,
                    found=value,
                )
            return value
    return default


def exposure_time(keywords: Mapping[str, Any]) -> float:
    """Return EXPTIME, else tint, else 0.1234; in seconds."""
    return float(_number(keywords, ("EXPTIME", "tint"), UNKNOWN_EXPOSURE, (float, int)))


def frame_rate(keywords: Mapping[str, Any]) -> float:
    """Return FRATE, else fps, else 0; in frames per second."""
    return float(_number(keywords, ("FRATE", "fps"), 0.0, (float, int)))


def reads_per_frame(keywords: Mapping[str, Any]) -> int:
    """Return DET-NSMP, else NDR, else 1: non-destructive reads of a frame."""
    return int(_number(keywords, ("DET-NSMP", "NDR"), 1, (int,)))


def crop_window(
    keywords: Mapping[str, Any], shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Return the part of the detector that is read out.

    Parameters
    ----------
    keywords : mapping
        PRD-MIN1, PRD-MIN2 with the lengths PRD-RNG1, PRD-RNG2; else CROP_OR1, CROP_OR2 with the ends
        CROP_EN1, CROP_EN2; else x0, y0 with the lengths x1, y1.
    shape : tuple of int
        Of a frame, for cameras that tell nothing.

    Returns
    -------
    (int, int, int, int)
        First and last pixel of the first axis, then of the second one; (0, 0, nx, ny) if nothing is told.

    Raises
    ------
    KeyError
        The first keyword of a family is there, and another is not.
    """
    if "PRD-MIN1" in keywords:
        first, second = int(keywords["PRD-MIN1"]), int(keywords["PRD-MIN2"])
        end, other = int(keywords["PRD-RNG1"]), int(keywords["PRD-RNG2"])
        return first, first + end - 1, second, second + other - 1
    if "CROP_OR1" in keywords:
        names = ("CROP_OR1", "CROP_EN1", "CROP_OR2", "CROP_EN2")
        a, b, c, d = (int(keywords[name]) for name in names)
        return a, b, c, d
    if "x0" in keywords:
        first, second = int(keywords["x0"]), int(keywords["y0"])
        end, other = int(keywords["x1"]), int(keywords["y1"])
        return first, first + end - 1, second, second + other - 1
    return 0, 0, shape[0], shape[1] if len(shape) > 1 else 1
