"""NPY: a plain cube of frames, which can be memory-mapped while it grows, and two small files beside it.

``cam.npy`` has the frames, ``cam.info.npy`` their rows, ``cam.info.json`` the header. The cube grows in
pieces whose disk blocks are reserved first. The count in the header of the file is updated after the frames
are written, so that each file is valid at any moment.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from ..._core import FRAME_ROW, allocate
from ..._types import Array
from ...errors import OutputChangedError, StreamFormatError
from ...foreign.hdus import Hdu
from ...system.files import delete
from ...system.regular import read_regular, regular_file
from .base import (
    HEADER_NBYTES,
    WRITE_NBYTES,
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
from .mapped import MappedFile
from .outputs import check_length, check_name, identity_of
from .outward import Outward
from .rows import rows_of

__all__ = ["FORMAT", "GrowingNpy", "NpySink", "mapped_npy", "read_rows"]

#: Bytes that are reserved at a time.
_PIECE_NBYTES = 64 << 20

#: Bytes of items that are collected before they are written.
_BATCH_NBYTES = 1 << 20

#: The data of an NPY file begin at a multiple of these bytes.
_ALIGNMENT = 64

#: What reads the header of each version of the format.
_READERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    # As 2.0, but for names of fields beyond Latin-1: arrays with such names are refused in any case.
    (3, 0): np.lib.format.read_array_header_2_0,
}


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
    out : Outward
        How they get to the disk. While it holds them, the header counts those that `sync` brought there.
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
        self._staging: Array | None = None
        self._placed = 0  # items behind the counted ones, already written
        self._reserved = self._begin
        self._path = path
        self._cut = False  # by another program
        self._length = self._begin  # bytes that the file had when it was left
        self._file = new_file(path, self._head(), replace)
        self._identity = identity_of(os.fstat(self._file))
        self.out = Outward(self._file)
        self._told = 0  # items that the header of the file counts

    def _words(self, count: int) -> bytes:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        shape = (count, *self._shape)
        return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode("latin-1")

    def _head(self) -> bytes:
        words = self._words(self.count).ljust(self._begin - 11) + b"\n"
        return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words

    def room(self, count: int) -> Array:
        """Return memory for up to `count` further items."""
        self.check_length()
        self._placed = 0
        if self._staging is None:
            most = batch_of(self._shape, self._dtype, _BATCH_NBYTES)
            self._staging = allocate((most, *self._shape), self._dtype)
        return self._staging[:count]

    def write(self, items: Array) -> None:
        """Write items behind the counted ones; `commit` counts them."""
        self.check_length()
        self._placed = 0
        begin = self._begin + self.count * self._item_nbytes
        if begin + items.nbytes > self._reserved:
            self._reserve(begin, len(items))
        self.out.write(items.reshape(-1).view(np.uint8), begin)
        self._placed = len(items)

    def _reserve(self, begin: int, count: int) -> None:
        """Reserve the blocks of `count` items, and of some more."""
        step = self._step if self._items is None else min(self._step, self._items - self.count)
        try:
            self._reserved = self._reserved_to(begin, max(step, count))
        except OSError:
            # Use also the last free blocks of the disk.
            self._reserved = self._reserved_to(begin, count)
        self._length = self._reserved

    def _reserved_to(self, begin: int, count: int) -> int:
        nbytes = count * self._item_nbytes
        reserve(self._file, begin, nbytes)
        return begin + nbytes

    def settle(self, count: int) -> None:
        """Write items that were put into what `room` gave, unless `write` has written them."""
        if not self._placed:
            assert self._staging is not None
            self.write(self._staging[:count])

    def commit(self, count: int) -> None:
        """Count items that were written."""
        self.check_length()
        self._placed = 0
        self.count += count
        if not self.out.held:
            self.tell()

    def tell(self) -> None:
        """Write how many items there are into the header, unless it says so."""
        if self._told != self.count:
            write_all(self._file, self._head(), 0)
            self._told = self.count

    def sync(self) -> None:
        """Wait until the items are on the disk; then let the header count them, and wait for that."""
        self.check_length()
        self.out.sync()
        if self._told != self.count:
            self.tell()
            os.fdatasync(self._file)

    def append(self, rows: Array) -> None:
        """Add items without reserving room for others; not to be mixed with `write` and `room`."""
        self.check_length()
        begin = self._begin + self.count * self._item_nbytes
        write_all(self._file, np.ascontiguousarray(rows).view(np.uint8), begin)
        self._length = begin + len(rows) * self._item_nbytes  # not before: a full disk takes only some
        self._placed = len(rows)
        self.commit(len(rows))

    def check_length(self) -> None:
        """Raise `OutputChangedError` if the file was cut; it is left as it is then."""
        try:
            check_length(self._path, self._file, self._length)
        except OutputChangedError:
            self._cut = True
            raise

    def verify(self) -> None:
        """Raise `OutputChangedError` if the file was cut, or is not there under its name."""
        self.check_length()
        check_name(self._path, self._identity)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._file < 0

    def cut(self, count: int) -> None:
        """Forget items beyond so many; called when nothing more will come."""
        if self._file >= 0 and count < self.count and not self._cut:
            self.count = count
            self.tell()

    def close(self) -> None:
        """Cut off reserved bytes, and close."""
        if self._file < 0:
            return
        try:
            self.out.close()
            if not self._cut:
                self.tell()
                os.ftruncate(self._file, self._begin + self.count * self._item_nbytes)
        finally:
            os.close(self._file)
            self._file = -1


def mapped_npy(path: str) -> tuple[MappedFile, Array]:
    """Map an NPY file under the guard; returns the map, and the array in it."""
    opened = regular_file(path)
    try:
        with opened as file:
            version = np.lib.format.read_magic(file)
            if version not in _READERS:
                raise ValueError(f"version {version}")
            with warnings.catch_warnings():  # of headers that Python 2 wrote
                warnings.simplefilter("ignore", UserWarning)
                shape, in_columns, dtype = _READERS[version](file)
            place = file.tell()
        if dtype.hasobject:
            raise ValueError("it has Python objects")
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape is {shape}")
    except (ValueError, EOFError, TypeError, RecursionError, OverflowError, SyntaxError) as error:
        raise StreamFormatError(
            f"{path} is no NPY file, or it is damaged: {error}",
            path=path,
            field="file",
            expected="NPY",
            found=str(error),
        ) from error
    mapped = MappedFile(path)
    array = mapped.array(dtype, shape[::-1] if in_columns else shape, place)
    return mapped, array.T if in_columns else array


def read_rows(path: str, most: int) -> tuple[Array, int]:
    """Read up to `most` rows of frames from an NPY file; returns them, and how many it says that it has."""
    mapped, found = mapped_npy(path)
    if found.dtype == FRAME_ROW and found.ndim == 1:
        rows = rows_of(found, most)
        mapped.check()
        return rows, len(found)
    raise StreamFormatError(
        f"{path} has no rows of frames, but {found.dtype} of shape {found.shape}",
        path=path,
        field="dtype",
        expected=FRAME_ROW,
        found=found.dtype,
    )


def _rows_alone(path: str, most: int) -> tuple[Array | None, int | None]:
    """Read the rows beside a cube whose header is missing, if there are any."""
    try:
        return read_rows(path, most)
    except (FileNotFoundError, StreamFormatError):
        return None, None


class NpySink(Sink):
    """See `Sink`."""

    times_in = ("rows beside it, .info.npy", "rows beside it, .info.npy")
    takes_direct = True
    holds = True

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
        self._header = -1
        self._most = batch_of(shape, dtype, WRITE_NBYTES)
        # First, and without regard to anything else: it tells two recorders apart that begin at once.
        self._rows = GrowingNpy(rows, (), FRAME_ROW, replace=replace)
        try:
            replace_file(self._header_path, json_of_header(header).encode())
            # Kept open: the number of a file that is gone is used again.
            self._header = os.open(self._header_path, os.O_RDONLY | os.O_CLOEXEC)
            self._frames = GrowingNpy(path, shape, dtype, frames, replace)
        except BaseException:
            self._rows.close()
            self._close_header()
            delete(self._header_path)
            delete(rows)
            raise

    def _close_header(self) -> None:
        descriptor, self._header = self._header, -1
        if descriptor >= 0:
            os.close(descriptor)

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

    def in_place(self, count: int) -> int:
        """See `Sink`."""
        return min(count, self._most)

    def write(self, frames: Array) -> None:
        """See `Sink`."""
        self._frames.write(frames)

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        self._frames.settle(len(info))
        # Rows before the count: a counted frame has a row.
        self._rows.append(info)
        self._frames.commit(len(info))

    def begin_direct(self) -> bool:
        """See `Sink`."""
        return self._frames.out.begin_direct()

    def begin_early(self) -> None:
        """See `Sink`."""
        self._frames.out.early = True

    def hold(self) -> None:
        """See `Sink`."""
        self._rows.out.held = self._frames.out.held = True

    def sync(self) -> None:
        """See `Sink`."""
        self._rows.sync()
        self._frames.sync()

    def verify(self) -> None:
        """See `Sink`."""
        self._frames.verify()
        self._rows.verify()
        check_name(self._header_path, identity_of(os.fstat(self._header)))

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self.close()
        replace_file(self._header_path, json_of_header(header).encode(), durable=self._frames.out.held)

    def close(self) -> None:
        """See `Sink`."""
        self._rows.cut(self._frames.count)
        try:
            self._rows.tell()
            self._frames.close()
        finally:
            self._rows.close()
            self._close_header()

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`."""
        _, rows_path, header_path = cls.files(path)
        # First: frames and rows are whole once the header says that the recording is.
        try:
            text = read_regular(header_path, HEADER_NBYTES)
        except FileNotFoundError:
            text = None
        mapped, frames = mapped_npy(path)
        count = frames.shape[0] if frames.ndim else 0
        if text is None:
            info, rows = _rows_alone(rows_path, count)
            return Stored(
                frames, None, frames.dtype, info, {}, True, nothing_to_close, plain=info is None,
                check=mapped.check, rows=rows, behind=mapped.behind,
            )  # fmt: skip
        header = header_of_json(text, header_path)
        info, rows = read_rows(rows_path, count)
        return Stored(
            frames, None, frames.dtype, info, header, bool(header.get("complete")), nothing_to_close,
            check=mapped.check, rows=rows,
        )  # fmt: skip


FORMAT = NpySink
