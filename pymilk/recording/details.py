"""What ``pymilk info FILE`` tells of a recording."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._core import FLAG_TORN, FLAG_UNCERTAIN
from ..errors import StreamArgumentError
from ..foreign.contents import content_of
from ..foreign.hdus import split_hdu
from ..native.formats import dtype_name
from .recording import Recording, load
from .sinks import FITS_SUFFIXES, SUFFIXES

__all__ = ["is_array_file", "is_recording_name", "recording_details"]

#: Fields of the header that are told, in this order.
_FIELDS = ("stream", "ended", "part", "lost", "axes", "pymilk")


def is_recording_name(name: str) -> bool:
    """Return whether a name is that of a recording or an array, and not of a stream."""
    lower = name.lower().rstrip("/").partition("[")[0]
    return lower.endswith((*SUFFIXES, *FITS_SUFFIXES))


def is_array_file(name: str) -> bool:
    """Return whether there is a file that `pymilk.load` reads by its content, whatever its name is."""
    path, _ = split_hdu(name)
    try:
        return os.path.isfile(path) and content_of(path).kind in ("fits", "npy", "hdf5")
    except OSError:
        return False


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
        sentence), ``gaps`` (row, lost, before, after of each), ``torn`` and ``uncertain`` (rows with that
        flag; None where there are no rows), ``times`` (UTC of the first and the last frame, or None),
        ``times_in`` (where other programs find the time of each frame), ``keywords``, and some of the header.

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
            "dtype": dtype_name(found.frames.dtype),
            "complete": found.complete,
            "missing": found.missing,
            "gaps": [list(map(int, gap)) for gap in found.gaps.tolist()],
            "torn": _flagged(found, FLAG_TORN),
            "uncertain": _flagged(found, FLAG_UNCERTAIN),
            "times": _times(found),
            "times_in": found.times_in,
            **{field: found.header.get(field) for field in _FIELDS},
            "keywords": found.header.get("keywords", []),
        }


def _flagged(found: Recording, flag: int) -> int | None:
    """Return how many rows have a flag, or None where there are no rows."""
    return None if found.info is None else int(np.count_nonzero(found.info["flags"] & flag))


def _times(found: Recording) -> list[str] | None:
    """Return the UTC of the first and the last frame; None if it is not known."""
    if found.info is None or not len(found):
        return None
    try:
        utc = found.utc()
    except StreamArgumentError:  # the header does not tell the offset
        return None
    return [str(utc[0]), str(utc[-1])]
