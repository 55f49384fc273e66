"""HDF5: chunked data sets of frames, rows and coordinates, readable while they are written (SWMR).

In that mode the library writes in an order that keeps the file valid at any moment, also if the recorder is
killed. Disk blocks are reserved before the library writes, because it does not recover well from a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamError
from ...foreign.hdus import Hdu
from ...system.durable import write_out
from ...system.extras import optional_library
from ...system.files import delete, put_in_place, remove_unfinished
from ...system.forks import tell_after_fork
from ...system.hidden import hidden_name
from .base import Header, Stored, batch_of, dimensions_of, json_of_header, reserve
from .coordinates import COORDINATES, coordinates_of, time_attributes
from .hdf5_filters import blosc_filter, packing_of
from .hdf5_read import read_hdf5
from .outputs import check_length, check_name, identity_of
from .packers import Piece
from .packing import WORDS, check_blosc
from .staged import StagedSink

__all__ = ["FORMAT", "Hdf5Sink"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Approximate bytes of a chunk of frames, also of compressed ones; rows of a chunk of info.
_CHUNK_NBYTES = 2 << 20
_PACKED_NBYTES = 1 << 20
_CHUNK_ROWS = 4096

#: Bytes of a row and its coordinates.
_ROW_NBYTES = FRAME_ROW.itemsize + sum(dtype.itemsize for dtype in COORDINATES.values())

#: Bytes that are reserved at a time, and bytes kept free for what the library adds.
_RESERVE_NBYTES = 64 << 20
_SPARE_NBYTES = 1 << 20

#: Bytes that a file has at least, and that the library may give back at any moment: also when a reader of the
#: same process closes its handle. What was reserved is cut off by the library, too.
_SMALLEST_NBYTES = 1024
_GIVEN_BACK_NBYTES = _RESERVE_NBYTES + _SPARE_NBYTES

#: What netCDF says of an axis without values.
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."

#: Bytes by which the header may grow until the end.
_HEADER_ROOM = 1024

#: Header keys that are also attributes of the file, and those that change at the end.
_CHANGING = ("frames", "lost", "complete")
_ATTRIBUTES = ("stream", "clock", "axes", "symcode", "tri_dim", "pymilk", *_CHANGING)


def _h5py() -> Any:
    return optional_library("h5py", "hdf5", "HDF5 recordings")


def _as_oserror(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make an OSError of what the library raises besides: it has many kinds for a disk that fails."""

    @functools.wraps(method)
    def call(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            return method(*args, **options)
        except (RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
            if isinstance(error, StreamError):
                raise
            raise OSError(errno.EIO, f"the HDF5 library says: {error}") from error

    return call


class Hdf5Sink(StagedSink):
    """See `Sink`."""

    compresses = (True, *WORDS)
    times_in = ("coordinate time", "coordinate time")

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        _h5py()
        if compress in WORDS:
            check_blosc(shape, dtype)
            blosc_filter()  # do not write what cannot be read here

    @_as_oserror
    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        header: Header,
        *,
        compress: bool | str = False,
        frames: int | None = None,
        replace: bool = False,
    ) -> None:
        h5py = _h5py()
        remove_unfinished(path)
        # The file gets its name once it can be read.
        hidden = hidden_name(path)
        self._count = 0
        self._rows: list[Array] = []  # of frames that are written, but not flushed
        count = batch_of(shape, dtype, _PACKED_NBYTES if compress else _CHUNK_NBYTES)
        # A chunk takes its full size with its first frame.
        count = count if frames is None else max(1, min(count, frames))
        if compress:
            # Writing a chunk twice wastes the space of its first version.
            self.flush_seconds = 10.0
        packing = packing_of(compress)
        self._skip = (1 << packing.filters) - 1  # of a chunk that no filter has packed
        self._h5: Any = None
        self._file = -1
        self._early = False
        self._reserved = 0
        try:
            self._stage(shape, dtype, count, packing.encode)
            # Version 1.10 of the format is the first with SWMR, and is widely supported.
            memory = 2 * self._staging.frames.nbytes
            self._h5 = h5py.File(hidden, "x", libver=("v110", "v110"), rdcc_nbytes=memory)
            self._file = os.open(hidden, os.O_RDWR | os.O_CLOEXEC)
            self._own_file = int(self._h5.id.get_vfd_handle())
            tell_after_fork(self)
            self._reserve(0)
            self._frames = self._h5.create_dataset(
                "frames", (0, *shape), dtype, maxshape=(None, *shape), chunks=(count, *shape),
                **packing.options,
            )  # fmt: skip
            self._info = self._h5.create_dataset(
                "info", (0,), FRAME_ROW, maxshape=(None,), chunks=(_CHUNK_ROWS,)
            )
            self._name_axes(shape, header)
            text = json_of_header(header).encode()
            self._h5.create_dataset("header", (), f"S{len(text) + _HEADER_ROOM}", data=np.bytes_(text))
            for name in _ATTRIBUTES:
                self._h5.attrs[name] = header[name]
            self._h5.swmr_mode = True
            put_in_place(hidden, path, replace)
            self._path = path
            self._identity = identity_of(os.fstat(self._file))
            self._note_length()
        except BaseException:
            self.close()
            delete(hidden)
            raise

    def _after_fork(self) -> None:
        """Give the library of a child another file: at its end it writes what it has of this one in memory.

        That would overwrite what the parent has written since. It unlocks its file, too.
        """
        with contextlib.suppress(OSError):  # the parent was just closing it
            if self._file >= 0 and os.path.sameopenfile(self._file, self._own_file):
                os.close(self._file)  # first: there may be no other descriptor for the next line
                self._file = -1
                nowhere = os.memfd_create("pymilk", os.MFD_CLOEXEC)
                os.dup2(nowhere, self._own_file, inheritable=False)
                os.close(nowhere)

    def _name_axes(self, shape: tuple[int, ...], header: Header) -> None:
        """Give the axes their names, as dimension scales of netCDF; only that of time has values."""
        self._along_time = {
            name: self._h5.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(_CHUNK_ROWS,))
            for name, dtype in COORDINATES.items()
        }
        time, *others = dimensions_of(shape)
        scales = {time: self._along_time["time"]}
        scales[time].make_scale(time)
        self._date(header)
        for name, length in zip(others, shape, strict=True):
            scales[name] = self._h5.create_dataset(name, (length,), np.float32)
            scales[name].make_scale(_NO_VARIABLE)
        for axis, scale in enumerate(scales.values()):
            self._frames.dims[axis].attach_scale(scale)
        for member in (self._info, self._along_time["cnt0"]):
            member.dims[0].attach_scale(scales[time])
        self._frames.attrs["coordinates"] = np.bytes_(b"cnt0")

    def _date(self, header: Header) -> None:
        """Say what the times are in UTC; again at the end, in the place of what was said before."""
        for name, text in time_attributes(header).items():
            self._along_time["time"].attrs.modify(name, np.bytes_(text.encode()))

    def _reserve(self, nbytes: int) -> None:
        """Reserve so many bytes in the file, and some more."""
        # The size that the library knows, without reserved bytes.
        wanted = int(self._h5.id.get_filesize()) + nbytes + _SPARE_NBYTES
        if wanted > self._reserved:
            try:
                reserve(self._file, 0, wanted + _RESERVE_NBYTES)
                self._reserved = wanted + _RESERVE_NBYTES
            except OSError:
                reserve(self._file, 0, wanted)  # use also the last free blocks
                self._reserved = wanted

    def begin_early(self) -> None:
        """See `Sink`."""
        self._early = True

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count - sum(map(len, self._rows))

    @_as_oserror
    def flush(self) -> None:
        """See `Sink`."""
        try:
            if self._packers is None:
                self._write()
            else:
                self._flush_packed(self._packers)
        finally:
            self._write_rows()

    def _write_rows(self) -> None:
        """Write the rows of frames that are in the file."""
        if not self._rows:
            return
        self._check_length()
        self._frames.flush()
        # Rows last: a frame with a row is complete.
        rows = np.concatenate(self._rows)
        for name, values in coordinates_of(rows).items():
            self._along_time[name].resize(self._count, axis=0)
            self._along_time[name][self._count - len(rows) :] = values
            self._along_time[name].flush()
        self._info.resize(self._count, axis=0)
        self._info[self._count - len(rows) :] = rows
        self._info.flush()
        self._rows.clear()
        self._note_length()

    def _check_length(self) -> None:
        """Raise `OutputChangedError` if the file was cut."""
        check_length(self._path, self._file, self._length)

    def _note_length(self) -> None:
        """Keep how long the library has left the file. It gives room back when it likes: that is left out."""
        self._length = max(_SMALLEST_NBYTES, os.fstat(self._file).st_size - _GIVEN_BACK_NBYTES)

    def verify(self) -> None:
        """See `Sink`."""
        self._check_length()
        check_name(self._path, self._identity)

    @_as_oserror
    def _write(self) -> None:
        """Write new frames of the staging memory to the file."""
        first, used = self._in_file, self._staging.used
        if used == first:
            return
        self._check_length()
        rows = used - first
        try:
            # A chunk takes its full size with its first frame.
            self._reserve_for(self._staging.frames.nbytes, rows)
        except OSError:
            self._staging.used = first
            self._note_length()
            raise
        if rows == len(self._staging.frames):
            self._put(self._staging.frames, rows)
        else:
            self._grow(rows)
            self._frames[self._count : self._count + rows] = self._staging.frames[first:used]
        self._in_file = used
        self._add(self._staging.info[first:used])

    @_as_oserror
    def _put_piece(self, piece: Piece) -> int:
        """See `StagedSink`."""
        staging, first = piece.staging, piece.first
        packed = piece.content is not None
        content = piece.content if packed else staging.frames
        self._check_length()
        try:
            self._reserve_for(len(content) if packed else content.nbytes, staging.used - first)
        except OSError:
            self._note_length()
            raise
        self._put(content, staging.used - first, 0 if packed else self._skip)
        self._add(staging.info[first : staging.used])
        return len(content) if packed else content.nbytes

    @_as_oserror
    def write(self, frames: Array) -> None:
        """See `Sink`."""
        self._placed = 0
        if self._packers is not None:
            self._write_packed(self._packers, wait=True)
        self._check_length()
        self._reserve_for(frames.nbytes, len(frames))
        self._put(frames, len(frames), self._skip)
        self._placed = frames.nbytes

    def _reserve_for(self, nbytes: int, rows: int) -> None:
        """Reserve room for a chunk, and for so many rows beside those that wait."""
        waiting = rows + sum(map(len, self._rows)) + 2 * _CHUNK_ROWS
        self._reserve(nbytes + waiting * _ROW_NBYTES)

    def _put(self, content: Any, rows: int, skip: int = 0) -> None:
        """Write the present chunk, past the memory of the library, of which so many frames are new."""
        self._grow(rows)
        first = self._count - self._count % len(self._staging.frames)
        place = (first, *[0] * (self._frames.ndim - 1))
        self._frames.id.write_direct_chunk(place, content, filter_mask=skip)

    def _grow(self, count: int) -> None:
        """Make the data set longer, unless frames that were written and did not count have done so."""
        if self._frames.shape[0] < self._count + count:
            self._frames.resize(self._count + count, axis=0)

    def _add(self, info: Array) -> None:
        """See `StagedSink`."""
        self._rows.append(info.copy())
        self._count += len(info)
        self._note_length()
        if self._early:
            write_out(self._file, 0, 0)  # the library alone knows where its chunks are

    @_as_oserror
    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self.flush()
        if self._frames.shape[0] > self._count:
            self._frames.resize(self._count, axis=0)
        # This needs no more disk blocks. The file stays open: to reopen it would need a lock, which a
        # reader may hold.
        self._h5["header"][()] = np.bytes_(json_of_header(header).encode())
        for name in _CHANGING:
            self._h5.attrs.modify(name, header[name])
        self._date(header)
        self.close()  # cuts off reserved bytes

    @_as_oserror
    def close(self) -> None:
        """See `Sink`."""
        self._let_packers_go()
        try:
            if self._h5 is not None:
                self._h5.close()
        finally:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`."""
        return read_hdf5(path)


FORMAT = Hdf5Sink
