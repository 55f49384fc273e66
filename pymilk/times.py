"""Stored times and the clocks they were read from.

Writers stamp frames with CLOCK_TAI, as integer nanoseconds since 1970-01-01 TAI here. TAI is ahead of
UTC by an offset (37 s since 2017) that the kernel knows only if a time service set it; a machine
without one says 0, and then CLOCK_TAI reads UTC. Converting with the kernel's own offset is right in
both cases for streams of the same machine.
"""

from __future__ import annotations

import datetime
import re
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from .arguments import bad_argument, is_number, whole_number
from .errors import StreamFormatError

__all__ = [
    "LAST_DATE_NS", "StreamSpan", "StreamTime", "frame_times", "from_user", "last_written", "now_ns",
    "tai_offset",
    "to_local", "to_utc",
]  # fmt: skip

#: Number of CLOCK_TAI, the clock of every time stored in a stream. Linux since 3.10.
CLOCK_TAI = 11

#: Largest offset of TAI that is taken for one, and largest seconds since 1970 that fit into 64 bits of ns.
_OFFSETS = 86_400
_SECONDS = 2**63 / 1e9

#: Stored times up to this one have a date: a NumPy time in nanoseconds ends in the year 2262.
LAST_DATE_NS = 9_200_000_000_000_000_000


#: Formats of numbers, ``.3f``: they have no directive of a date, which begins with %.
_OF_NUMBERS = re.compile(r"(?:.?[<>=^])?[+\- ]?z?#?0?\d*[_,]?(?:\.\d+)?[eEfFgGn]")


def now_ns() -> int:
    """Read CLOCK_TAI: integer nanoseconds, comparable with the times stored in streams."""
    return time.clock_gettime_ns(CLOCK_TAI)


def last_written(written_ns: int, deleted: bool = False) -> str:
    """Return what is known of the writer of a stream that has no new frame, for messages.

    Parameters
    ----------
    written_ns : int
        When it published last; 0 if it stores no times.
    deleted : bool, default False
        The file of the stream was deleted.
    """
    if deleted:
        return "its file was deleted"
    if not written_ns:
        return "its writer stores no times; is it running?"
    return f"last written {(now_ns() - written_ns) / 1e9:.3g} s ago; is its writer running?"


def tai_offset() -> int:
    """Return how many seconds the kernel's CLOCK_TAI is ahead of UTC now: 37, or 0 if it was never set."""
    while True:
        before = time.clock_gettime_ns(CLOCK_TAI)
        utc = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = time.clock_gettime_ns(CLOCK_TAI)
        # The offset is whole seconds. Readings that are far apart are useless: this thread was held up,
        # or the clock was set.
        if 0 <= after - before < 100_000_000:
            return round(((before + after) / 2 - utc) / 1e9)


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

    Raises
    ------
    StreamArgumentError
        Those are no integers, or the offset is more than a day.
    """
    seconds = tai_offset() if offset is None else whole_number(offset)
    if seconds is None or not -_OFFSETS <= seconds <= _OFFSETS:
        raise bad_argument("offset", offset, f"whole seconds, {-_OFFSETS} to {_OFFSETS}")
    try:
        stamps = np.asarray(tai_ns, dtype=np.int64)
    except (OverflowError, ValueError, TypeError):
        raise bad_argument("tai_ns", tai_ns, "a number of nanoseconds that fits into 64 bits") from None
    utc = (stamps - seconds * 1_000_000_000).astype("datetime64[ns]")
    return np.where(stamps == 0, np.datetime64("NaT", "ns"), utc)[()]


def frame_times(info: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return when frames were acquired, or another time of their rows.

    Parameters
    ----------
    info : ndarray of FRAME_ROW, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        Nanoseconds of CLOCK_TAI: ``atime_ns``; where that has no date, because it is 0, which means "never",
        or invalid, ``writetime_ns``; else ``arrival_ns``.
    """
    found: npt.NDArray[np.int64] = info["arrival_ns"].astype(np.int64)
    for column in ("writetime_ns", "atime_ns"):
        stamps = info[column]
        found = np.where((stamps > 0) & (stamps <= LAST_DATE_NS), stamps, found)
    return found


