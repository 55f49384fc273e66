"""FITS files read: recordings with their rows, and images and cubes of others, packed or not."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...errors import CaptureMemoryError, StreamFormatError
from ...foreign.contents import content_of
from ...foreign.hdus import Chosen, Hdu, choose, opened, silenced, unpacked
from ...system.memory import free_memory
from .base import LASTING, Header, Stored, nothing_to_close
from .fits_cards import CARDS, PIXEL_CARD, TABLE_ROWS, flip_of, words_of_pixels
from .fits_tiles import TiledFrames, rows_by_length, tiling_of
from .mapped import MappedFile, too_short
from .npy import read_rows
from .rows import joined_rows, rows_of

__all__ = ["read_fits"]

#: Rows of the table that are read at a time.
_PIECE_ROWS = 1 << 16

#: How card SHM_IDX begins: the axes of all frames, k first.
_INDICES = re.compile(r"frames\[k((?:, -?[xyz])*)\]")


class _File:
    """A file to read from: what astropy opens, and where stored bytes are taken from.

    It is mapped after its header was read: a file that is being recorded is then as long as its header says.
    """

    def __init__(self, path: str, content: bytes | None) -> None:
        self.path, self._content = path, content
        self._mapped: MappedFile | None = None

    @property
    def source(self) -> Any:
        """What `opened` takes."""
        return self.path if self._content is None else io.BytesIO(self._content)

    def check(self) -> None:
        """See `Stored`."""
        if self._mapped is not None:
            self._mapped.check()

    @property
    def nbytes(self) -> int:
        """How long the file is, unpacked."""
        return os.path.getsize(self.path) if self._content is None else len(self._content)

    def array(self, kind: np.dtype[Any], shape: tuple[int, ...], place: int) -> Array:
        """Return stored numbers as they are: a map of the file, or of its unpacked bytes."""
        count = math.prod(shape)
        if count == 0:
            return np.zeros(shape, kind)
        wanted = place + count * kind.itemsize
        if place < 0 or min(shape) < 0 or wanted > self.nbytes:
            raise _short(self, wanted)
        if self._content is not None:
            return np.frombuffer(self._content, kind, count, place).reshape(shape)
        if self._mapped is None or self._mapped.nbytes < wanted:
            self._mapped = MappedFile(self.path)
        return self._mapped.array(kind, shape, place)


def _short(file: _File, wanted: int) -> StreamFormatError:
    return too_short(file.path, file.nbytes, wanted)


class _Pixels(NamedTuple):
    """Pixels of an HDU: see `Stored`."""

    frames: Any
    convert: Callable[[Array], Array] | None
    dtype: np.dtype[Any]


def read_fits(path: str, rows_path: str, hdu: Hdu | None) -> Stored:
    """Read a FITS file.

    Parameters
    ----------
    path : str
    rows_path : str
        Where the rows of a recording are that was not finished.
    hdu : int, str, (str, int) or None
        See `pymilk.foreign.hdus`.

    Raises
    ------
    OSError, StreamError
    """
    content = content_of(path)
    file = _File(path, unpacked(path, content) if content.packed else None)
    # Astropy warns of a file that is too short, which is an error below.
    with silenced(), opened(file.source, path, memmap=True, do_not_scale_image_data=True) as hdus:
        chosen = choose(hdus, hdu, path)
        cards = chosen.hdu.header.copy()
        packed = type(chosen.hdu).__name__ == "CompImageHDU"
        pixels = None if packed else _stored_pixels(file, chosen)
    if packed:
        pixels = _tiled_pixels(file, chosen.number, cards)
    if pixels is None:
        pixels = _scaled_pixels(file, hdu)
    label = chosen.label if chosen.number or chosen.others or hdu is not None else ""
    if "SHM_DONE" in cards:
        return _recorded(file, rows_path, cards, pixels)._replace(hdu=label)
    axes = pixels.frames.ndim
    return Stored(
        *pixels, None, {}, True, nothing_to_close,
        plain=True, axes=axes if axes <= 2 else None, hdu=label, others=chosen.others, check=file.check,
    )  # fmt: skip


# -- pixels ------------------------------------------------------------------------------------


def _stored_pixels(file: _File, chosen: Chosen) -> _Pixels | None:
    """Map the pixels of an HDU as they are stored; None if they are scaled, or may be missing."""
    cards = chosen.hdu.header
    dtype = _plain_type(cards)
    if dtype is None:
        return None
    bits = int(cards["BITPIX"])
    kind = np.dtype(f">f{-bits // 8}" if bits < 0 else "u1" if bits == 8 else f">i{bits // 8}")
    shape = tuple(int(cards[f"NAXIS{at}"]) for at in range(int(cards["NAXIS"]), 0, -1))
    frames = file.array(kind, shape, chosen.hdu.fileinfo()["datLoc"])
    native = dtype.newbyteorder("=")
    convert = None if frames.dtype == native else lambda raw: _native(raw, native)
    return _Pixels(frames, convert, native)


def _tiled_pixels(file: _File, number: int, cards: Any) -> _Pixels | None:
    """Find the tiles of a packed image that is unpacked frame by frame; None: it is read as a whole."""
    dtype = _plain_type(cards)
    if dtype is None:
        return None
    with silenced(), opened(file.source, file.path, memmap=True, disable_image_compression=True) as hdus:
        table = hdus[number].header.copy()
        place = hdus[number].fileinfo()["datLoc"]
    found = tiling_of(table, dtype, growing=not cards.get("SHM_DONE", True))
    if found is None:
        return None
    rows = file.array(found.row, (found.rows, 2), place)
    if found.gap and "SHM_DONE" in cards:
        rows = rows_by_length(rows)
    heap = file.array(np.dtype(np.uint8), (found.heap_nbytes,), place + found.heap_begin)
    return _Pixels(TiledFrames(found, rows, heap, file.check), None, dtype)


def _scaled_pixels(file: _File, hdu: Hdu | None) -> _Pixels:
    """Read pixels as astropy makes them of what is stored: scaled, and NaN where they are missing."""
    with silenced(), opened(file.source, file.path, memmap=False) as hdus:
        chosen = choose(hdus, hdu, file.path)
        image = chosen.hdu
        end = _checked_end(file, chosen)
        frames = np.asarray(image.data)
    if end > file.nbytes:  # it was cut while it was read
        raise _short(file, end)
    native = frames.dtype.newbyteorder("=")
    return _Pixels(frames.astype(native, copy=False), None, native)


def _checked_end(file: _File, chosen: Chosen) -> int:
    """Return where an HDU ends; raise if its pixels are not in the file, or do not fit into memory."""
    image = chosen.hdu
    stored = image.size
    if type(image).__name__ == "CompImageHDU":  # whose size is that of its pixels when they are unpacked
        with silenced(), opened(file.source, file.path, memmap=True, disable_image_compression=True) as hdus:
            stored = hdus[chosen.number].size
    end = int(image.fileinfo()["datLoc"] + stored)
    if end > file.nbytes:
        raise _short(file, end)
    needed, available = 2 * 8 * math.prod(map(int, image.shape)), free_memory()
    if needed > available:
        raise CaptureMemoryError(
            f"{file.path} cannot be opened: its pixels of shape {image.shape} are packed or scaled, which "
            f"may take {needed} bytes of memory, and {available} are free",
            needed=needed,
            available=available,
        )
    return end


def _plain_type(cards: Any) -> np.dtype[Any] | None:
    """Return the dtype of pixels that need no scale but the offset of unsigned integers; None for others."""
    bits = int(cards["BITPIX"])
    zero = cards.get("BZERO", 0)
    if cards.get("BSCALE", 1) != 1 or (bits > 0 and zero == 0 and "BLANK" in cards):
        return None
    if bits < 0:
        kind = np.dtype(f"f{-bits // 8}")
    elif zero == 0:
        kind = np.dtype("u1" if bits == 8 else f"i{bits // 8}")
    else:
        kind = np.dtype("i1" if bits == 8 else f"u{bits // 8}")
    flip = flip_of(kind)
    return kind if zero == (-flip if bits == 8 else flip) else None


def _native(raw: Array, dtype: np.dtype[Any]) -> Array:
    """Make frames of stored pixels. A copy."""
    flip = flip_of(dtype)
    if not flip:
        return raw.astype(dtype)
    plain = np.dtype(f"u{dtype.itemsize}")
    made: Array = raw.view(plain.newbyteorder(">")).astype(plain)
    made ^= plain.type(flip)
    return made.view(dtype)


# -- recordings --------------------------------------------------------------------------------


def _recorded(file: _File, rows_path: str, cards: Any, pixels: _Pixels) -> Stored:
    """Read a recording; of a reduced copy of one, a plain cube."""
    done = bool(cards["SHM_DONE"])
    finished = done or cards.get("SHM_END") == "error"  # its rows are in the table
    info: Array | None = None
    rows: int | None = None
    count = int(pixels.frames.shape[0])
    if finished:
        info, rows = _table_of(file, count)
    else:
        with contextlib.suppress(FileNotFoundError):
            info, rows = read_rows(rows_path, count)
    header = _header_of(cards, pixels.dtype)
    reason = _why_reduced(cards, rows, rows_path)
    if not reason:
        missing = pixels.frames.missing if isinstance(pixels.frames, TiledFrames) else ""
        missing = missing or _what_changed(cards, pixels)
        return Stored(
            *pixels, info, header, done, nothing_to_close, check=file.check, rows=rows, missing=missing
        )
    return Stored(
        *pixels, None, {key: header[key] for key in LASTING}, False, nothing_to_close,
        plain=True, axes=_axes_of(cards), remark=reason, check=file.check,
    )  # fmt: skip


def _why_reduced(cards: Any, rows: int | None, rows_path: str) -> str:
    """Tell why the cards of a recording cannot be those of the pixels that they stand with."""
    if rows is None:
        where = "its table INFO" if cards["SHM_DONE"] else rows_path
        return f"{where}, which has a row for each frame, is missing"
    if not cards["SHM_DONE"]:
        return ""
    count = int(cards[f"NAXIS{cards['NAXIS']}"])
    return "" if count == rows else f"its last axis is {count} long, and there are {rows} rows"


def _what_changed(cards: Any, pixels: _Pixels) -> str:
    """Say whether frames are no others than the recorder wrote, but for floats that were made of them."""
    shape = tuple(pixels.frames.shape[1:])
    kind, found = pixels.dtype.name, words_of_pixels(pixels.dtype, shape)
    recorded = str(cards.get(PIXEL_CARD, found))  # older files have none
    same = recorded.removeprefix(recorded.partition("[")[0]) == found.removeprefix(kind)
    if recorded == found or (same and pixels.dtype.kind == "f"):
        return ""
    return f"its frames are read as {found}, and the recorder wrote {recorded[:40]}"


def _axes_of(cards: Any) -> int | None:
    """Return how many axes a frame of a reduced recording has; None: all but the first."""
    naxis = int(cards["NAXIS"])
    match = _INDICES.match(str(cards.get("SHM_IDX", "")))
    recorded = match[1].count(",") if match else 0
    if recorded and naxis in (recorded, recorded + 1):
        return recorded
    return naxis if naxis <= 2 else None


def _table_of(file: _File, most: int) -> tuple[Array | None, int | None]:
    """Read up to `most` rows from the table; returns them, and how many it has. None if there is no table."""
    with silenced(), opened(file.source, file.path, memmap=True) as hdus:
        kind = TABLE_ROWS.get(hdus["INFO"].header["NAXIS1"]) if "INFO" in hdus else None
        if kind is None:
            return None, None
        place = hdus["INFO"].fileinfo()["datLoc"]
        count = int(hdus["INFO"].header["NAXIS2"])
    table = file.array(kind, (count,), place)
    pieces = []
    for first in range(0, min(count, most), _PIECE_ROWS):
        piece = _from_table(table[first : min(count, most, first + _PIECE_ROWS)])
        pieces.append(rows_of(piece, len(piece)))
        if len(pieces[-1]) < len(piece):
            break
    file.check()
    return joined_rows(pieces), count


def _from_table(table: Array) -> Array:
    rows = np.zeros(len(table), FRAME_ROW)
    for name in FRAME_ROW.names or ():
        kind = FRAME_ROW[name]
        rows[name] = table[name].astype(f"i{kind.itemsize}").view(kind) ^ kind.type(flip_of(kind))
    return rows


def _header_of(cards: Any, dtype: np.dtype[Any]) -> Header:
    """Make the header of a recording from that of its file."""
    header: Header = {key: cards.get(name) for key, (name, _) in CARDS.items()}
    shape = [int(cards[f"NAXIS{at}"]) for at in range(int(cards["NAXIS"]) - 1, 0, -1)]
    first = cards.index("TRI_DIM") + 1  # others may have added cards behind
    keywords = cards.cards[first : first + int(cards["SHM_NKW"])]
    header.update(
        stream=str(cards["SHM_NAME"]),
        dtype=dtype.name,
        stream_shape=shape,
        symcode=int(cards["SYMCODE"]),
        tai_offset=int(cards["TAI-UTC"]),
        first_ns=int(cards["ATIME_NS"]),
        keywords=[[card.keyword, card.value, card.comment] for card in keywords],
    )
    return header
