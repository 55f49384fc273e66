"""Zarr recordings read: sizes of files and numbers in the metadata are compared before a frame is."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...system.regular import read_regular, regular_entries
from .base import HEADER_NBYTES, Stored, header_of_json, nothing_to_close
from .coordinates import COORDINATES
from .kept import KeptFrames, rows_with_gaps
from .packing import BLOSC_HEAD
from .rows import joined_rows, rows_of
from .zarr_frames import ChunkFiles, is_whole_blosc

__all__ = ["COLUMNS", "chunks_of", "read_zarr"]

COLUMNS = list(FRAME_ROW.names or ())

#: Name of a chunk: its number, and a 0 for each other axis.
_CHUNK = re.compile(r"c\.([0-9]{1,18})((?:\.0)*)")

#: Bytes of a packed chunk of several frames, unpacked, at most. Recorders write some 4 MB; it is unpacked as
#: a whole, and a file of a few bytes can promise very much.
_LARGEST_NBYTES = 64 << 20

#: Rows that are read at a time.
_PIECE_ROWS = 1 << 16

#: How often a folder is listed in which a recorder is at work: a listing may miss a file that is replaced.
_LISTINGS = 3


def _endian(codec: dict[str, Any]) -> str:
    """Return the byte order of the codec "bytes"; pixels of one byte need none."""
    found: str = codec.get("configuration", {}).get("endian", "little")
    return found


class _Array(NamedTuple):
    """What the metadata of an array says."""

    shape: tuple[int, ...]
    rows: int  # of a chunk
    dtype: np.dtype[Any]
    packed: bool
    attributes: dict[str, Any]

    @property
    def chunk_nbytes(self) -> int:
        """Bytes of a chunk, unpacked."""
        nbytes = self.rows * self.dtype.itemsize
        for length in self.shape[1:]:
            nbytes *= length
        return nbytes


def _damaged(path: str, why: str, **attributes: Any) -> StreamFormatError:
    attributes = {"field": "group", **attributes}
    return StreamFormatError(
        f"{path} is no recording of pymilk, or it is damaged: {why}; open it with zarr",
        path=path,
        **attributes,
    )


def _metadata(path: str, where: str) -> dict[str, Any]:
    """Read the metadata of a group or an array."""
    file = os.path.join(where, "zarr.json")
    try:
        return header_of_json(read_regular(file, HEADER_NBYTES), file)
    except FileNotFoundError as error:
        raise _damaged(path, f"there is no {file}") from error


def _array(path: str, name: str) -> _Array:
    """Read what is said of one of the two arrays; all numbers are checked against each other."""
    data = _metadata(path, os.path.join(path, name))
    try:
        shape, chunk = data["shape"], data["chunk_grid"]["configuration"]["chunk_shape"]
        encoding = data["chunk_key_encoding"]
        codecs = [each["name"] for each in data["codecs"]]
        dtype, order = np.dtype(str(data["data_type"])), _endian(data["codecs"][0])
        if order == "big":
            dtype = dtype.newbyteorder(">")
        attributes = data.get("attributes", {})
        good = (
            all(type(each) is int and 0 <= each < 2**48 for each in (*shape, *chunk))
            and len(shape) == len(chunk) >= 1
            and min(chunk) > 0
            and shape[1:] == chunk[1:]
            and encoding["name"] == "default"
            and encoding["configuration"]["separator"] == "."
            and order in ("little", "big")
            and codecs in (["bytes"], ["bytes", "blosc"])
            and isinstance(attributes, dict)
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _damaged(path, f"metadata of {name}: {error!r}") from error
    if not good:
        raise _damaged(path, f"metadata of {name}: shape {shape}, chunks {chunk}, codecs {codecs}")
    found = _Array(tuple(shape), chunk[0], dtype, "blosc" in codecs, attributes)
    if found.packed and found.rows > 1 and found.chunk_nbytes > _LARGEST_NBYTES:
        raise _damaged(path, f"its packed chunks have {found.chunk_nbytes} bytes, unpacked")
    return found


def chunks_of(
    path: str, name: str, axes: int, nbytes: int, packed: bool, damaged: list[int] | None = None
) -> Array:
    """Return the numbers of the whole chunks of an array that there are, ascending.

    Parameters
    ----------
    path : str
        Of the group.
    name : str
    axes : int
    nbytes : int
        Of a chunk, unpacked.
    packed : bool
    damaged : list of int, optional
        Gets the numbers of the chunks that have another length.

    Raises
    ------
    OSError, StreamFormatError
        One of them is no regular file.
    """
    found = []
    for entry, size in regular_entries(os.path.join(path, name)):
        match = _CHUNK.fullmatch(os.path.basename(entry))
        if match is None or len(match[2]) != 2 * (axes - 1):
            continue
        if packed:
            whole = is_whole_blosc(read_regular(entry, BLOSC_HEAD, part=True), nbytes, size)
        else:
            whole = size == nbytes
        if whole:
            found.append(int(match[1]))
        elif damaged is not None:
            damaged.append(int(match[1]))
    return np.array(sorted(found), np.int64)


def read_zarr(path: str) -> Stored:
    """Read a Zarr recording; needs numcodecs if it is packed. Raises OSError and StreamError."""
    if not os.path.exists(path):
        raise FileNotFoundError(2, "No such file or directory", path)
    header = _metadata(path, path).get("attributes", {})
    frames, table = _array(path, "frames"), _array(path, "info")
    columns = table.attributes.get("columns")
    if columns != COLUMNS or table.shape[1:] != (len(COLUMNS),) or table.dtype != np.int64 or table.packed:
        raise StreamFormatError(
            f"{path}: info has other columns than this version of pymilk knows",
            path=path,
            field="columns",
            expected=COLUMNS,
            found=columns,
        )
    if table.rows != frames.rows:
        raise _damaged(path, f"chunks of {frames.rows} frames, and of {table.rows} rows")
    if not isinstance(header, dict):
        raise _damaged(path, "the group has no attributes")
    complete = bool(header.get("complete"))
    for _ in range(1 if complete else _LISTINGS):
        info, kept, broken, missing = _rows(path, frames, table)
        if not missing:
            break
    if complete and frames.shape[0] != table.shape[0]:
        missing = missing or f"the shapes count {frames.shape[0]} frames and {table.shape[0]} rows"
    opened = ChunkFiles(path, "frames", frames.shape, frames.rows, frames.dtype, frames.packed)
    held: Any = KeptFrames(opened, kept, broken) if missing else opened
    native = frames.dtype.newbyteorder("=")
    return Stored(
        held, None if frames.dtype == native else lambda raw: raw.astype(native), native, info, header,
        complete, nothing_to_close, missing=missing or (_lacking(path, len(info)) if complete else ""),
        check=opened.check,
        rows=None if missing else table.shape[0],
    )  # fmt: skip


def _lacking(path: str, count: int) -> str:
    """Return what is missing of the coordinates, in words; older recordings have none."""
    absent = [name for name in COORDINATES if not os.path.isdir(os.path.join(path, name))]
    if len(absent) == len(COORDINATES):
        return ""
    if absent:
        return f"the coordinate {absent[0]} is missing"
    for name in COORDINATES:
        try:
            array = _array(path, name)
        except StreamFormatError:
            return f"the metadata of {name} are damaged"
        whole = chunks_of(path, name, 1, array.chunk_nbytes, array.packed)
        if array.shape != (count,) or len(whole) < -(-count // array.rows):
            return f"a part of the coordinate {name} is missing"
    return ""


def _rows(path: str, frames: _Array, table: _Array) -> tuple[Array, Array, Array, str]:
    """Read the rows of those frames that are there.

    Returns
    -------
    rows, their places, places whose chunk is damaged, and what is missing, in words
    """
    count = min(frames.shape[0], table.shape[0])
    cut: list[int] = []
    mine = chunks_of(path, "frames", len(frames.shape), frames.chunk_nbytes, frames.packed, cut)
    mine = np.union1d(mine, np.array(cut, np.int64))
    theirs = chunks_of(path, "info", 2, table.chunk_nbytes, table.packed)
    wanted = -(-count // frames.rows)
    both = np.intersect1d(mine, theirs)
    both = both[both < wanted]
    info, kept = _rows_of_chunks(path, table, both, count)
    broken = kept[np.isin(kept // frames.rows, cut)]
    if len(both) == wanted and not len(broken):
        return info, kept, broken, ""
    fault = f"{wanted - len(both)} of {wanted} chunks of frames are missing, {len(cut)} damaged"
    return rows_with_gaps(info, kept), kept, broken, fault


def _rows_of_chunks(path: str, table: _Array, numbers: Array, count: int) -> tuple[Array, Array]:
    """Return the rows in these chunks, up to the first that was never written, and their places."""
    source = ChunkFiles(path, "info", table.shape, table.rows, np.dtype("<i8"), False)
    pieces, places = [], []
    for number in map(int, numbers):
        end = min(count, (number + 1) * table.rows)
        for first in range(number * table.rows, end, _PIECE_ROWS):
            stored = source[first : min(end, first + _PIECE_ROWS)]
            piece = np.zeros(len(stored), FRAME_ROW)
            for at, name in enumerate(COLUMNS):
                piece[name] = stored[:, at].astype(FRAME_ROW[name])
            written = rows_of(piece, len(piece))
            pieces.append(written)
            places.append(np.arange(first, first + len(written)))
            if len(written) < len(piece):
                break
        else:
            continue
        break
    return joined_rows(pieces), np.concatenate([np.arange(0), *places])
