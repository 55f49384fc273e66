"""Headers of recordings: the facts that every format stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import Keyword
from .._version import __version__
from ..arguments import bad_argument
from ..axes import Orientation
from ..errors import StreamArgumentError, StreamFormatError
from ..native.formats import dtype_name
from ..times import frame_times, tai_offset
from .sinks import Header
from .sinks.base import CLOCK

__all__ = [
    "FileAccount",
    "check_header",
    "checked_keywords",
    "first_time",
    "header_of",
    "orientation_of",
    "words_of_axes",
]


#: Longest name of a keyword, as in streams.
_KEYWORD_LETTERS = 16


def words_of_axes(orientation: Orientation) -> str:
    """Return how `Recording.frames` is indexed, in words: ``frames[k, y, x]``, where x is size[0]."""
    names = "xyz"[: len(orientation.stream_shape)][::-1]
    seen = [names[axis] for axis in orientation.axes]
    flips = [f"-{name}" if at in orientation.flipped else name for at, name in enumerate(seen)]
    return f"frames[{', '.join(['k', *flips])}]; x runs fastest in the stream"


def first_time(info: npt.NDArray[Any]) -> int:
    """Return when the first frame was acquired, in nanoseconds of CLOCK_TAI, or another time of its row.

    See `frame_times`.
    """
    return int(frame_times(info[:1])[0])


def checked_keywords(given: Any) -> tuple[Keyword, ...]:
    """Return keywords that a user gives for headers.

    Parameters
    ----------
    given : mapping or None
        Names to values (int, float or str), or to (value, comment).

    Raises
    ------
    StreamArgumentError
        Something else.
    """
    if not isinstance(given, Mapping | None):
        raise bad_argument("keywords", given, "a mapping of names to values, or to (value, comment)")
    found = []
    for name, entry in (given or {}).items():
        value, comment = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, "")
        texts = [each for each in (name, value, comment) if not isinstance(each, (int, float))]
        if (
            not (isinstance(name, str) and 1 <= len(name.strip()) == len(name) <= _KEYWORD_LETTERS)
            or not all(isinstance(each, str) and each.isprintable() for each in texts)
            or not isinstance(comment, str)
            or (isinstance(value, int) and not -(2**63) <= value < 2**63)
        ):
            raise StreamArgumentError(
                f"keywords: {name!r} cannot be {entry!r}: names have 1 to {_KEYWORD_LETTERS} letters, values "
                "are ints of 64 bits, floats or printable texts, each perhaps with a comment",
                argument="keywords",
                found={name: entry},
            )
        found.append(Keyword(name, int(value) if isinstance(value, bool) else value, comment))
    return tuple(found)


def orientation_of(header: Header, path: str) -> Orientation:
    """Return how the user saw the frames of a recording.

    Parameters
    ----------
    header : dict
        See `header_of`.
    path : str
        Of the recording, for the message.

    Raises
    ------
    StreamFormatError
        The header has no valid orientation.
    """
    try:
        shape = tuple(int(length) for length in header["stream_shape"])
        return Orientation(shape, header["symcode"], header["tri_dim"], header["squeeze"])
    except (KeyError, TypeError, ValueError) as error:
        raise StreamFormatError(
            f"{path}: the header of the recording is damaged, it does not tell the orientation: {error!r}",
            path=path,
            field="header",
            expected=["stream_shape", "symcode", "tri_dim", "squeeze"],
            found=header,
        ) from error


#: What a header may have under these names, beside nothing: texts, and integers of 64 bits.
_TEXTS = ("pymilk", "stream", "dtype", "axes", "clock", "ended")
_NUMBERS = ("started_ns", "first_ns", "frames", "lost", "part", "series_ns")

#: Most seconds that TAI and UTC can be apart.
_MOST_OFFSET = 10**6


def check_header(header: Header, path: str) -> None:
    """Raise if a header has something else than `header_of` writes; what it lacks is another question.

    Raises
    ------
    StreamFormatError
    """
    wrong = [key for key in _TEXTS if not isinstance(header.get(key), str | None)]
    wrong += [key for key in _NUMBERS if not (header.get(key) is None or _is_number(header[key], 2**63))]
    if "tai_offset" in header and not _is_number(header["tai_offset"], _MOST_OFFSET):
        wrong.append("tai_offset")
    keywords = header.get("keywords", [])
    if not (isinstance(keywords, list) and all(map(_is_keyword, keywords))):
        wrong.append("keywords")
    if wrong:
        found = repr(str(header[wrong[0]])[:40])
        what = f"are not name, value and comment, but {found}" if wrong[0] == "keywords" else f"is {found}"
        raise StreamFormatError(
            f"{path}: the header of the recording is damaged: {wrong[0]} {what}",
            path=path,
            field=wrong[0],
            found=header[wrong[0]],
        )


def _is_number(value: Any, limit: int) -> bool:
    return type(value) is int and -limit <= value < limit


def _is_keyword(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and isinstance(entry[2], str)
        and not isinstance(entry[1], list | dict)
    )


@dataclass(frozen=True)
class FileAccount:
    """The counts and times in the header of a file.

    Attributes
    ----------
    started_ns, first_ns : int
        When the recording began, and when the first frame was acquired, in nanoseconds of CLOCK_TAI.
    frames, lost : int
        In this file.
    ended : str
        "running": the file is not finished; "complete" (all frames), "time", "stopped", "error", or
        "next file" in a series.
    part : int or None
        Number in a series.
    series_ns : int or None
        When the series began: the same in all of its files.
    """

    started_ns: int
    first_ns: int
    frames: int
    lost: int
    ended: str
    part: int | None = None
    series_ns: int | None = None


def header_of(
    stream: str,
    dtype: np.dtype[Any],
    orientation: Orientation,
    *,
    keywords: Iterable[Iterable[Any]],
    account: FileAccount,
) -> Header:
    """Return the header of a file.

    Parameters
    ----------
    stream : str
        Its name.
    dtype : dtype
        Of the pixels.
    orientation : Orientation
        How the user sees the frames.
    keywords : iterable of (name, value, comment)
    account : FileAccount

    Returns
    -------
    dict
        Of plain values, see `pymilk.Recording`.
    """
    return {
        "pymilk": __version__,
        "stream": stream,
        "dtype": dtype_name(dtype),
        "shape": list(orientation.shape),
        "stream_shape": list(orientation.stream_shape),
        "axes": words_of_axes(orientation),
        "symcode": orientation.symcode,
        "tri_dim": orientation.tri_dim,
        "squeeze": orientation.squeeze,
        "clock": CLOCK,
        "tai_offset": tai_offset(),
        "started_ns": account.started_ns,
        "first_ns": account.first_ns,
        "frames": account.frames,
        "lost": account.lost,
        "ended": account.ended,
        "part": account.part,
        "series_ns": account.series_ns,
        "keywords": [list(each) for each in keywords],
        "complete": account.ended not in ("running", "error"),
    }
