"""Zarr 3: a group of chunked arrays: ``frames``, ``info``, and coordinates of the axis of time.

Chunks and metadata are written here, each file under a hidden name and then renamed: a chunk first, then the
shape that counts it; with `hold` not before the chunk is on the disk. The directory is a valid Zarr group at
any moment, and frames are written without a library. ``info`` has a column of int64 for each field of a row.
Coordinates are written once a second, and become arrays when the group is finished: until then their folders
have no metadata, since arrays of other lengths than the frames would be in the way of libraries.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from typing import Any

import numpy as np

from ..._types import Array
from ...errors import OutputChangedError, StreamUnsupportedError
from ...foreign.hdus import Hdu
from ...native.formats import dtype_name
from ...system.durable import sync_files, sync_names
from ...system.extras import optional_library
from ...system.files import check_replaceable, delete, remove_unfinished
from ...system.hidden import hidden_name
from .base import (
    Header,
    Stored,
    batch_of,
    dimensions_of,
    json_of_header,
    replace_file,
)
from .coordinates import COORDINATES, NEVER, coordinates_of, time_attributes
from .outputs import check_name, identity_of
from .packers import Piece
from .packing import OLD_BLOSC, WORDS, BloscSettings, blosc_encoder, check_blosc, head_of_plain_blosc
from .staged import StagedSink
from .whole_files import WholeFiles
from .zarr_read import COLUMNS, chunks_of, read_zarr

__all__ = ["FORMAT", "ZarrSink"]

#: Approximate bytes of a chunk of frames.
_CHUNK_NBYTES = 4 << 20

#: Rows of a chunk of coordinates.
_CHUNK_ROWS = 16384


class _Member:
    """One array of the group: its chunks and its metadata.

    Attributes
    ----------
    folder : str
        Of the group.
    files : WholeFiles
        What writes chunks.
    metadata : dict
        What was written last of the array.
    """

    metadata: Header

    def __init__(
        self,
        folder: str,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        rows: int,
        described: Header,
        packing: BloscSettings | None = None,
    ) -> None:
        self.folder = folder
        self.files = WholeFiles()
        self._name = name
        os.mkdir(os.path.join(folder, name))
        self._shape = shape
        self._rows = rows
        zero: Any = 0 if dtype.kind in "iu" else 0.0  # what a chunk that was never written has
        codecs: list[Any] = [{"name": "bytes", "configuration": {"endian": "little"}}]
        if dtype.itemsize == 1:
            codecs = [{"name": "bytes"}]
        if packing is not None:
            settings = {**packing._asdict(), "blocksize": 0, "typesize": dtype.itemsize}
            codecs.append({"name": "blosc", "configuration": settings})
        self._metadata = {
            "zarr_format": 3,
            "node_type": "array",
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [rows, *shape]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": [0.0, 0.0] if dtype.kind == "c" else zero,
            "codecs": codecs,
            "attributes": {},
            **described,
        }

    @property
    def path(self) -> str:
        """The folder of the array."""
        return os.path.join(self.folder, self._name)

    def write(self, number: int, content: Any) -> None:
        """Write a chunk, filled up to `rows` rows: an array, or what the codec made of it."""
        self.files.replace(self.path_of(number), content)

    def path_of(self, number: int) -> str:
        """Return the path of a chunk."""
        key = ".".join(["c", str(number), *["0"] * len(self._shape)])
        return os.path.join(self.path, key)

    def describe(self, attributes: Header) -> None:
        """Set the attributes, which `count` writes."""
        self._metadata["attributes"] = attributes

    def count(self, rows: int) -> None:
        """Write the number of rows; to the disk if chunks are held, which are there then."""
        self.metadata = {"shape": [rows, *self._shape], **self._metadata}
        path, held = os.path.join(self.path, "zarr.json"), self.files.held
        replace_file(path, json.dumps(self.metadata, indent=1).encode(), durable=held)
        if held:
            sync_names(self.path)


class _Coordinate:
    """A column of numbers along the axis of time, in chunks of its own.

    Parameters
    ----------
    member : _Member
        With chunks of `_CHUNK_ROWS` rows.
    dtype : dtype

    Attributes
    ----------
    chunks : int
        How many are in the file.
    """

    def __init__(self, member: _Member, dtype: np.dtype[Any]) -> None:
        self.member = member
        self._chunk = np.zeros(_CHUNK_ROWS, dtype)
        self.chunks = 0
        self._count = 0
        self._waiting: list[Array] = []

    @property
    def nbytes(self) -> int:
        """Of a chunk."""
        return self._chunk.nbytes

    def add(self, values: Array) -> None:
        """Keep values until `write`."""
        self._waiting.append(values)

    def write(self) -> None:
        """Write the values that were added; those that find no room on the disk are dropped."""
        values = np.concatenate([self._chunk[:0], *self._waiting])
        self._waiting.clear()
        while len(values):
            number, used = divmod(self._count, _CHUNK_ROWS)
            part = values[: _CHUNK_ROWS - used]
            self._chunk[used : used + len(part)] = part
            self._chunk[used + len(part) :] = 0
            self._count += len(part)
            values = values[len(part) :]
            self.member.write(number, self._chunk)
            self.chunks = number + 1


def _put_in_place(hidden: str, path: str, replace: bool) -> list[tuple[str, str]]:
    """Give a directory its name. For a moment there is neither the old nor the new one.

    Returns
    -------
    list of (str, str)
        The name, and where the old one is now.
    """
    if not os.path.lexists(path):
        os.rename(hidden, path)
        return []
    if not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    check_replaceable(path)
    aside = hidden_name(path)
    os.rename(path, aside)
    try:
        os.rename(hidden, path)
    except BaseException:
        os.rename(aside, path)
        raise
    return [(path, aside)]


class ZarrSink(StagedSink):
    """See `Sink`."""

    compresses = (True, *WORDS)
    times_in = ("coordinate time", "rows in info; it has no coordinates until it is finished")
    takes_direct = True
    holds = True
    _held = False
    _changed = False  # by another program

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        if dtype.names:
            raise StreamUnsupportedError(
                f"Zarr has no pixels of {dtype_name(dtype)}: arrays of version 3 hold plain numbers; "
                "take .npy or .h5"
            )
        if compress:
            check_blosc(shape, dtype)
        optional_library("zarr", "zarr", "Zarr recordings")  # do not write what cannot be read here

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
        self._count = self._counted = 0  # frames in chunks, and those that the metadata count
        self._told = time.monotonic()
        self._hidden = ""  # a chunk that `write` made
        rows = batch_of(shape, dtype, _CHUNK_NBYTES)
        self._table = np.zeros((rows, len(COLUMNS)), np.int64)
        packing = None if not compress else OLD_BLOSC if compress is True else WORDS[compress]
        #: What stands before the frames of a chunk that is stored as it is.
        self._head = b""
        if packing is not None:
            nbytes = rows * math.prod(shape) * dtype.itemsize
            self._head = head_of_plain_blosc(nbytes, dtype.itemsize)
        remove_unfinished(path)
        # The directory gets its name once it is a valid group.
        self._path = hidden_name(path)
        try:
            os.mkdir(self._path)
            self._stage(shape, dtype, rows, None if packing is None else blosc_encoder(packing))
            self._describe(header)
            axes = dimensions_of(shape)
            named: Header = {"attributes": {"coordinates": "cnt0"}, "dimension_names": axes}
            self._frames = _Member(self._path, "frames", shape, dtype, rows, named, packing)
            self._frames.count(0)
            named = {"attributes": {"columns": COLUMNS}, "dimension_names": ["time", "column"]}
            kind = self._table.dtype
            self._info = _Member(self._path, "info", (len(COLUMNS),), kind, rows, named)
            self._info.count(0)
            self._along_time = {name: self._coordinate(name) for name in COORDINATES}
            self.replaced = _put_in_place(self._path, path, replace)
        except BaseException:
            self.close()
            delete(self._path)
            raise
        self._path = path
        for member in self._members.values():
            member.folder = path
        parts = (path, *(os.path.join(path, name) for name in self._members))
        self._folders = {part: identity_of(os.stat(part)) for part in parts}

    def _coordinate(self, name: str) -> _Coordinate:
        """Begin an array of coordinates."""
        described: Header = {"dimension_names": ["time"], "fill_value": NEVER if name == "time" else 0}
        member = _Member(self._path, name, (), COORDINATES[name], _CHUNK_ROWS, described)
        return _Coordinate(member, COORDINATES[name])

    @property
    def _members(self) -> dict[str, _Member]:
        """Every array of the group."""
        coordinates = {name: each.member for name, each in self._along_time.items()}
        return {"frames": self._frames, "info": self._info, **coordinates}

    def _describe(self, header: Header, finished: bool = False) -> None:
        """Write the metadata of the group; of a finished one together with those of its arrays."""
        attributes = json.loads(json_of_header(header))
        metadata: Header = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        if finished:
            inside = {name: member.metadata for name, member in self._members.items()}
            whole = {"kind": "inline", "must_understand": False, "metadata": inside}
            metadata["consolidated_metadata"] = whole
        content = json.dumps(metadata, indent=1).encode()
        replace_file(os.path.join(self._path, "zarr.json"), content, durable=self._held)

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count if self._held else self._counted

    def begin_direct(self) -> bool:
        """See `Sink`."""
        return self._frames.files.begin_direct(self._frames.path)

    def begin_early(self) -> None:
        """See `Sink`."""
        self._frames.files.early = True

    def hold(self) -> None:
        """See `Sink`."""
        self._held = self._frames.files.held = self._info.files.held = True

    def sync(self) -> None:
        """See `Sink`."""
        self.verify()
        self._frames.files.sync()
        self._info.files.sync()
        self._count_now()

    def flush(self) -> None:
        """See `Sink`."""
        try:
            if self._packers is None:
                self._write()
            else:
                self._flush_packed(self._packers)
        finally:
            self._tell_count()
        for coordinate in self._along_time.values():
            coordinate.write()

    def _write(self) -> None:
        """Write the frames of the present chunk, and count them."""
        used = self._staging.used
        if used == self._in_file:
            return
        self._staging.frames[used:] = 0
        try:
            self._write_chunk(self._staging.frames, self._staging.info, self._in_file, used)
        except OSError:
            self._staging.used = self._in_file
            raise
        self._in_file = used

    def _put_piece(self, piece: Piece) -> int:
        """See `StagedSink`."""
        staging = piece.staging
        content = piece.content
        if content is None:
            content = b"".join((self._head, staging.frames.data))
        self._write_chunk(content, staging.info, piece.first, staging.used)
        return len(content)

    def _write_chunk(self, content: Any, info: Array, first: int, used: int) -> None:
        """Write the present chunk, and count those of its frames that are new, from `first` on."""
        self.verify()
        self._frames.write(self._count // len(self._table), content)
        self._write_rows(info[:used])
        self._place_in_time(info[first:used])
        self._tell_count_in_time()

    def _write_rows(self, info: Array) -> None:
        """Write the rows of the present chunk, whose frames are there."""
        number = self._count // len(self._table)
        for at, name in enumerate(COLUMNS):
            self._table[: len(info), at] = info[name].astype(np.int64, copy=False)
        self._table[len(info) :] = 0
        try:
            self._info.write(number, self._table)
        except OSError:
            if self._count % len(self._table) == 0:
                delete(self._frames.path_of(number))  # none of them counts, and others need its room
            raise

    def _place_in_time(self, info: Array) -> None:
        """Count frames whose rows are there, and keep their coordinates."""
        self._count += len(info)
        for name, values in coordinates_of(info).items():
            self._along_time[name].add(values)

    def _tell_count(self) -> None:
        """Write the number of frames that have a row.

        Not with each chunk: to replace a small file may make the file system write it at once.
        """
        self._told = time.monotonic()
        if not self._held:
            self._count_now()

    def _count_now(self) -> None:
        if self._counted != self._count:
            self._frames.count(self._count)
            # Rows last: a frame with a row is complete.
            self._info.count(self._count)
            self._counted = self._count

    def _tell_count_in_time(self) -> None:
        if time.monotonic() - self._told >= self.flush_seconds:
            self._tell_count()

    def write(self, frames: Array) -> None:
        """See `Sink`."""
        self._drop()
        if self._packers is not None:
            self._write_packed(self._packers, wait=True)
        self.verify()
        path = self._frames.path_of(self._count // len(frames))
        self._hidden = self._frames.files.write(path, [self._head, frames.reshape(-1).view(np.uint8)])
        self._placed = len(self._head) + frames.nbytes

    def room(self, count: int) -> Array:
        """See `Sink`."""
        self._drop()
        return super().room(count)

    def _drop(self) -> None:
        """Delete a chunk that `write` made and that does not count."""
        hidden, self._hidden, self._placed = self._hidden, "", 0
        if hidden:
            delete(hidden)

    def _add(self, info: Array) -> None:
        """See `StagedSink`."""
        self._frames.files.put(self._hidden, self._frames.path_of(self._count // len(info)))
        self._hidden = ""
        self._write_rows(info)
        self._place_in_time(info)
        self._tell_count_in_time()

    def verify(self) -> None:
        """See `Sink`."""
        try:
            for folder, identity in self._folders.items():
                check_name(folder, identity)
        except OutputChangedError:
            self._changed = True
            raise

    def _verify_chunks(self) -> None:
        """Raise `OutputChangedError` unless all chunks are there, in their whole length."""
        rows = len(self._table)
        wanted = -(-self._count // rows)
        staged = self._staging.frames
        expected = {
            "frames": (staged.ndim, staged.nbytes, bool(self._head), wanted),
            "info": (2, self._table.nbytes, False, wanted),
            **{name: (1, each.nbytes, False, each.chunks) for name, each in self._along_time.items()},
        }
        for name, (axes, nbytes, packed, chunks) in expected.items():
            if len(chunks_of(self._path, name, axes, nbytes, packed)) < chunks:
                raise OutputChangedError(
                    f"{self._path}: chunks of {name} were deleted or cut by another program while it was "
                    "recorded",
                    path=self._path,
                )

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self._drop()
        self.flush()
        self.verify()
        self._verify_chunks()
        if self._held:
            self.sync()
        for name, coordinate in self._along_time.items():
            if self._held:
                sync_files([coordinate.member.path])
                coordinate.member.files.held = True
            coordinate.member.describe(time_attributes(header) if name == "time" else {})
            coordinate.member.count(self._count)
        self._describe(header, finished=True)
        self._let_packers_go()

    def close(self) -> None:
        """See `Sink`."""
        self._let_packers_go()
        self._drop()
        if self._held and not self._changed:
            self._count_now()

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`."""
        return read_zarr(path)


FORMAT = ZarrSink
