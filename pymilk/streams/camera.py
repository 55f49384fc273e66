"""Facts about a camera from the keywords of its stream: exposure, rate, reads, crop.

Cameras of several generations use different names; the newest name that exists is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import KeywordTypeError

__all__ = ["crop_window", "exposure_time", "frame_rate", "reads_per_frame"]

#: Exposure time in seconds of a camera without that keyword: the value that existing scripts know.
UNKNOWN_EXPOSURE = 0.1234


def _number(keywords: Mapping[str, Any], names: Sequence[str], default: float, kinds: Any) -> Any:
    """Return the first of these keywords that exists."""
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
        Of a frame, for cameras without these keywords.

    Returns
    -------
    (int, int, int, int)
        First and last pixel of the first axis, then of the second one; (0, 0, nx, ny) without keywords.

    Raises
    ------
    KeyError
        The first keyword of a family exists, and another does not.
    KeywordTypeError
        One of them is not a whole number.
    """
    if "PRD-MIN1" in keywords:
        return _window(keywords, ("PRD-MIN1", "PRD-MIN2", "PRD-RNG1", "PRD-RNG2"))
    if "CROP_OR1" in keywords:
        a, b, c, d = (_pixel(keywords, name) for name in ("CROP_OR1", "CROP_EN1", "CROP_OR2", "CROP_EN2"))
        return a, b, c, d
    if "x0" in keywords:
        return _window(keywords, ("x0", "y0", "x1", "y1"))
    # A stream of one element has no axis left.
    first, second = (*shape, 1, 1)[:2]
    return 0, 0, first, second


def _window(keywords: Mapping[str, Any], names: Sequence[str]) -> tuple[int, int, int, int]:
    """Return first and last pixels from keywords with two first pixels and two lengths."""
    first, second, length, other = (_pixel(keywords, name) for name in names)
    return first, first + length - 1, second, second + other - 1


def _pixel(keywords: Mapping[str, Any], name: str) -> int:
    value = keywords[name]
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise KeywordTypeError(
            f"keyword {name!r} is {value!r}, which is no number of a pixel", keyword=name, found=value
        ) from None
