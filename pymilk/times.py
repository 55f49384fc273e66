"""Stored times and the clocks they were read from.

Writers stamp frames with CLOCK_TAI, as integer nanoseconds since 1970-01-01 TAI here. TAI is ahead of
UTC by an offset (37 s since 2017) that the kernel knows only if a time service told it; a machine
without one says 0, and then CLOCK_TAI reads UTC. Converting with the kernel's own offset is right in
both cases for streams of the same machine.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

__all__ = ["now_ns", "tai_offset", "to_utc"]

#: Number of CLOCK_TAI, the clock of every time stored in a stream. Linux since 3.10.
CLOCK_TAI = 11


def now_ns() -> int:
    """Read CLOCK_TAI: integer nanoseconds, comparable with the times stored in streams."""
    return time.clock_gettime_ns(CLOCK_TAI)


def tai_offset() -> int:
    """Tell how many seconds the kernel's CLOCK_TAI is ahead of UTC now: 37, or 0 if nobody set it."""
    tai = time.clock_gettime_ns(CLOCK_TAI)
    utc = time.clock_gettime_ns(time.CLOCK_REALTIME)
    # The offset is whole seconds; the two readings are less than a microsecond apart.
    return round((tai - utc) / 1e9)


def to_utc(tai_ns: int | npt.NDArray[np.int64], offset: int | None = None) -> npt.NDArray[np.datetime64]:
    """Convert stored times to UTC.

    Parameters
    ----------
    tai_ns : int or ndarray of int64
        Nanoseconds of CLOCK_TAI. 0 means "never" and becomes NaT.
    offset : int, optional
        Seconds that TAI was ahead of UTC on the writer's machine; default `tai_offset`.

    Returns
    -------
    numpy.datetime64 or ndarray of datetime64[ns]
        Same shape as `tai_ns`. Always a copy.
    """
    seconds = tai_offset() if offset is None else offset
    stamps = np.asarray(tai_ns, dtype=np.int64)
    utc = (stamps - seconds * 1_000_000_000).astype("datetime64[ns]")
    return np.where(stamps == 0, np.datetime64("NaT", "ns"), utc)[()]
