"""Zarr recordings read: sizes of files and numbers in the metadata are compared before a frame is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...system.extras import optional_library
from ...system.regular import read_regular, regular_entries
from .base import HEADER_NBYTES, Stored, header_of_json, nothing_to_close
from .kept import KeptFrames, kept_rows, rows_with_gaps

__all__ = ["COLUMNS", "chunks_of", "read_zarr"]

COLUMNS = list(FRAME_ROW.names or ())

#: Name of a chunk: its number, and a 0 for each other axis.
_CHUNK = re.compile(r"c\.([0-9]{1,18})((?:\.0)*)")

#: Bytes of the head of a Blosc chunk, where it says how long it is, unpacked and packed.
_BLOSC_HEAD = 16


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
        dtype = np.dtype(data["data_type"])
        attributes = data.get("attributes", {})
        good = (
            all(type(each) is int and 0 <= each < 2**48 for each in (*shape, *chunk))
            and len(shape) == len(chunk) >= 1
            and chunk[0] > 0
            and shape[1:] == chunk[1:]
            and encoding["name"] == "default"
            and encoding["configuration"]["separator"] == "."
            and codecs in (["bytes"], ["bytes", "blosc"])
            and isinstance(attributes, dict)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"metadata of {name}: {error!r}") from error
    if not good:
        raise _damaged(path, f"metadata of {name}: shape {shape}, chunks {chunk}, codecs {codecs}")
    return _Array(tuple(shape), chunk[0], dtype, "blosc" in codecs, attributes)


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
            head = read_regular(entry, _BLOSC_HEAD, part=True)
            whole = (
                len(head) == _BLOSC_HEAD
                and int.from_bytes(head[4:8], "little") == nbytes
                and int.from_bytes(head[12:16], "little") == size
            )
        else:
            whole = size == nbytes
        if whole:
            found.append(int(match[1]))
        elif damaged is not None:
            damaged.append(int(match[1]))
    return np.array(sorted(found), np.int64)


def read_zarr(path: str) -> Stored:
    """Read a Zarr recording; raises OSError and StreamError."""
    zarr = optional_library("zarr", "zarr", "Zarr recordings")
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
    info, kept, broken, missing = _rows(path, frames, table)
    if header.get("complete") and frames.shape[0] != table.shape[0]:
        missing = missing or f"the shapes count {frames.shape[0]} frames and {table.shape[0]} rows"
    opened = _opened(path, lambda: zarr.open_group(path, mode="r")["frames"])
    held: Any = KeptFrames(opened, kept, broken) if missing else opened
    native = np.dtype(opened.dtype).newbyteorder("=")
    return Stored(
        held, None, native, info, header, bool(header.get("complete")), nothing_to_close, missing=missing
    )


def _opened(path: str, opening: Callable[[], Any]) -> Any:
    try:
        return opening()
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise _damaged(path, repr(error), found=str(error)) from error


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
    kept = kept_rows(both, frames.rows, count)
    info = np.zeros(len(kept), FRAME_ROW)
    done = 0
    for number in both:
        file = os.path.join(path, "info", f"c.{number}.0")
        rows = np.frombuffer(read_regular(file, table.chunk_nbytes), "<i8").reshape(table.rows, -1)
        rows = rows[: count - int(number) * frames.rows]
        for at, name in enumerate(COLUMNS):
            info[name][done : done + len(rows)] = rows[:, at].astype(FRAME_ROW[name])
        done += len(rows)
    broken = kept_rows(np.intersect1d(both, np.array(cut, np.int64)), frames.rows, count)
    if len(both) == wanted and not len(broken):
        return info, kept, broken, ""
    fault = f"{wanted - len(both)} of {wanted} chunks of frames are missing, {len(cut)} damaged"
    return rows_with_gaps(info, kept), kept, broken, fault
