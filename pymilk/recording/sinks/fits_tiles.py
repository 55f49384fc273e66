"""Frames of a packed FITS image: tiles of RICE_1 that are unpacked when frames are indexed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._types import Array
from ...native.rice import unpack_tile
from .fits_cards import flip_of

__all__ = ["TiledFrames", "Tiling", "rows_by_length", "tiling_of"]

#: The only column of the table: numbers of 32 or 64 bits that say how long tiles are, and where.
_COLUMN = re.compile(r"1?([PQ])B(\(\d+\))?")

#: Cards of pixels that were scaled or left out.
_OTHERWISE = ("ZSCALE", "ZZERO", "ZBLANK", "ZMASKCMP", "ZQUANTIZ")


class Tiling(NamedTuple):
    """How an image is packed.

    Attributes
    ----------
    shape : tuple of int
        (n, *shape), in C order.
    dtype : dtype
        Native.
    tiles : int
        Of a frame, one behind the other.
    block : int
        Pixels that are coded together.
    rows : int
        Of the table: tiles of all frames.
    row : dtype
        Of the two numbers of a row.
    heap_begin, heap_nbytes : int
        From the begin of the table on.
    gap : bool
        The table does not end where the heap begins.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tiles: int
    block: int
    rows: int
    row: np.dtype[Any]
    heap_begin: int
    heap_nbytes: int
    gap: bool


def tiling_of(cards: Any, dtype: np.dtype[Any], growing: bool = False) -> Tiling | None:
    """Tell from the header of the table how an image is packed.

    Parameters
    ----------
    cards : Header of astropy
    dtype : dtype
        Of the pixels.
    growing : bool, default False
        It is a recording that is not finished: what its table and its last axis agree in counts.

    Returns
    -------
    Tiling or None
        None: by another code, in tiles that do not follow each other in a frame, or not without loss; or the
        cards do not fit each other.
    """
    column = _COLUMN.fullmatch(str(cards.get("TFORM1", "")).strip())
    if column is None or cards.get("TFIELDS") != 1 or cards.get("TTYPE1") != "COMPRESSED_DATA":
        return None
    settings = {cards.get(f"ZNAME{at}"): cards.get(f"ZVAL{at}") for at in range(1, 9)}
    block, itemsize = settings.get("BLOCKSIZE", 32), settings.get("BYTEPIX", 4)
    shape = _axes(cards, "ZNAXIS")
    if (
        cards.get("ZCMPTYPE") not in ("RICE_1", "RICE_ONE")
        or any(name in cards for name in _OTHERWISE)
        or dtype.kind not in "iu"
        or not itemsize == dtype.itemsize == cards.get("ZBITPIX", 0) // 8
        or not isinstance(block, int)
        or not 1 <= block <= 1 << 20
        or shape is None
        or len(shape) < 2
    ):
        return None
    tiles = _tiles_of(cards, shape)
    row = np.dtype(">i8" if column[1] == "Q" else ">i4")
    rows, width, more = (cards.get(name) for name in ("NAXIS2", "NAXIS1", "PCOUNT"))
    if tiles is None or width != 2 * row.itemsize or not isinstance(rows, int) or not isinstance(more, int):
        return None
    count = min(shape[0], rows // tiles) if growing else shape[0]
    begin = cards.get("THEAP", width * rows)
    heap = width * rows + more - begin if isinstance(begin, int) else -1
    if (not growing and rows != count * tiles) or begin < width * rows or heap < 0:
        return None
    gap = begin > width * rows
    return Tiling((count, *shape[1:]), dtype, tiles, block, count * tiles, row, begin, heap, gap)


def rows_by_length(rows: Array) -> Array:
    """Return rows of tiles that lie one behind the other: places by the lengths of those before.

    Of a recording that is not finished, whose recorder may have been killed while it changed all places.
    """
    made: Array = rows.astype(np.int64)
    made[:, 1] = np.cumsum(made[:, 0]) - made[:, 0]
    return made


def _axes(cards: Any, name: str) -> tuple[int, ...] | None:
    """Return the lengths of axes in C order; None if one is no length."""
    lengths = [cards.get(f"{name}{at}") for at in range(int(cards.get("ZNAXIS", 0)), 0, -1)]
    if not all(isinstance(each, int) and each >= 0 for each in lengths) or not all(lengths[1:]):
        return None
    return tuple(lengths)


def _tiles_of(cards: Any, shape: tuple[int, ...]) -> int | None:
    """Return how many tiles a frame has; None if they do not lie in it one behind the other."""
    tile = [cards.get(f"ZTILE{at}", 1) for at in range(len(shape), 1, -1)] + [cards.get("ZTILE1", shape[-1])]
    if tile[0] != 1 or not all(isinstance(each, int) and each >= 1 for each in tile):
        return None
    axes = list(zip(shape[1:], tile[1:], strict=True))
    while axes and axes[0][1] == 1:
        axes.pop(0)  # a tile has one item of these
    if axes and axes[0][0] % axes[0][1]:
        return None
    if any(length != part for length, part in axes[1:]):
        return None
    found: int = math.prod(shape[1:]) // math.prod(part for _, part in axes)
    return found


class TiledFrames:
    """Frames that are unpacked when they are indexed along the first axis.

    Parameters
    ----------
    tiling : Tiling
    rows : ndarray of int, shape (tiling.rows, 2)
        Length and place in the heap of each tile.
    heap : ndarray of uint8
    check : callable
        Raises if the file was cut: a tile that seems damaged may be gone.
    """

    def __init__(self, tiling: Tiling, rows: Array, heap: Array, check: Callable[[], object]) -> None:
        self.shape, self.dtype, self.ndim = tiling.shape, tiling.dtype, len(tiling.shape)
        self._tiling, self._check = tiling, check
        # Of NumPy's own class, whose slices cost less than those of a map.
        self._rows, self._heap = (each.view(np.ndarray) for each in (rows, heap))

    @property
    def missing(self) -> str:
        """See `Stored`."""
        length, place = self._rows[:, 0], self._rows[:, 1]
        there = (length > 0) & (place >= 0) & (place <= len(self._heap)) & (length <= len(self._heap) - place)
        frames = np.flatnonzero(~there.reshape(-1, self._tiling.tiles).all(axis=1))
        if not len(frames):
            return ""
        return f"frames without a tile in the file: {len(frames)}, the first of them is frame {frames[0]}"

    def __getitem__(self, which: slice | None) -> Array:
        """Return frames, a copy; ValueError if a tile is damaged. None: all of them, below one more axis."""
        if which is None:
            return self[:][None]
        rows = self._rows.reshape(-1, self._tiling.tiles, 2)[which].reshape(-1, 2).tolist()
        made = np.empty((len(rows) // self._tiling.tiles, *self.shape[1:]), self.dtype)
        try:
            self._unpack(rows, made.reshape(-1).view(np.uint8))
        except ValueError:
            self._check()
            raise
        return made

    def _unpack(self, rows: list[list[int]], target: Array) -> None:
        """Unpack tiles one behind the other."""
        flip, itemsize, block = flip_of(self.dtype), self.dtype.itemsize, self._tiling.block
        nbytes = len(target) // max(1, len(rows))
        for at, (length, place) in enumerate(rows):
            if not 0 <= place <= place + length <= len(self._heap):
                raise ValueError("a tile is not in the file")
            part = target[at * nbytes : (at + 1) * nbytes]
            unpack_tile(self._heap[place : place + length], part, itemsize, flip, block)
