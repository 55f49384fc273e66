"""`Table`: rows of one dtype, from one process to any number of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import Stream
from .._types import Array
from ..arguments import Replace, check_count, shown
from ..errors import ChannelArgumentError, StreamArgumentError
from ..system.arrays import unmasked
from ..system.extras import optional_library
from .ringed import RingChannel, create_stream, open_stream
from .schema import checked_columns, keywords_of_columns, read_columns, word_of_rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Rows", "Table"]


class Rows:
    """Rows of a table that were read at once: a copy.

    Attributes
    ----------
    data : ndarray, shape (n,)
        Structured, with the dtype of the table.
    info : ndarray of FRAME_ROW, shape (n,)
        ``cnt0``, the number of the row; its times in nanoseconds of CLOCK_TAI: ``atime_ns`` as given to
        `append`, ``writetime_ns``; ``lost``, rows missing in front of it.
    """

    def __init__(self, data: Array, info: Array) -> None:
        self.data, self.info = data, info

    @property
    def lost(self) -> int:
        """Rows that were overwritten between the one that was read before and the last of these."""
        return int(self.info["lost"].sum())

    @property
    def numbers(self) -> Array:
        """Numbers of the rows, from 1: uint64, shape (n,)."""
        return self.info["cnt0"]

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`, a copy, indexed by their numbers.

        A column whose values are arrays becomes one column for each element: ``pos[0]``, ``pos[1]``.

        Raises
        ------
        LibraryMissingError
        """
        pandas = optional_library("pandas", "pandas", "data frames of tables")
        columns: dict[str, Array] = {}
        for name in self.data.dtype.names or ():
            values = self.data[name]
            if values.ndim == 1:
                columns[name] = _native(values)
            else:
                for index in np.ndindex(values.shape[1:]):
                    element = ",".join(map(str, index))
                    at = (slice(None), *index)
                    columns[f"{name}[{element}]"] = _native(values[at])
        return pandas.DataFrame(columns, index=pandas.Index(self.numbers, name="number"))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __repr__(self) -> str:
        return f"<Rows: {len(self)}, {self.lost} lost before>"


