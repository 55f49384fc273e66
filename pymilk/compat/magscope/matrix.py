"""`MatrixBuffer`: a ring of rows. `LiveProfileBuffer`: the newest profile, in a ring of one row."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from .locking import Locked
from .segments import Segment, array_of, roll_back
from .underscored import Indexed
from .words import InfoWords, need_segment, positive

__all__ = ["LiveProfileBuffer", "MatrixBuffer"]

#: Read index, write index, count of unread bytes. Count goes on above the capacity.
_INDEX = struct.Struct(">3Q")

#: Values in front of the samples of a live profile: time, bead, length.
_BEFORE_SAMPLES = 3

_Locks = dict[str, Any]
_Rows = npt.NDArray[np.float64]


class MatrixBuffer(Indexed, Locked):
    """Rows of float64 in shared memory; the oldest are overwritten.

    Parameters
    ----------
    create : bool
        Make the segments; False attaches, and takes the shape from there.
    locks : dict
        Has the lock under `name`.
    name : str
        Of the segments.
    shape : tuple of int
        (rows, columns). At first all is NaN.

    Attributes
    ----------
    dtype : numpy.dtype
        float64.
    itemsize, nbytes : int
        Bytes of one value, and of all.
    strides : tuple of int
        Bytes of a row, and of a value.

    Raises
    ------
    KeyError
        There is no lock of that name.
    ValueError
        No shape, or an impossible one; or segments are smaller than they say. Nothing stays behind.
    FileExistsError, FileNotFoundError
        There are segments of that name already, or not yet.
    """

    def __init__(
        self, *, create: bool, locks: _Locks, name: str, shape: tuple[int, int] | None = None
    ) -> None:
        self.name = name
        self.lock = locks[name]
        if create:
            if shape is None:
                raise ValueError("a MatrixBuffer is created with a shape: (rows, columns)")
            rows, columns = shape
            self._size_up(positive("rows", rows), positive("columns", columns))
            self._make()
        else:
            self._attach()
        self._buf, self._idx_buf = self._shm.memory, self._idx_shm.memory
        self._rows = array_of(self._shm, np.float64, self.shape)
        if create:
            with self._guard:
                self._rows.fill(np.nan)

    def _size_up(self, rows: int, columns: int) -> None:
        """Set what follows from the shape."""
        self.dtype = np.dtype(np.float64)
        self.itemsize = 8
        self.shape, self.strides = (rows, columns), (8 * columns, 8)
        self.nbytes = 8 * rows * columns

    def _make(self) -> None:
        with roll_back() as made:
            for suffix, nbytes in ((" Info", 16), ("", self.nbytes), (" Index", 24)):
                made.append(Segment(self.name + suffix, nbytes))
            self._shm_info, self._shm, self._idx_shm = made
            InfoWords(self._shm_info, 2).put(*self.shape)

    def _attach(self) -> None:
        self._shm_info = Segment(f"{self.name} Info")
        rows, columns = InfoWords(self._shm_info, 2).all()
        self._size_up(rows, columns)
        self._shm, self._idx_shm = Segment(self.name), Segment(f"{self.name} Index")
        need_segment(self._shm, self.nbytes)
        need_segment(self._idx_shm, 24)

    # -- indices, in bytes

    @property
    def _turn(self) -> int:
        return self.nbytes

    def _index(self) -> tuple[int, int, int]:
        with self._guard:
            return _INDEX.unpack_from(self._idx_buf)

    def get_read_index(self) -> int:
        """Return where the next unread byte is."""
        return self._index()[0]

    def get_write_index(self) -> int:
        """Return where the next byte is written."""
        return self._index()[1]

    def get_count_index(self) -> int:
        """Return how many bytes were written since the last read, also those that were overwritten."""
        return self._index()[2]

    # -- rows

    def write(self, np_array: npt.NDArray[Any]) -> None:
        """Write rows behind the newest one. Never refuses for want of room: the oldest rows are overwritten.

        Parameters
        ----------
        np_array : ndarray, shape (n, columns)
            At most as many rows as there are. Other types than float64 are converted.

        Raises
        ------
        AssertionError
            Too many rows, or another number of columns.
        IndexError, AttributeError
            It has one axis; it is no array.
        ValueError
            It has further axes that are longer than 1, or cannot be converted.
        """
        given = np_array.shape
        rows, columns = self.shape
        count = given[0]
        if count > rows or given[1] != columns:
            raise AssertionError(f"at most {rows} rows of {columns} values, not {given}")
        if len(given) > 2:
            np_array = np_array.reshape(count, columns)
        with self._guard:
            read, write, unread = _INDEX.unpack_from(self._idx_buf)
            row = write // (8 * columns) % rows
            if row + count <= rows:
                self._rows[row : row + count] = np_array
            else:
                first = rows - row
                self._rows[row:] = np_array[:first]
                self._rows[: count - first] = np_array[first:]
            nbytes = 8 * columns * count
            _INDEX.pack_into(self._idx_buf, 0, read, (write + nbytes) % self.nbytes, unread + nbytes)

    def read(self) -> _Rows:
        """Take the unread rows.

        Returns
        -------
        ndarray of float64, shape (n, columns)
            A copy, oldest first. After an overrun the newest `shape[0]` rows.
        """
        rows, columns = self.shape
        with self._guard:
            _, write, unread = _INDEX.unpack_from(self._idx_buf)
            count = min(unread // (8 * columns), rows)
            end = write // (8 * columns) % rows
            found = self._ordered(end, count)
            _INDEX.pack_into(self._idx_buf, 0, write, write, 0)
        return found

    def _ordered(self, end: int, count: int) -> _Rows:
        """Copy the last rows before row `end`, around the end of the ring."""
        rows: _Rows = self._rows
        start = end - count
        return rows[start:end].copy() if start >= 0 else np.concatenate((rows[start:], rows[:end]))

    def peak_unsorted(self) -> _Rows:
        """Return a writable view of all rows, in the order of memory."""
        with self._guard:
            view: _Rows = self._rows[:]
        return view

    def peak_sorted(self) -> _Rows:
        """Return a copy of all rows, oldest first; NaN where none was written."""
        with self._guard:
            rows = self.shape[0]
            return self._ordered(_INDEX.unpack_from(self._idx_buf)[1] // self.strides[0] % rows, rows)


class LiveProfileBuffer:
    """The newest profile: one row of time, bead, length, samples, and NaN to its end. At first all is NaN.

    Parameters
    ----------
    create : bool
        Make the segments; False attaches, and takes the capacity from there.
    locks : dict
        Has the lock under `name`.
    profile_capacity : int
        Most samples.
    name : str, default "LiveProfileBuffer"

    Raises
    ------
    KeyError, ValueError, FileExistsError, FileNotFoundError
        As `MatrixBuffer`.
    """

    def __init__(
        self,
        *,
        create: bool,
        locks: _Locks,
        profile_capacity: int | None = None,
        name: str = "LiveProfileBuffer",
    ) -> None:
        shape = None
        if create:
            if profile_capacity is None:
                raise ValueError("a LiveProfileBuffer is created with a profile_capacity")
            shape = 1, _BEFORE_SAMPLES + positive("profile_capacity", profile_capacity)
        self._buffer = MatrixBuffer(create=create, locks=locks, name=name, shape=shape)
        rows, columns = self._buffer.shape
        if rows != 1 or columns < _BEFORE_SAMPLES:
            raise ValueError(f"shared memory {name!r} has shape ({rows}, {columns}): it is no live profile")
        self.profile_capacity = columns - _BEFORE_SAMPLES

    @property
    def shape(self) -> tuple[int, int]:
        """(1, 3 + profile_capacity)."""
        return self._buffer.shape

    def clear(self) -> None:
        """Set all to NaN."""
        self._buffer.write(np.full(self.shape, np.nan))

    def write_profile(self, timestamp: float, bead_id: int, profile: npt.NDArray[Any]) -> None:
        """Replace the profile.

        Parameters
        ----------
        timestamp : float
        bead_id : int
        profile : ndarray, shape (n,)
            At most `profile_capacity` samples.

        Raises
        ------
        ValueError
            It is too long, or has further axes. Nothing was written.
        AttributeError, IndexError
            It is no array, or has no axis.
        """
        length = profile.shape[0]
        if length > self.profile_capacity:
            raise ValueError(f"the profile has {length} samples; at most {self.profile_capacity} fit")
        row = np.full(self.shape, np.nan)
        row[0, :_BEFORE_SAMPLES] = timestamp, bead_id, length
        row[0, _BEFORE_SAMPLES : _BEFORE_SAMPLES + length] = profile
        self._buffer.write(row)

    def peak_unsorted(self) -> _Rows:
        """Return a writable view of the row, shape (1, 3 + profile_capacity)."""
        return self._buffer.peak_unsorted()
