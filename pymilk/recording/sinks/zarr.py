"""Zarr 3: a group of two chunked arrays, ``frames`` and ``info``.

Chunks and metadata are written here, each file under a hidden name and then renamed: a chunk first, then the
shape that counts it. The directory is a valid Zarr group at any moment, and frames are written without a
library. ``info`` has a column of int64 for each field of a row.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...foreign.hdus import Hdu
from ...system.extras import optional_library
from ...system.files import delete, remove_unfinished
from ...system.hidden import hidden_name
from .base import Header, Sink, Staging, Stored, batch_of, json_of_header, nothing_to_close, replace_file

__all__ = ["FORMAT", "ZarrSink"]

#: Approximate bytes of a chunk of frames.
_CHUNK_NBYTES = 4 << 20

#: Compression of frames: fast, and suited to pixels.
_BLOSC = {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "blocksize": 0}

_COLUMNS = list(FRAME_ROW.names or ())


class _Member:
    """One array of the group: its chunks and its metadata.

    Attributes
    ----------
    folder : str
        Of the group.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        rows: int,
        encode: Callable[[Array], Any] | None,
        attributes: Header,
    ) -> None:
        self.folder = folder
        self._name = name
        os.mkdir(os.path.join(folder, name))
        self._shape = shape
        self._rows = rows
        self._encode = encode
        zero: Any = 0 if dtype.kind in "iu" else 0.0
        codecs: list[Any] = [{"name": "bytes", "configuration": {"endian": "little"}}]
        if dtype.itemsize == 1:
            codecs = [{"name": "bytes"}]
        if encode is not None:
            codecs.append({"name": "blosc", "configuration": {**_BLOSC, "typesize": dtype.itemsize}})
        self._metadata = {
            "zarr_format": 3,
            "node_type": "array",
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [rows, *shape]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": [0.0, 0.0] if dtype.kind == "c" else zero,
            "codecs": codecs,
            "attributes": attributes,
        }
        self.count(0)

    def write(self, number: int, chunk: Array) -> None:
        """Write a chunk, filled up to `rows` rows."""
        key = ".".join(["c", str(number), *["0"] * len(self._shape)])
        content = chunk.data if self._encode is None else self._encode(chunk)
        replace_file(os.path.join(self.folder, self._name, key), content)

    def count(self, rows: int) -> None:
        """Write the number of rows."""
        metadata = {"shape": [rows, *self._shape], **self._metadata}
        path = os.path.join(self.folder, self._name, "zarr.json")
        replace_file(path, json.dumps(metadata, indent=1).encode())


def _put_in_place(hidden: str, path: str, replace: bool) -> None:
    """Give a directory its name. For a moment there is neither the old nor the new one."""
    if not os.path.lexists(path):
        os.rename(hidden, path)
        return
    if not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    aside = hidden_name(path)
    os.rename(path, aside)
    try:
        os.rename(hidden, path)
    except BaseException:
        os.rename(aside, path)
        raise
    delete(aside)


class ZarrSink(Sink):
    """See `Sink`."""

    compresses = True

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        optional_library("zarr", "zarr", "Zarr recordings")  # do not write what cannot be read here

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
        self._count = 0
        self._in_file = 0  # frames of the present chunk that are in its file
        rows = batch_of(shape, dtype, _CHUNK_NBYTES)
        self._staging = Staging(shape, dtype, rows)
        self._table = np.zeros((rows, len(_COLUMNS)), np.int64)
        encode = None
        if compress:
            numcodecs = optional_library("numcodecs", "zarr", "compressed Zarr recordings")
            encode = numcodecs.Blosc(_BLOSC["cname"], _BLOSC["clevel"], numcodecs.Blosc.SHUFFLE).encode
        remove_unfinished(path)
        # The directory gets its name once it is a valid group.
        self._path = hidden_name(path)
        os.mkdir(self._path)
        try:
            self._describe(header)
            self._frames = _Member(self._path, "frames", shape, dtype, rows, encode, {})
            self._info = _Member(
                self._path, "info", (len(_COLUMNS),), self._table.dtype, rows, None, {"columns": _COLUMNS}
            )
            _put_in_place(self._path, path, replace)
        except BaseException:
            delete(self._path)
            raise
        self._path = self._frames.folder = self._info.folder = path

    def _describe(self, header: Header) -> None:
        attributes = json.loads(json_of_header(header))
        metadata = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        replace_file(os.path.join(self._path, "zarr.json"), json.dumps(metadata, indent=1).encode())

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count

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
        self._write()

    def _write(self) -> None:
        """Write the frames of the present chunk, and count them."""
        used = self._staging.used
        if used == self._in_file:
            return
        try:
            self._write_chunk(used)
        except OSError:
            self._staging.used = self._in_file
            raise
        self._count += used - self._in_file
        self._in_file = used

    def _write_chunk(self, used: int) -> None:
        number = self._count // len(self._table)
        self._staging.frames[used:] = 0
        self._frames.write(number, self._staging.frames)
        for at, name in enumerate(_COLUMNS):
            self._table[:used, at] = self._staging.info[name][:used].astype(np.int64, copy=False)
        self._table[used:] = 0
        self._info.write(number, self._table)
        self._frames.count(self._count + used - self._in_file)
        # Rows last: a frame with a row is complete.
        self._info.count(self._count + used - self._in_file)

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self._write()
        self._describe(header)

    def close(self) -> None:
        """See `Sink`."""

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`."""
        zarr = optional_library("zarr", "zarr", "Zarr recordings")
        if not os.path.exists(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        try:
            group = zarr.open_group(path, mode="r")
            frames, table = group["frames"], np.asarray(group["info"][:])
            header = dict(group.attrs)
            columns = list(group["info"].attrs["columns"])
        except (KeyError, ValueError, OSError) as error:
            raise StreamFormatError(
                f"{path} is no recording of pymilk, or it is damaged: {error}; open it with zarr",
                path=path,
                field="group",
                expected=["frames", "info"],
                found=str(error),
            ) from error
        if columns != _COLUMNS or table.shape[1:] != (len(_COLUMNS),):
            raise StreamFormatError(
                f"{path}: info has other columns than this version of pymilk knows",
                path=path,
                field="columns",
                expected=_COLUMNS,
                found=columns,
            )
        info = np.zeros(len(table), FRAME_ROW)
        for at, name in enumerate(_COLUMNS):
            info[name] = table[:, at].astype(FRAME_ROW[name])
        dtype = np.dtype(frames.dtype).newbyteorder("=")
        return Stored(frames, None, dtype, info, header, bool(header.get("complete")), nothing_to_close)


FORMAT = ZarrSink
