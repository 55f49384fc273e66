"""HDF5: chunked data sets ``frames`` and ``info``, which can be read while they are written (SWMR).

In that mode the library writes in an order that keeps the file valid at any moment, also if the recorder is
killed. Disk blocks are reserved before the library writes, because it does not recover well from a full disk.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...foreign.hdus import Hdu
from ...system.extras import optional_library
from ...system.files import delete, put_in_place, remove_unfinished
from ...system.hidden import hidden_name
from .base import Header, Sink, Staging, Stored, batch_of, header_of_json, json_of_header, reserve

__all__ = ["FORMAT", "Hdf5Sink"]

#: Approximate bytes of a chunk of frames; rows of a chunk of info.
_CHUNK_NBYTES = 1 << 20
_CHUNK_ROWS = 4096

#: Bytes that are reserved at a time, and bytes kept free for what the library adds.
_RESERVE_NBYTES = 64 << 20
_SPARE_NBYTES = 1 << 20

#: Bytes by which the header may grow until the end.
_HEADER_ROOM = 1024

#: Header keys that are also attributes of the file, and those that change at the end.
_CHANGING = ("frames", "lost", "complete")
_ATTRIBUTES = ("stream", "clock", "axes", "symcode", "tri_dim", "pymilk", *_CHANGING)

#: Messages of the library about a file that is being written, or whose recorder was killed.
_BEING_WRITTEN = ("already open for write", "unable to lock file")


def _h5py() -> Any:
    return optional_library("h5py", "hdf5", "HDF5 recordings")


class Hdf5Sink(Sink):
    """See `Sink`."""

    compresses = True

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        _h5py()

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
        h5py = _h5py()
        remove_unfinished(path)
        # The file gets its name once it can be read.
        hidden = hidden_name(path)
        self._count = 0
        self._in_file = 0  # frames of the staging memory that are written
        self._rows: list[Array] = []  # of frames that are written, but not flushed
        count = batch_of(shape, dtype, _CHUNK_NBYTES)
        self._staging = Staging(shape, dtype, count)
        if compress:
            # Writing a chunk twice wastes the space of its first version.
            self.flush_seconds = 10.0
        chunk = (count, *shape)
        packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if compress else {}
        # Version 1.10 of the format is the first with SWMR, and is widely supported.
        self._cached = 2 * self._staging.frames.nbytes
        self._h5: Any = None
        self._file = -1
        self._reserved = 0
        try:
            self._h5 = h5py.File(hidden, "x", libver=("v110", "v110"), rdcc_nbytes=self._cached)
            self._file = os.open(hidden, os.O_RDWR | os.O_CLOEXEC)
            self._reserve(0)
            self._frames = self._h5.create_dataset(
                "frames", (0, *shape), dtype, maxshape=(None, *shape), chunks=chunk, **packing
            )
            self._info = self._h5.create_dataset(
                "info", (0,), FRAME_ROW, maxshape=(None,), chunks=(_CHUNK_ROWS,)
            )
            text = json_of_header(header).encode()
            self._h5.create_dataset("header", (), f"S{len(text) + _HEADER_ROOM}", data=np.bytes_(text))
            for name in _ATTRIBUTES:
                self._h5.attrs[name] = header[name]
            self._h5.swmr_mode = True
            put_in_place(hidden, path, replace)
        except BaseException:
            self.close()
            delete(hidden)
            raise

    def _reserve(self, nbytes: int) -> None:
        """Reserve so many bytes in the file, and some more."""
        # The size that the library knows, without reserved bytes and without chunks in its memory.
        wanted = int(self._h5.id.get_filesize()) + self._cached + nbytes + _SPARE_NBYTES
        if wanted > self._reserved:
            try:
                reserve(self._file, 0, wanted + _RESERVE_NBYTES)
                self._reserved = wanted + _RESERVE_NBYTES
            except OSError:
                reserve(self._file, 0, wanted)  # use also the last free blocks
                self._reserved = wanted

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count - sum(map(len, self._rows))

    def room(self, count: int) -> Array:
        """See `Sink`."""
        return self._staging.room(count)

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        self._staging.add(info)
        if self._staging.full:
            self._write()
            self._staging.used = self._in_file = 0

    def flush(self) -> None:
        """See `Sink`."""
        try:
            self._write()
        finally:
            self._write_rows()

    def _write_rows(self) -> None:
        """Write the rows of frames that are in the file."""
        if not self._rows:
            return
        self._frames.flush()
        # Rows last: a frame with a row is complete.
        rows = np.concatenate(self._rows)
        self._info.resize(self._count, axis=0)
        self._info[self._count - len(rows) :] = rows
        self._info.flush()
        self._rows.clear()

    def _write(self) -> None:
        """Write new frames of the staging memory to the file."""
        first, used = self._in_file, self._staging.used
        if used == first:
            return
        rows = used - first
        waiting = rows + sum(map(len, self._rows)) + 2 * _CHUNK_ROWS
        try:
            # A chunk takes its full size with its first frame.
            self._reserve(self._staging.frames.nbytes + waiting * FRAME_ROW.itemsize)
        except OSError:
            self._staging.used = first
            raise
        self._frames.resize(self._count + rows, axis=0)
        self._frames[self._count : self._count + rows] = self._staging.frames[first:used]
        self._rows.append(self._staging.info[first:used].copy())
        self._count += rows
        self._in_file = used

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self.flush()
        # This needs no more disk blocks. The file stays open: to reopen it would need a lock, which a
        # reader may hold.
        self._h5["header"][()] = np.bytes_(json_of_header(header).encode())
        for name in _CHANGING:
            self._h5.attrs.modify(name, header[name])
        self.close()  # cuts off reserved bytes

    def close(self) -> None:
        """See `Sink`."""
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
        h5py = _h5py()
        if not os.path.exists(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        if not h5py.is_hdf5(path):
            raise StreamFormatError(
                f"{path} is no HDF5 file, or it is damaged", path=path, field="file", expected="HDF5"
            )
        try:
            h5 = h5py.File(path, "r")
        except OSError as error:
            if not any(words in str(error) for words in _BEING_WRITTEN):
                if error.errno is not None:
                    raise
                raise StreamFormatError(
                    f"{path} is damaged, or shorter than its header says: {error}",
                    path=path,
                    field="file",
                    expected="HDF5",
                    found=str(error),
                ) from error
            # Only then: in this mode the library retries for hours if the header is damaged.
            h5 = h5py.File(path, "r", swmr=True)
        found = sorted(h5)
        if not {"frames", "info", "header"} <= set(found) or h5["info"].dtype != FRAME_ROW:
            h5.close()
            raise StreamFormatError(
                f"{path} is no recording of pymilk: it has {', '.join(found) or 'nothing'}; "
                "open it with h5py",
                path=path,
                field="data sets",
                expected=["frames", "header", "info"],
                found=found,
            )
        header = header_of_json(h5["header"][()], path)
        frames, info = h5["frames"], h5["info"][:]
        return Stored(frames, None, frames.dtype, info, header, bool(header.get("complete")), h5.close)


FORMAT = Hdf5Sink
