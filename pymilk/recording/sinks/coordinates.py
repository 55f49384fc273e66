"""Coordinates of frames along the axis of time, by the CF conventions: xarray reads them without us.

``time`` has the same nanoseconds of CLOCK_TAI as the rows. Its units say when that clock began, in UTC: leap
seconds are an attribute, which may still change when the file is finished, and no number is written twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import Array
from ...times import frame_times
from .base import Header

__all__ = ["COORDINATES", "NEVER", "coordinates_of", "time_attributes"]

#: Names and types of the coordinates.
COORDINATES = {"time": np.dtype(np.int64), "cnt0": np.dtype(np.uint64)}

#: The time of a frame without a time, which libraries read as NaT.
NEVER = int(np.iinfo(np.int64).min)


def coordinates_of(info: Array) -> dict[str, Array]:
    """Return the coordinates of frames.

    Parameters
    ----------
    info : ndarray of FRAME_ROW, shape (n,)

    Returns
    -------
    dict of ndarray, shape (n,)
        ``time``, nanoseconds of CLOCK_TAI as `frame_times` gives them, and ``cnt0``. Copies.
    """
    times = frame_times(info)
    return {"time": np.where(times == 0, NEVER, times), "cnt0": info["cnt0"].astype(np.uint64)}


def time_attributes(header: Header) -> dict[str, str]:
    """Return the attributes of ``time``, all of the same length for each header.

    Parameters
    ----------
    header : dict
        With ``tai_offset``, the seconds that TAI is ahead of UTC; without, there are no leap seconds.
    """
    offset: Any = header.get("tai_offset")
    began = np.datetime64(-int(offset or 0), "s")
    return {
        "standard_name": "time",
        "long_name": "acquisition time in UTC",
        "units": f"nanoseconds since {str(began).replace('T', ' ')}",
        "calendar": "proleptic_gregorian",
    }