class _AlsoNumber:
    """Comparison, rounding and formats of what is also a number: with numbers, the number is taken.

    It stands before the class of `datetime` that does everything else.
    """

    __slots__ = ()

    def __float__(self) -> float:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return float(self) == other if is_number(other) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return float(self) != other if is_number(other) else super().__ne__(other)

    def __hash__(self) -> int:
        return super().__hash__()

    def __lt__(self, other: Any) -> bool:
        return float(self) < other if is_number(other) else super().__lt__(other)  # type: ignore[misc]

    def __le__(self, other: Any) -> bool:
        return float(self) <= other if is_number(other) else super().__le__(other)  # type: ignore[misc]

    def __gt__(self, other: Any) -> bool:
        return float(self) > other if is_number(other) else super().__gt__(other)  # type: ignore[misc]

    def __ge__(self, other: Any) -> bool:
        return float(self) >= other if is_number(other) else super().__ge__(other)  # type: ignore[misc]

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self), digits)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if _OF_NUMBERS.fullmatch(spec) else super().__format__(spec)


class StreamSpan(_AlsoNumber, datetime.timedelta):
    """The time between two times of a stream: a timedelta that is also a number of seconds."""

    def __float__(self) -> float:
        return self.total_seconds()


class StreamTime(_AlsoNumber, datetime.datetime):
    """A naive local datetime that is also a number: ``float(t)`` is seconds since 1970.

    Existing scripts expect times of streams as the one or as the other. With numbers it compares and
    calculates as the number, with datetimes and timedeltas as the datetime; what lies between two of them is
    a `StreamSpan`. `round`, `int` and formats of numbers take the number.
    """

    def __float__(self) -> float:
        return self.timestamp()

    def __add__(self, other: Any) -> Any:
        return float(self) + other if is_number(other) else super().__add__(other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if is_number(other):
            return float(self) - other
        found = super().__sub__(other)
        if isinstance(found, datetime.timedelta) and isinstance(other, StreamTime):
            return StreamSpan(found.days, found.seconds, found.microseconds)
        return found

    def __rsub__(self, other: Any) -> Any:
        if is_number(other):
            return other - float(self)
        return NotImplemented

    def __int__(self) -> int:
        return int(float(self))


def to_local(stamp_ns: int) -> StreamTime:
    """Return a stored time as existing scripts see it: local, without conversion from TAI to UTC.

    Parameters
    ----------
    stamp_ns : int
        Nanoseconds, as stored in a stream; 0 is 1970-01-01 00:00 UTC.

    Returns
    -------
    StreamTime
        With microseconds.

    Raises
    ------
    StreamFormatError
        The stored value is not a time in the years 1 to 9999.
    StreamArgumentError
        It is no integer.
    """
    if whole_number(stamp_ns) is None:
        raise bad_argument("stamp_ns", stamp_ns, "a number of nanoseconds")
    stamp_ns = int(stamp_ns)
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    try:
        return StreamTime.fromtimestamp(seconds).replace(microsecond=nanoseconds // 1000)
    except (OverflowError, OSError, ValueError):
        raise StreamFormatError(
            f"stored time {stamp_ns} ns since 1970 is out of range; its writer stored no valid time",
            field="time",
            expected="years 1 to 9999",
            found=stamp_ns,
        ) from None


def from_user(given: datetime.datetime | float, stream: str, argument: str = "atime") -> int:
    """Convert a time that a user gave to nanoseconds since 1970; they are stored unchanged.

    Parameters
    ----------
    given : datetime or float
        A naive datetime is local time. A number is seconds since 1970. No leap seconds are added.
    stream : str
        Name of the stream, for the message.
    argument : str, default "atime"
        Name of the argument, for the message.

    Raises
    ------
    StreamArgumentError
        It is not a time, or one that does not fit into 64 bits of nanoseconds.
    """
    dated = isinstance(given, datetime.datetime)
    try:
        seconds = given.timestamp() if isinstance(given, datetime.datetime) else given
    except (OverflowError, ValueError, OSError):
        seconds = float("nan")  # without a zone, and so close to year 1 or 10000 that local time has none
    # Integers of 310 digits and more are no float, and are compared before they could become one.
    if not is_number(seconds) or not -_SECONDS < seconds < _SECONDS:
        wanted = "a datetime or seconds since 1970"
        raise bad_argument(argument, given, f"{wanted}, up to the year 2262" if dated else wanted, stream)
    if dated:
        return round(seconds * 1e6) * 1000
    whole, part = divmod(float(seconds), 1.0)
    return int(whole) * 1_000_000_000 + round(part * 1e9)
