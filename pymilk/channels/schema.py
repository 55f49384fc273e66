"""The columns of a table as keywords of its stream, and back.

Each column has two keywords: ``PMC1`` holds its type, and the name of the column as the comment; ``PMO1``
its first byte in the row. ``PMCOLS`` is the number of columns. What is in a file is checked before it is
used.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from .._core import Keyword, Stream
from ..arguments import shown
from ..errors import ChannelArgumentError, ChannelFormatError
from ..streams.kinds import KIND

__all__ = [
    "checked_columns",
    "columns_text",
    "keywords_of_columns",
    "read_columns",
    "read_type",
    "type_text",
    "word_of_rows",
]

#: Most columns: two keywords each, of 65535 that a stream can have.
MOST_COLUMNS = 32_000

_COUNT, _TYPE, _OFFSET = "PMCOLS", "PMC", "PMO"

#: Type of a column, and its axes if a value is an array: "<f8", "|S20", "<M8[ns]", "<f4 3,4".
_PATTERN = re.compile(r"([<>|][biufcSUV?]\d{1,6}|[<>][mM]8\[[0-9a-zA-Z]{1,8}\])(?: (\d{1,9}(?:,\d{1,9})*))?")

#: Dtypes of streams in which a row of such values alone is stored as it is.
_WORDS = frozenset("|u1 |i1 <u2 <i2 <u4 <i4 <u8 <i8 <f2 <f4 <f8 <c8 <c16".split())  # noqa: SIM905


def checked_columns(dtype: Any, name: str) -> np.dtype[Any]:
    """Return the dtype of rows, or raise `ChannelArgumentError`.

    Parameters
    ----------
    dtype : dtype_like
        With named fields of numbers, bool, dates, or text and bytes of fixed length, or arrays of these.
    name : str
        Of the table, for messages.
    """

    def refused(why: str) -> ChannelArgumentError:
        return ChannelArgumentError(
            f"table {shown(name)}: the dtype of its rows {why}", channel=name, argument="dtype", found=dtype
        )

    try:
        rows: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:  # the last one of texts, such as "f4,,"
        raise refused(f"cannot be {shown(dtype)}: {str(error)[:400]}") from None
    if rows.names is None or not rows.names or rows.itemsize == 0:
        raise refused(f"needs named columns, like [('t', 'f8'), ('x', 'f4')]; this is {dtype!r}")
    if len(rows.names) > MOST_COLUMNS:
        raise refused(f"has {len(rows.names)} columns, {MOST_COLUMNS} are the most")
    for column in rows.names:
        text = type_text(rows[column])
        if rows[column].base.names or not _PATTERN.fullmatch(text) or len(text) > 16:
            raise refused(
                f"has a column {column!r} of {rows[column]}: a column has numbers, bool, dates, text or "
                "bytes of fixed length, or arrays of these whose axes and type take 16 characters"
            )
        if not 1 <= len(column.encode()) <= 80 or "\0" in column:
            raise refused(f"has a column name of {len(column.encode())} bytes, {column!r}; 80 are the most")
    return rows


def word_of_rows(rows: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the stream: that of all values if they are of one, without gaps; else bytes."""
    assert rows.names is not None
    bases = {rows[column].base for column in rows.names}
    base = bases.pop()
    filled = sum(rows[column].itemsize for column in rows.names) == rows.itemsize
    return base if not bases and filled and base.str in _WORDS else np.dtype(np.uint8)


def keywords_of_columns(rows: np.dtype[Any]) -> list[Keyword]:
    """Return the keywords that say what is in a row. The one that makes the stream a table is the last."""
    assert rows.names is not None
    assert rows.fields is not None
    words = [Keyword(_COUNT, len(rows.names), "columns of the table")]
    for number, column in enumerate(rows.names, 1):
        words.append(Keyword(f"{_TYPE}{number}", type_text(rows[column]), column))
        words.append(Keyword(f"{_OFFSET}{number}", int(rows.fields[column][1]), "first byte in the row"))
    return [*words, Keyword(KIND, "table", "a frame is a row of a table")]


def read_columns(stream: Stream) -> np.dtype[Any]:
    """Return the dtype of the rows of a table.

    Raises
    ------
    ChannelFormatError
        The stream is no table, or its keywords contradict each other.
    """
    words = {each.name: each for each in stream.read_keywords()}
    nbytes = math.prod(stream.frame_shape) * stream.dtype.itemsize

    def refused(field: str, expected: Any, found: Any) -> ChannelFormatError:
        return ChannelFormatError(
            f"stream {stream.name!r} is no table: keyword {field} is {found!r}, not {expected!r}",
            channel=stream.name, path=stream.path, field=field, expected=expected, found=found,
        )  # fmt: skip

    def value(field: str) -> Any:
        return words[field].value if field in words else None

    if value(KIND) != "table":
        raise refused(KIND, "table", value(KIND))
    count = value(_COUNT)
    if type(count) is not int or not 1 <= count <= MOST_COLUMNS:
        raise refused(_COUNT, f"a number from 1 to {MOST_COLUMNS}", count)
    names, formats, offsets = [], [], []
    for number in range(1, count + 1):
        field, place = f"{_TYPE}{number}", f"{_OFFSET}{number}"
        column, offset = read_type(value(field)), value(place)
        if column is None:
            raise refused(field, "the type of a column", value(field))
        base, axes = column
        size = base.itemsize * math.prod(axes)
        if type(offset) is not int or not 0 <= offset <= nbytes - size:
            raise refused(place, f"a place from 0 to {nbytes - size} for {size} bytes", offset)
        names.append(words[field].comment)
        formats.append((base, axes) if axes else base)
        offsets.append(offset)
    try:
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": nbytes})
    except (ValueError, TypeError, OverflowError) as error:  # two columns of one name
        raise refused(_COUNT, f"{count} different columns ({error})", names) from None


def columns_text(rows: np.dtype[Any]) -> str:
    """Return the columns in words, for people: ``t <f8 at 0, x <f4 3 at 8``."""
    assert rows.names is not None
    assert rows.fields is not None
    return ", ".join(f"{name} {type_text(rows[name])} at {rows.fields[name][1]}" for name in rows.names)


def type_text(column: np.dtype[Any]) -> str:
    """Return a type, and its axes if it has some, as text: ``<f4 3,4``."""
    axes = ",".join(map(str, column.shape))
    return f"{column.base.str} {axes}" if axes else column.base.str


def read_type(text: Any, *, empty: bool = False) -> tuple[np.dtype[Any], tuple[int, ...]] | None:
    """Return base and axes of a type; None if the text says none. `empty`: axes may be 0."""
    found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        base: np.dtype[Any] = np.dtype(found[1])
    except (TypeError, ValueError):
        return None
    axes = tuple(int(axis) for axis in found[2].split(",")) if found[2] else ()
    return (base, axes) if base.itemsize and (empty or all(axes)) else None
