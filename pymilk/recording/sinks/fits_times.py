"""Times in the FITS files of recordings, by the FITS standard of time coordinates.

The header has the first and the last time of the frames, and the table a column ``TIME``, which astropy and
others take for UTC without pymilk. The nanoseconds of CLOCK_TAI stand beside it, in the columns of the row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import Array
from ...times import LAST_DATE_NS, frame_times, to_utc

__all__ = ["RANGE_CARDS", "TIME_COLUMN", "range_cards", "seconds_of", "time_column_cards"]

#: The column of the table.
TIME_COLUMN = "TIME"

#: Cards of the header, with their comments.
RANGE_CARDS = {
    "DATE-BEG": "UTC of the first frame",
    "DATE-END": "UTC of the last frame",
    "MJD-BEG": "[d] DATE-BEG, as modified Julian date",
    "MJD-END": "[d] DATE-END",
}

_SECOND = 1_000_000_000
_DAY = 86400 * _SECOND

#: Modified Julian date of 1970-01-01.
_UNIX_DAY = 40587


def range_cards(first_ns: int, last_ns: int, offset: int) -> list[tuple[str, str | float | None, str]]:
    """Return the cards of the first and the last time; of a time that has no date, without a value.

    Parameters
    ----------
    first_ns, last_ns : int
        Nanoseconds of CLOCK_TAI.
    offset : int
        Seconds that TAI is ahead of UTC.
    """
    times = [each if 0 < each <= LAST_DATE_NS else 0 for each in (first_ns, last_ns)]
    dates: list[str | float | None] = [str(to_utc(each, offset)) if each else None for each in times]
    dates += [_UNIX_DAY + (each - offset * _SECOND) / _DAY if each else None for each in times]
    return [(name, date, words) for (name, words), date in zip(RANGE_CARDS.items(), dates, strict=True)]


def _first_day(first_ns: int, offset: int) -> int:
    """Return the UTC day of a time of CLOCK_TAI, in days since 1970."""
    return (first_ns - offset * _SECOND) // _DAY


def time_column_cards(number: int, first_ns: int, offset: int) -> list[tuple[str, Any, str]]:
    """Return the cards that say what the column is, and which clock it has.

    Parameters
    ----------
    number : int
        Of the column.
    first_ns : int
        Nanoseconds of CLOCK_TAI of the first frame: its day is the one that seconds are counted from.
    offset : int
        Seconds that TAI is ahead of UTC.
    """
    return [
        (f"TTYPE{number}", TIME_COLUMN, ""),
        (f"TFORM{number}", "D", ""),
        (f"TUNIT{number}", "s", "UTC since MJDREF"),
        (f"TCTYP{number}", "UTC", "a time"),
        (f"TCUNI{number}", "s", ""),
        ("TIMESYS", "UTC", "time scale"),
        ("TIMEUNIT", "s", ""),
        ("MJDREF", float(_UNIX_DAY + _first_day(first_ns, offset)), "[d] the day of the first frame begins"),
        ("TAI-UTC", offset, "[s] offset used for TIME"),
    ]


def seconds_of(rows: Array, first_ns: int, offset: int) -> Array:
    """Return the column of some rows.

    Parameters
    ----------
    rows : ndarray of FRAME_ROW, shape (n,)
    first_ns, offset : int
        As for `time_column_cards`.

    Returns
    -------
    ndarray of float64, shape (n,)
        Seconds, exact to 0.1 ns within a week.
    """
    begin = _first_day(first_ns, offset) * _DAY + offset * _SECOND
    since: Array = (frame_times(rows) - begin) / np.float64(_SECOND)
    return since
