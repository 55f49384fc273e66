"""FITS, packed: a tiled image of the FITS standard (4.0, section 10), one tile of RICE_1 for each frame.

An image that is packed is a table. Each of its rows says where in the heap behind the table a tile lies, and
how long it is. Rows are set aside for all frames that may come, so that the heap never has to move: the
standard allows a gap between the rows that count and the heap (THEAP). A frame counts when its tile is in the
heap, then its row in the table, then its row of `FRAME_ROW` beside the file, and at last the numbers in the
header.

Astropy 8 reads an image with such a gap in parts (``section``), and not as a whole: it takes the length of
the gap for a part of the heap. That is what becomes of the gap when the file is finished: places of tiles are
then greater by its length. Tiles lie one behind the other in any case, and as long as there is a gap, readers
of ours know their places by their lengths: a recorder may be killed at any moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._types import Array
from ...errors import StreamUnsupportedError
from ...native.rice import longest_tile, pack_tiles
from .base import Header, batch_of, reserve, write_all
from .fits_cards import TAKEN, flip_of
from .fits_file import CARD_NBYTES, Card, FitsFile, card_of
from .packers import Piece
from .packing import WORDS
from .staged import StagedSink

__all__ = ["PackedFitsSink", "Tiles", "encoder_of"]

#: Approximate bytes of frames that are packed at a time.
_PACKED_NBYTES = 1 << 20

#: Rows that are set aside where nobody knows how many frames will come, and most of them.
_ROWS, _MOST_ROWS = 1 << 20, 1 << 24

#: A row of the table: bytes of a tile, and its place in the heap.
_ROW = np.dtype(">i8")
_ROW_NBYTES = 2 * _ROW.itemsize

#: Rows that are changed at a time.
_PIECE_ROWS = 1 << 16

#: Bytes from which on blocks of the disk are reserved first, which is faster.
_RESERVE_NBYTES = 1 << 20

#: Where the header of the table begins, and the places of its cards NAXIS2, THEAP and ZNAXIS.
_TABLE, _NAXIS2, _THEAP, _ZNAXIS = 2880, 4, 8, 9

#: Cards of packed images and of tables, names that keywords of a stream cannot have.
_NAMES = re.compile(
    r"Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|MASKCMP|QUANTIZ|DITHER0|SIMPLE|TENSION|EXTEND|BLOCKED"
    r"|PCOUNT|GCOUNT|HECKSUM|DATASUM|SCALE|ZERO|BLANK)|T(TYPE|FORM|UNIT|SCAL|ZERO|NULL|DISP|DIM)\d+|THEAP"
)


class Tiles:
    """Packed frames, one behind the other.

    Attributes
    ----------
    content : ndarray of uint8
    lengths : ndarray of int64
        Bytes of each.
    """

    def __init__(self, content: Array, lengths: Array) -> None:
        self.content, self.lengths = content, lengths

    def __len__(self) -> int:
        return len(self.content)


def encoder_of(flip: int, plain: bool = False) -> Callable[[Array], Tiles]:
    """Return what packs frames; `plain`: in little time, and as long as they were."""

    def encode(frames: Array) -> Tiles:
        nbytes, itemsize = frames[0].nbytes, frames.dtype.itemsize
        target = np.empty(len(frames) * longest_tile(nbytes, itemsize), np.uint8)
        lengths = np.empty(len(frames), np.int64)
        used = pack_tiles(frames.reshape(-1).view(np.uint8), itemsize, flip, target, lengths, plain)
        return Tiles(target[:used], lengths)

    return encode


class PackedFitsSink(StagedSink, FitsFile):
    """See `Sink`. All words of `compress` mean the same here: there is one code, and it has no levels."""

    compresses = (True, *WORDS)
    whole_chunks = False

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        if dtype.kind not in "iu" or dtype.itemsize > 4:
            raise StreamUnsupportedError(
                f"compress: FITS packs integers of 1, 2 and 4 bytes without loss, and no {dtype}; take .h5 "
                "or .zarr, or record without compress"
            )

    @classmethod
    def most_frames(cls, asked: int | None, coming: int | None) -> int | None:
        """See `Sink`."""
        return min(asked or coming or _ROWS, _MOST_ROWS)

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
        self._set_aside = _ROWS if frames is None else frames
        self._gap = True  # between the rows that count and the heap
        self._front = bytearray()  # of the header: from card NAXIS2 to that of the number of frames
        self._heap_used = 0  # bytes of tiles that count
        self._behind = 0  # and of those behind them that were written and do not yet
        flip = flip_of(dtype)
        self._plain = encoder_of(flip, plain=True)
        self._begin_file(path, shape, dtype, header, replace)
        try:
            count = batch_of(shape, dtype, _PACKED_NBYTES)
            count = count if frames is None else max(1, min(count, frames))
            self._stage(shape, dtype, count, encoder_of(flip))
        except BaseException:
            self.close()
            self.remove(path)
            raise

    # -- header --------------------------------------------------------------------------------

    def _head(self, header: Header) -> bytes:
        """See `FitsFile`. The numbers that grow are in the first page of the file: they change at once."""
        first: list[Card] = [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", 8, ""),
            ("NAXIS", 0, "the frames are in the first extension"),
            ("EXTEND", True, ""),
        ]
        axes = [*self._shape[::-1], self._count]
        cards: list[Card] = [
            ("XTENSION", "BINTABLE", "a packed image: FITS 4.0, section 10"),
            ("BITPIX", 8, ""),
            ("NAXIS", 2, ""),
            ("NAXIS1", _ROW_NBYTES, ""),
            *self._counts(),
            ("GCOUNT", 1, ""),
            ("TFIELDS", 1, ""),
            self._heap_begin(),
            ("ZNAXIS", len(axes), ""),
            *((f"ZNAXIS{1 + at}", length, "") for at, length in enumerate(axes[:-1])),
            self._frame_count(),
            *((f"ZTILE{1 + at}", length, "") for at, length in enumerate([*axes[:-1], 1])),
            ("ZIMAGE", True, ""),
            ("ZBITPIX", 8 * self._dtype.itemsize, ""),
            ("ZCMPTYPE", "RICE_1", ""),
            ("ZNAME1", "BLOCKSIZE", ""),
            ("ZVAL1", 32, ""),
            ("ZNAME2", "BYTEPIX", ""),
            ("ZVAL2", self._dtype.itemsize, ""),
            ("TTYPE1", "COMPRESSED_DATA", ""),
            ("TFORM1", "1QB", ""),
            ("EXTNAME", "FRAMES", ""),
        ]
        names = [str(each[0]).upper() for each in header["keywords"]]
        facts, stream = self._facts(header, (*TAKEN, *filter(_NAMES.fullmatch, names)))
        table = self._header_bytes([*cards, *facts], stream)
        self._front[:] = table[_NAXIS2 * CARD_NBYTES : (_ZNAXIS + len(axes) + 1) * CARD_NBYTES]
        return self._header_bytes(first) + table

    def _counts(self) -> tuple[Card, Card]:
        """Return the cards of the length of the table, and of what follows its rows."""
        behind = (self._set_aside - self._count) * _ROW_NBYTES + self._heap_used
        return ("NAXIS2", self._count, "frames"), ("PCOUNT", behind, "rows set aside, and the heap")

    def _heap_begin(self) -> Card:
        return "THEAP", (self._set_aside if self._gap else self._count) * _ROW_NBYTES, "begin of the heap"

    def _frame_count(self) -> Card:
        return f"ZNAXIS{1 + len(self._shape)}", self._count, "frames"

    def _write_count(self) -> None:
        """See `FitsFile`."""
        cards = [card_of(*each) for each in (*self._counts(), self._heap_begin(), self._frame_count())]
        for at, card in zip((0, 1, _THEAP - _NAXIS2, -1), cards, strict=True):
            begin = at * CARD_NBYTES % len(self._front)
            self._front[begin : begin + CARD_NBYTES] = card
        write_all(self._file, self._front, _TABLE + _NAXIS2 * CARD_NBYTES)

    # -- frames --------------------------------------------------------------------------------

    def _end(self) -> int:
        """See `FitsFile`."""
        return self._begin + self._set_aside * _ROW_NBYTES + self._heap_used

    def write(self, frames: Array) -> None:
        """See `Sink`."""
        self._placed = 0
        assert self._packers is not None
        self._write_packed(self._packers, wait=True)
        tiles = self._plain(frames)
        self._place(tiles)
        self._placed = len(tiles)

    def _put_piece(self, piece: Piece) -> int:
        """See `StagedSink`."""
        tiles = self._plain(piece.frames) if piece.content is None else piece.content
        self._place(tiles)
        self._add(piece.staging.info[piece.first : piece.staging.used])
        return len(tiles)

    def _place(self, tiles: Tiles) -> None:
        """Write tiles behind those that count, and their rows of the table."""
        self._check_length()
        at, nbytes = self._end(), len(tiles)
        ends = np.cumsum(tiles.lengths)
        assert self._count + len(ends) <= self._set_aside  # see `most_frames`
        rows = np.empty((len(ends), 2), _ROW)
        rows[:, 0], rows[:, 1] = tiles.lengths, self._heap_used + ends - tiles.lengths
        try:
            if nbytes >= _RESERVE_NBYTES:
                reserve(self._file, at, nbytes)
            self._out.write(tiles.content, at)
            self._fill_up(at + nbytes)
            write_all(self._file, rows.view(np.uint8), self._begin + self._count * _ROW_NBYTES)
        except OSError:
            os.ftruncate(self._file, at)  # the rows beside the file, and its table, may find room there
            raise
        self._behind = nbytes

    def _add(self, info: Array) -> None:
        """See `StagedSink`."""
        self._count_frames(info)
        self._heap_used += self._behind
        if not self._out.held:
            self._write_count()

    def flush(self) -> None:
        """See `Sink`."""
        assert self._packers is not None
        self._flush_packed(self._packers)

    # -- the end -------------------------------------------------------------------------------

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self._check_length()
        self._close_gap()
        super().finish(header)

    def _close_gap(self) -> None:
        """Make the rows that no frame has a part of the heap, once."""
        gap = (self._set_aside - self._count) * _ROW_NBYTES if self._gap else 0
        for first in range(0, self._count if gap else 0, _PIECE_ROWS):
            nbytes = min(_PIECE_ROWS, self._count - first) * _ROW_NBYTES
            place = self._begin + first * _ROW_NBYTES
            rows = np.frombuffer(os.pread(self._file, nbytes, place), _ROW).reshape(-1, 2).copy()
            rows[:, 1] += gap
            write_all(self._file, rows.view(np.uint8), place)
        if self._out.held:
            os.fdatasync(self._file)  # before the header says so
        self._gap = False
        self._write_count()

    def close(self) -> None:
        """See `Sink`."""
        self._let_packers_go()
        super().close()
