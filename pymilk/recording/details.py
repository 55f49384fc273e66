"""What ``pymilk info FILE`` tells of a recording."""

from __future__ import annotations

import os
from typing import Any

from .recording import load
from .sinks import FITS_SUFFIXES, SUFFIXES

__all__ = ["is_recording_name", "recording_details"]

#: Fields of the header that are told, in this order.
_FIELDS = ("stream", "ended", "part", "lost", "axes", "pymilk")


def is_recording_name(name: str) -> bool:
    """Return whether a name is that of a recording or an array, and not of a stream."""
    lower = name.lower().rstrip("/").partition("[")[0]
    return lower.endswith((*SUFFIXES, *FITS_SUFFIXES))


def recording_details(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a recording, an array of others, or a series.

    Parameters
    ----------
    path : str or PathLike
        As for `pymilk.load`.

    Returns
    -------
    dict
        ``paths``, ``frames``, ``shape`` and ``dtype`` of a frame, ``complete``, ``missing`` (why not, in one
        sentence), ``gaps`` (row, lost, before, after of each), ``keywords``, and some of the header.

    Raises
    ------
    StreamError
        As for `pymilk.load`.
    """
    with load(path) as found:
        return {
            "paths": list(found.paths),
            "frames": len(found),
            "shape": list(found.frames.shape[1:]),
            "dtype": found.frames.dtype.name,
            "complete": found.complete,
            "missing": found.missing,
            "gaps": [list(map(int, gap)) for gap in found.gaps.tolist()],
            **{field: found.header.get(field) for field in _FIELDS},
            "keywords": found.header.get("keywords", []),
        }
