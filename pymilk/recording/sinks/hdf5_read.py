"""HDF5 recordings read: what the file promises is compared with what it has before any of it is read."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import StreamFormatError
from ...system.extras import optional_library
from ...system.regular import check_regular
from .base import HEADER_NBYTES, Stored, header_of_json
from .coordinates import COORDINATES
from .hdf5_filters import check_filters
from .hdf5_frames import StoredItems, check_stored
from .kept import KeptFrames, kept_rows, rows_with_gaps
from .rows import rows_of

__all__ = ["read_hdf5"]

#: Bytes of a packed chunk of several items, unpacked, at most: it is unpacked as a whole, and a file of a few
#: bytes can promise very much. Recorders write 1 MB.
_LARGEST_NBYTES = 64 << 20

#: What the library says of a file that is being written, or whose recorder was killed.
_BEING_WRITTEN = ("already open for write", "unable to lock file")


def _damaged(path: str, why: str, **attributes: Any) -> StreamFormatError:
    attributes = {"field": "data sets", **attributes}
    return StreamFormatError(
        f"{path} is no recording of pymilk, or it is damaged: {why}", path=path, **attributes
    )


def read_hdf5(path: str) -> Stored:
    """Read an HDF5 recording; raises OSError and StreamError."""
    h5py = optional_library("h5py", "hdf5", "HDF5 recordings")
    nbytes = check_regular(path).st_size
    if not h5py.is_hdf5(path):
        raise StreamFormatError(
            f"{path} is no HDF5 file, or it is damaged", path=path, field="file", expected="HDF5"
        )
    h5 = _opened(h5py, path)
    try:
        return _read(h5py, h5, path, nbytes)
    except BaseException:
        _close(h5)
        raise


def _opened(h5py: Any, path: str) -> Any:
    """Open the file, also while it is being written."""
    try:
        return h5py.File(path, "r")
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
    # Only then: in this mode the library waits for hours for a damaged header to become right.
    return h5py.File(path, "r", swmr=True)


def _close(h5: Any) -> None:
    """Close a file that was read; of a damaged one the library may say that it cannot."""
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        h5.close()


def _member(h5py: Any, h5: Any, path: str, name: str) -> Any:
    """Return a data set that is in this file itself."""
    link = h5.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise _damaged(path, f"{name} is a link to another place, and is not followed")
    member = h5[name]
    if not isinstance(member, h5py.Dataset):
        raise _damaged(path, f"{name} is no data set")
    if member.external or member.is_virtual:
        raise _damaged(path, f"{name} is stored in other files, which are not opened")
    chunk = member.chunks or (1,)
    nbytes = math.prod(chunk) * member.dtype.itemsize
    if chunk[0] > 1 and nbytes > _LARGEST_NBYTES and member.id.get_create_plist().get_nfilters():
        raise _damaged(path, f"the packed chunks of {name} have {nbytes} bytes, unpacked")
    check_filters(h5py, member, path)
    return member


def _read(h5py: Any, h5: Any, path: str, nbytes: int) -> Stored:
    found = sorted(h5)
    if not {"frames", "info", "header"} <= set(found):
        raise StreamFormatError(
            f"{path} is no recording of pymilk: it has {', '.join(found) or 'nothing'}; open it with h5py",
            path=path,
            field="data sets",
            expected=["frames", "header", "info"],
            found=found,
        )
    frames, rows, text = (_member(h5py, h5, path, name) for name in ("frames", "info", "header"))
    if rows.dtype != FRAME_ROW or rows.ndim != 1 or frames.ndim < 1:
        raise _damaged(path, f"info has {rows.dtype} of shape {rows.shape}, frames the shape {frames.shape}")
    if text.shape != () or text.dtype.kind != "S" or text.dtype.itemsize > min(HEADER_NBYTES, nbytes):
        raise _damaged(path, f"header is {text.dtype} of shape {text.shape}")
    # The library makes zeros of what is not in the file: rows without end, of a file of a few bytes.
    # A file that is being written may end within its last chunk.
    stored = min(int(rows.id.get_storage_size()), nbytes)
    if rows.size * FRAME_ROW.itemsize > stored:
        there = stored // FRAME_ROW.itemsize
        raise StreamFormatError(
            f"{path} promises {rows.size} rows of frames, and has {there}",
            path=path,
            field="file size",
            expected=int(rows.size),
            found=nbytes,
        )
    if max(frames.shape, default=0) >= 2**48 or rows.size > frames.shape[0]:
        raise _damaged(path, f"{rows.size} rows, and frames of shape {frames.shape}")
    content = text[()]
    check_stored(h5py, text, path)
    header = header_of_json(content, path)
    info = rows_of(StoredItems(h5py, rows, path), int(frames.shape[0]))
    complete = bool(header.get("complete"))
    kept, missing = np.arange(0), ""
    if complete:  # of a file that is being written the library does not know its chunks
        kept, missing = _kept(frames, min(len(info), int(frames.shape[0])))
    held: Any = StoredItems(h5py, frames, path)
    if missing:
        held, info = KeptFrames(held, kept), rows_with_gaps(info[kept], kept)
    return Stored(
        held, None, frames.dtype, info, header, complete, lambda: _close(h5),
        missing=missing or (_lacking(h5py, h5, frames, len(info)) if complete else ""),
        rows=int(rows.size),
    )  # fmt: skip


def _lacking(h5py: Any, h5: Any, frames: Any, count: int) -> str:
    """Return what else is missing, in words: frames, or coordinates, which older files do not have."""
    if not frames.chunks:
        contiguous = frames.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
        unwritten = contiguous and frames.size and frames.id.get_offset() is None
        return "its frames were never written" if unwritten else ""
    grid = (
        -(-length // step) for length, step in zip((count, *frames.shape[1:]), frames.chunks, strict=True)
    )
    wanted, there = math.prod(grid), int(frames.id.get_num_chunks())
    if there < wanted:
        return f"{wanted - there} of {wanted} chunks of frames are missing"
    links = {name: h5.get(name, getlink=True) for name in set(COORDINATES) & set(h5)}
    if not links:
        return ""
    for name in COORDINATES:
        # What a link to another file would lead to is not looked at.
        member = h5[name] if isinstance(links.get(name), h5py.HardLink) else None
        if getattr(member, "shape", None) != (count,):
            return f"the coordinate {name} is missing, or a part of it"
    return ""


def _kept(frames: Any, count: int) -> tuple[Array, str]:
    """Return which of the frames are in the file, and what is missing, in words."""
    if not frames.chunks:
        return np.arange(0), ""
    rows = int(frames.chunks[0])
    wanted = -(-count // rows)
    whole = tuple(frames.chunks[1:]) == tuple(frames.shape[1:])
    there = int(frames.id.get_num_chunks())
    if there >= wanted or not whole:
        return np.arange(0), ""
    numbers = sorted(frames.id.get_chunk_info(at).chunk_offset[0] // rows for at in range(there))
    chunks = np.array(numbers, np.int64)
    kept = kept_rows(chunks, rows, count)
    return kept, f"{wanted - len(chunks[chunks < wanted])} of {wanted} chunks of frames are missing"
