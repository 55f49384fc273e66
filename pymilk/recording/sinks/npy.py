"""NPY: a plain cube of frames, memory-mapped while it grows, and two small files beside it.

``cam.npy`` has the frames, ``cam.info.npy`` their rows, ``cam.info.json`` the header. The cube grows in
pieces whose disk blocks are reserved first. The count in the header of the file is updated after the frames
are written, so that each file is valid at any moment.
"""

from __future__ import annotations

import math
import mmap
import os
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...foreign.hdus import Hdu
from ...system.files import delete
from .base import (
    Header,
    Sink,
    Stored,
    batch_of,
    header_of_json,
    json_of_header,
    new_file,
    nothing_to_close,
    replace_file,
    reserve,
    write_all,
)

__all__ = ["FORMAT", "GrowingNpy", "NpySink", "read_rows"]

#: Bytes that a mapped file grows by.
_PIECE_NBYTES = 64 << 20

#: The data of an NPY file begin at a multiple of these bytes.
_ALIGNMENT = 64


class GrowingNpy:
    """A new NPY file that grows along its first axis, and can be read at any moment.

    Parameters
    ----------
    path : str
    shape : tuple of int
        Of one item.
    dtype : dtype
    items : int, optional
        That will come at most.
    replace : bool, default False
        Replace a file of this name.

    Attributes
    ----------
    count : int
        Items in the file.
    """

    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        items: int | None = None,
        replace: bool = False,
    ) -> None:
        self.count = 0
        self._shape = shape
        self._dtype = dtype
        self._item_nbytes = math.prod(shape) * dtype.itemsize
        self._step = batch_of(shape, dtype, _PIECE_NBYTES)
        self._items = items
        # Room for the longest possible count, so that the header keeps its length.
        longest = len(self._words(2**63))
        self._begin = -(-(longest + 11) // _ALIGNMENT) * _ALIGNMENT
        self._piece: Array = np.empty((0, *shape), dtype)
        self._used = 0
        self._file = new_file(path, self._head(), replace)

    def _words(self, count: int) -> bytes:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        shape = (count, *self._shape)
        return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode("latin-1")

    def _head(self) -> bytes:
        words = self._words(self.count).ljust(self._begin - 11) + b"\n"
        return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words

    def room(self, count: int) -> Array:
        """Return mapped memory of the file for up to `count` further items."""
        if self._used == len(self._piece):
            self._grow(count)
        return self._piece[self._used : self._used + count]

    def _grow(self, count: int) -> None:
        """Map the next piece of the file, once its blocks are reserved."""
        step = self._step if self._items is None else max(1, min(self._step, self._items - self.count))
        begin = self._begin + self.count * self._item_nbytes
        try:
            reserve(self._file, begin, step * self._item_nbytes)
        except OSError:
            # Use also the last free blocks of the disk.
            step = min(step, count)
            reserve(self._file, begin, step * self._item_nbytes)
        first = begin // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        nbytes = step * self._item_nbytes
        mapped = mmap.mmap(self._file, begin - first + nbytes, offset=first)
        flat = np.frombuffer(mapped, self._dtype, nbytes // self._dtype.itemsize, begin - first)
        self._piece = flat.reshape(step, *self._shape)
        self._used = 0

    def commit(self, count: int) -> None:
        """Count items that were written into the memory of `room`."""
        self._used += count
        self.count += count
        write_all(self._file, self._head(), 0)

    def append(self, rows: Array) -> None:
        """Add items by writing, without a map; do not mix with `room`."""
        begin = self._begin + self.count * self._item_nbytes
        write_all(self._file, np.ascontiguousarray(rows).view(np.uint8), begin)
        self.commit(len(rows))

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._file < 0

    def cut(self, count: int) -> None:
        """Drop items beyond `count`; called at the end."""
        if self._file >= 0 and count < self.count:
            self.count = count
            write_all(self._file, self._head(), 0)

    def close(self) -> None:
        """Cut off reserved bytes, and close."""
        if self._file < 0:
            return
        self._piece = self._piece[:0].copy()
        self._used = 0
        try:
            os.ftruncate(self._file, self._begin + self.count * self._item_nbytes)
        finally:
            os.close(self._file)
            self._file = -1


def read_rows(path: str) -> Array:
    """Read the rows of frames from an NPY file."""
    try:
        rows: Array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StreamFormatError(
            f"{path} is no NPY file, or it is damaged: {error}", path=path, field="file", found=str(error)
        ) from error
    if rows.dtype != FRAME_ROW:
        raise StreamFormatError(
            f"{path} has no rows of frames, but {rows.dtype}",
            path=path,
            field="dtype",
            expected=FRAME_ROW,
            found=rows.dtype,
        )
    return rows


def _rows_alone(path: str) -> Array | None:
    """Read the rows beside a cube whose header is missing, if there are any."""
    try:
        return read_rows(path)
    except (OSError, StreamFormatError):
        return None


class NpySink(Sink):
    """See `Sink`."""

    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        header: Header,
        *,
        compress: bool = False,
        frames: int | None = None,
        replace: bool = False,
    ) -> None:
        _, rows, self._header_path = self.files(path)
        # First: creating this file fails for the second of two recorders that begin at the same time.
        self._rows = GrowingNpy(rows, (), FRAME_ROW, replace=replace)
        try:
            replace_file(self._header_path, json_of_header(header).encode())
            self._frames = GrowingNpy(path, shape, dtype, frames, replace)
        except BaseException:
            self._rows.close()
            delete(self._header_path)
            delete(rows)
            raise

    @classmethod
    def files(cls, path: str) -> list[str]:
        """See `Sink`."""
        base = os.path.splitext(path)[0]
        return [path, f"{base}.info.npy", f"{base}.info.json"]

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._frames.count

    def room(self, count: int) -> Array:
        """See `Sink`."""
        return self._frames.room(count)

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        # Rows first: a counted frame has a row.
        self._rows.append(info)
        self._frames.commit(len(info))

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self.close()
        replace_file(self._header_path, json_of_header(header).encode())

    def close(self) -> None:
        """See `Sink`."""
        self._rows.cut(self._frames.count)
        try:
            self._frames.close()
        finally:
            self._rows.close()

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`."""
        try:
            frames = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise StreamFormatError(
                f"{path} is no NPY file, or it is damaged: {error}",
                path=path,
                field="file",
                expected="NPY",
                found=str(error),
            ) from error
        _, rows, header_path = cls.files(path)
        if not os.path.exists(header_path):
            info = _rows_alone(rows)
            return Stored(frames, None, frames.dtype, info, {}, True, nothing_to_close, plain=info is None)
        with open(header_path, "rb") as file:
            header = header_of_json(file.read(), header_path)
        info, complete = read_rows(rows), bool(header.get("complete"))
        return Stored(frames, None, frames.dtype, info, header, complete, nothing_to_close)


FORMAT = NpySink