class Table(RingChannel):
    """Rows of one dtype, from one writer to any number of readers, each of which gets every row once.

    The writer never waits: the oldest rows give way. A reader that is too slow is told how many rows it
    missed. Made by `create` or `attach`.

    Attributes
    ----------
    name, path : str
    dtype : numpy.dtype
        Of a row.
    stream : Stream
        The stream that holds the rows, one in each frame.
    writing : bool

    Examples
    --------
    >>> from pymilk.channels import Table
    >>> columns = [("seconds", "f8"), ("strehl", "f4")]
    >>> with Table.create("doc_table", columns, replace=True) as table, Table.attach("doc_table") as reader:
    ...     number = table.append((0.5, 0.25))
    ...     number = table.append([(1.0, 0.5), (1.5, 0.125)])
    ...     print(reader.read(timeout=1)["strehl"], table.last(2, sort_by="strehl")["seconds"])
    ...     table.remove()
    [0.25  0.5   0.125] [1.5 1. ]
    """

    _what = "table"

    def __init__(self) -> None:
        raise TypeError("a Table is made by Table.create or Table.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        dtype: Any,
        rows: int = 1024,
        *,
        replace: Replace = False,
        mode: int | None = None,
    ) -> Self:
        """Make a table, and be its writer.

        Parameters
        ----------
        name : str or PathLike
            Of its stream.
        dtype : dtype_like
            Of a row: named columns of numbers, bool, dates, text or bytes of fixed length, or arrays of
            these.
        rows : int, default 1024
            Rows that can be read behind the newest one.
        replace : bool or "if-free", default False
            See `pymilk.Stream.create`.
        mode : int, optional
            Permissions of the file.

        Raises
        ------
        ChannelArgumentError, StreamNameError, StreamArgumentError
        StreamExistsError, StreamInUseError, StreamLockedError, StreamPermissionError, StreamStorageError
        """
        plain = os.fspath(name) if isinstance(name, os.PathLike) else name
        columns = checked_columns(dtype, plain)
        depth = check_count("rows", rows, "rows", below=2**32 - 1)
        word = word_of_rows(columns)
        shape = (columns.itemsize // word.itemsize,)
        words = keywords_of_columns(columns)
        stream = create_stream(name, shape, word, depth, words, replace=replace, mode=mode)
        return cls._of(stream, columns, True)

    @classmethod
    def attach(cls, name: str | os.PathLike[str], *, write: bool = False, start: str = "now") -> Self:
        """Attach a table that exists.

        Parameters
        ----------
        name : str or PathLike
        write : bool, default False
            Go on writing it. A table has one writer.
        start : {"now", "oldest"}, default "now"
            Where a reader begins: behind the newest row, or at the oldest one that is there.

        Raises
        ------
        ChannelFormatError
            The stream is no table.
        ChannelArgumentError, StreamNotFoundError, StreamPermissionError, StreamFormatError
        StreamLockedError
            Another object writes it.
        """
        place = cls._start(start)
        stream, columns = open_stream(name, write, read_columns)
        return cls._of(stream, columns, write, place)

    @classmethod
    def _of(cls, stream: Stream, columns: np.dtype[Any], write: bool, start: str = "next") -> Self:
        table = cls.__new__(cls)
        table.dtype = columns
        RingChannel.__init__(table, stream, write, start)
        return table

    dtype: np.dtype[Any]

    def _check_frames(self, stream: Stream) -> None:
        found = read_columns(stream)
        if found != self.dtype:
            raise self._other_file("columns", self.dtype, found)

    def append(self, rows: Any, *, time_ns: int | None = None) -> int:
        """Write a row, or several.

        Parameters
        ----------
        rows : tuple, dict, structured scalar or array, or list of these
            A tuple or dict is a row, with a value for each column. An array has the dtype of the table.
        time_ns : int, optional
            When they were acquired, nanoseconds of CLOCK_TAI. Default: now.

        Returns
        -------
        int
            Number of the last row, from 1.

        Raises
        ------
        ChannelArgumentError
            A value or dtype does not fit. Nothing was written.
        ChannelReadOnlyError, StreamClosedError, StreamDamagedError
        """
        self._check_writing()
        frames = self._frames(rows)
        if len(frames) == 1:
            return self.stream.publish(frames[0], atime_ns=time_ns)
        if len(frames) == 0:
            return self.stream.counter
        times = None if time_ns is None else np.full(len(frames), time_ns, np.int64)
        return self.stream.publish_many(frames, atimes_ns=times)

    def _frames(self, rows: Any) -> Array:
        """Return rows as frames of the stream, shape (n, words)."""
        if isinstance(rows, (np.ndarray, np.void)):
            array = np.asarray(unmasked(rows, "rows"))
            if array.dtype != self.dtype or array.ndim > 1:
                raise self._mismatch("rows", f"{array.dtype} {array.shape}", f"an array (n,) of {self.dtype}")
        else:
            array = self._array(rows)
        # Gaps between columns are copied as they are.
        block = np.ascontiguousarray(array.reshape(-1))
        return block.view(np.uint8).reshape(len(block), self.dtype.itemsize).view(self.stream.dtype)

    def _array(self, rows: Any) -> Array:
        """Make an array of tuples and dicts. Not of lists: NumPy fills all columns with one number."""
        given = rows if isinstance(rows, list) else [rows]
        array = np.zeros(len(given), self.dtype)
        for index, row in enumerate(given):
            values = self._values(row)
            try:
                array[index] = values = tuple(
                    unmasked(each, name) if isinstance(each, np.ndarray) else each
                    for name, each in zip(self._names, values, strict=True)
                )
            except (TypeError, ValueError, OverflowError) as error:
                if isinstance(error, StreamArgumentError):  # of masks
                    raise
                raise self._mismatch("a row", f"{row!r} ({error})", f"values for {self.dtype}") from None
            for column in self._texts:
                value = values[column]
                if isinstance(value, (str, bytes)) and array[index][column] != value:
                    raise self._mismatch(
                        f"column {self._names[column]!r}", f"{value!r}", f"text that {self.dtype[column]} has"
                    )
        return array

    def _values(self, row: Any) -> tuple[Any, ...]:
        if isinstance(row, np.void) and row.dtype == self.dtype:
            return tuple(row[name] for name in self._names)
        if isinstance(row, dict) and row.keys() == set(self._names):
            return tuple(row[name] for name in self._names)
        if isinstance(row, tuple) and len(row) == len(self._names):
            return row
        wanted = f"a tuple or dict with the {len(self._names)} values {', '.join(self._names)}"
        raise self._mismatch("a row", repr(row), wanted)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.dtype.names or ()

    @property
    def _texts(self) -> list[int]:
        """Columns of text or bytes, which NumPy cuts where they are too long."""
        return [index for index in range(len(self._names)) if self.dtype[index].kind in "SU"]

    def read(self, timeout: float | None = None, limit: int | None = None) -> Rows:
        """Return all unread rows; wait for one if there are none.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.
        limit : int, optional
            Most rows.

        Returns
        -------
        Rows
            One or more.

        Raises
        ------
        ChannelTimeoutError, ChannelRemovedError, ChannelFormatError
            As `wait`; the table was made anew with other columns.
        StreamClosedError, StreamDamagedError, StreamChangedError, StreamBusyError, StreamArgumentError
        """
        while True:
            self.wait(timeout)
            rows, count = self._read_now(limit)
            if count:
                return rows

    def read_many(self, limit: int | None = None) -> Rows:
        """Return all unread rows, at most `limit`, or none. Waits for nothing; raises as `read`."""
        return self._read_now(limit)[0]

    def _read_now(self, limit: int | None) -> tuple[Rows, int]:
        """Return the unread rows, and how many: asked here, where they are not lost by an exception."""
        undo = self.reader._undoing()
        try:
            rows = self._rows(*self._take(limit))
            count = len(rows)
        except BaseException as error:  # of a signal handler too
            self._leave_unread(error, undo)
            raise
        return rows, count

    def last(self, n: int = 1, *, sort_by: str | list[str] | None = None) -> Rows:
        """Return the newest rows, read or not; the place of the reader stays.

        Parameters
        ----------
        n : int, default 1
            Most rows; fewer if there are not so many.
        sort_by : str or list of str, optional
            Columns to sort by, the smallest value first; rows with equal values stay in their order.
            Default: the oldest row first.

        Returns
        -------
        Rows

        Raises
        ------
        ChannelArgumentError, StreamArgumentError, StreamClosedError, StreamDamagedError
        """
        keys = [sort_by] if isinstance(sort_by, str) else list(sort_by or ())
        for key in keys:
            if key not in self._names or self.dtype[key].ndim or self.dtype[key].kind == "V":
                raise ChannelArgumentError(
                    f"table {self.name!r}: sort_by is a column with single values of {self._names}, "
                    f"not {shown(key)}",
                    channel=self.name, path=self.path, argument="sort_by", found=key,
                )  # fmt: skip
        rows = self._rows(*self._newest(n))
        for key in reversed(keys):
            order = np.argsort(rows.data[key], kind="stable")
            rows = Rows(rows.data[order], rows.info[order])
        return rows

    def _rows(self, frames: Array, info: Array) -> Rows:
        data = np.ascontiguousarray(frames).view(np.uint8).view(self.dtype)
        return Rows(data.reshape(len(info)), info)

    async def read_async(self, timeout: float | None = None, limit: int | None = None) -> Rows:
        """Return all unread rows, as `read`, without blocking the event loop of asyncio.

        One thread of the process waits for all tasks. Cancelling the task ends its wait at once, and loses no
        row.
        """
        return await self._later(lambda: self.read(0, limit), timeout)

    def __iter__(self) -> Iterator[Rows]:
        while True:
            yield self.read()

    async def __anext__(self) -> Rows:
        return await self.read_async()


def _native(values: Array) -> Array:
    """Return a copy in the byte order of the machine, which pandas needs."""
    return values.astype(values.dtype.newbyteorder("="))
