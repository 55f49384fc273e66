"""`FitsFile`: what plain and packed FITS recordings share: cards, rows, and how a file gets finished.

While a file is being written it holds the frames alone: pixels first, then their number in the header. Rows
go to ``<file>.info.npy``, which becomes the table (extension ``INFO``) when the file is finished. A file
whose recorder was killed keeps both.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...axes import Which3DState
from ...errors import OutputChangedError
from ...fits import UPRIGHT_CARD, UPRIGHT_COMMENT, check_pixels, stream_cards, stream_facts, warn_of_cut
from ...foreign.hdus import Hdu
from ...system.extras import optional_library
from ...system.files import delete
from ...times import frame_times
from .base import CLOCK, Header, Sink, Stored, new_file, write_all
from .fits_cards import CARDS, PIXEL_CARD, TABLE_ROW, TAKEN, flip_of, words_of_pixels
from .fits_read import read_fits
from .fits_times import TIME_COLUMN, range_cards, seconds_of, time_column_cards
from .npy import GrowingNpy, mapped_npy
from .outputs import check_length, check_name, identity_of
from .outward import Outward

__all__ = ["CARD_NBYTES", "Card", "FitsFile", "card_of", "padded"]

#: All parts of a FITS file are multiples of these bytes.
_BLOCK = 2880

#: Of a card.
CARD_NBYTES = 80

#: Rows of the table that are written at a time.
_TABLE_ROWS = 1 << 16

#: Name, value and comment.
Card = tuple[str, Any, str]


def padded(nbytes: int) -> int:
    """Return how long a part of the file is, filled up."""
    return -(-nbytes // _BLOCK) * _BLOCK


def card_of(name: str, number: int, comment: str) -> bytes:
    """Return the bytes of a card that has a number, as they stand in the header."""
    return f"{name:<8}= {number:>20} / {comment}".ljust(CARD_NBYTES).encode()


class FitsFile(Sink):
    """A FITS file that is being written, and the rows beside it.

    A subclass calls `_begin_file`, and defines `_head`, `_end` and `_write_count`.
    """

    has_hdus = True
    times_in = ("column TIME of the table INFO", "rows beside it, .info.npy, until it is finished")
    takes_direct = True
    holds = True

    _file = -1
    _cut = False  # by another program

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        optional_library("astropy.io.fits", "fits", "FITS recordings")
        check_pixels(dtype)

    @classmethod
    def check_keywords(cls, keywords: Iterable[tuple[Any, ...]]) -> None:
        """See `Sink`."""
        warn_of_cut(stream_cards((), keywords, TAKEN)[1], stacklevel=5)

    @classmethod
    def files(cls, path: str) -> list[str]:
        """See `Sink`."""
        return [path, f"{path}.info.npy"]

    def _begin_file(
        self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any], header: Header, replace: bool
    ) -> None:
        """Make the files, without frames."""
        self._path = path
        self._shape, self._dtype = shape, dtype
        self._count = 0
        self._last = np.zeros(0, FRAME_ROW)  # the row of the last frame
        head = self._head(header)
        self._begin = len(head)
        self._rows_path = self.files(path)[1]
        self._rows = GrowingNpy(self._rows_path, (), FRAME_ROW, replace=replace)
        try:
            self._file = new_file(path, head, replace, padded(self._end()))
            self._identity = identity_of(os.fstat(self._file))
            self._out = Outward(self._file)
        except BaseException:
            self.close()
            delete(self._rows_path)
            raise

    # -- header --------------------------------------------------------------------------------

    @abc.abstractmethod
    def _head(self, header: Header) -> bytes:
        """Return all headers in front of the frames: always of the same length."""

    def _facts(self, header: Header, taken: Iterable[str] = TAKEN) -> tuple[list[Card], Any]:
        """Return the cards that say what the frames are, and those of the stream, which come last."""
        cards: list[Card] = []
        flip = flip_of(self._dtype)
        if flip:
            zero = -flip if self._dtype == np.int8 else flip
            cards += [("BSCALE", 1, ""), ("BZERO", zero, "offset of unsigned integers, or int8")]
        cards.append((UPRIGHT_CARD, "STREAM", UPRIGHT_COMMENT))
        cards += [(name, header.get(key), comment) for key, (name, comment) in CARDS.items()]
        cards.append((PIXEL_CARD, words_of_pixels(self._dtype, self._shape), "frames as they were recorded"))
        last_ns = int(frame_times(self._last)[0]) if header["ended"] != "running" and len(self._last) else 0
        cards += range_cards(header["first_ns"], last_ns, header["tai_offset"])
        cards.append(("SHM_NKW", len(header["keywords"]), "keywords of the stream, at the end"))
        # Parameters of multi_read that give frames[k, ...] as the user saw them.
        images = len(self._shape) == 2
        facts = stream_facts(
            name=header["stream"],
            symcode=header["symcode"] if len(self._shape) > 1 else 4,
            tri_dim=Which3DState.FRONT2LAST if images else header["tri_dim"],
            atime_ns=header["first_ns"],
            tai_offset=header["tai_offset"],
        )
        return cards, stream_cards(facts, header["keywords"], taken)[0]

    def _header_bytes(self, cards: Iterable[Card], behind: Any = None) -> bytes:
        """Return a header of these cards."""
        made = optional_library("astropy.io.fits", "fits", "FITS recordings").Header()
        for card in cards:
            made.append(card, end=True)
        if behind is not None:
            made.extend(behind, unique=False, bottom=True)
        content: bytes = made.tostring().encode("ascii")
        return content

    # -- frames --------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count

    @abc.abstractmethod
    def _end(self) -> int:
        """Return where the counted frames end in the file."""

    @abc.abstractmethod
    def _write_count(self) -> None:
        """Write into the header how many frames there are."""

    def _count_frames(self, info: Array) -> None:
        """Count frames that are in the file; `info` has their rows."""
        self._rows.append(info)
        self._count += len(info)
        self._last = info[-1:].copy()

    def begin_direct(self) -> bool:
        """See `Sink`."""
        return self._out.begin_direct()

    def begin_early(self) -> None:
        """See `Sink`."""
        self._out.early = True

    def hold(self) -> None:
        """See `Sink`."""
        self._rows.out.held = self._out.held = True

    def sync(self) -> None:
        """See `Sink`."""
        self._check_length()
        self._out.sync()
        self._rows.sync()
        self._write_count()
        os.fdatasync(self._file)

    def _check_length(self) -> None:
        """Raise `OutputChangedError` if the file was cut; it is left as it is then."""
        try:
            check_length(self._path, self._file, self._end())
        except OutputChangedError:
            self._cut = True
            raise

    def verify(self) -> None:
        """See `Sink`."""
        self._check_length()
        check_name(self._path, self._identity)
        self._rows.verify()

    def _fill_up(self, end: int) -> None:
        """Fill up the last block of the file."""
        write_all(self._file, bytes(padded(end) - end), end)

    def _trim(self) -> None:
        """Cut the file behind the counted frames."""
        end = self._end()
        os.ftruncate(self._file, padded(end))
        self._fill_up(end)
        self._rows.cut(self._count)

    # -- the end -------------------------------------------------------------------------------

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self._trim()
        self._rows.close()
        end = padded(self._end())
        try:
            self._write_table(end, header)
        except BaseException:
            os.ftruncate(self._file, end)
            raise
        # SHM_DONE last: whoever sees it sees the other cards, and the table.
        self._wait_for_disk()
        if header["complete"]:
            write_all(self._file, self._head({**header, "complete": False}), 0)
        write_all(self._file, self._head(header), 0)
        self._wait_for_disk()
        self.close()
        os.unlink(self._rows_path)

    def _wait_for_disk(self) -> None:
        """Go on once all is on the disk, where frames count from then on only."""
        if self._out.held:
            os.fsync(self._file)

    def _write_table(self, at: int, header: Header) -> None:
        head = self._header_bytes(self._table_cards(header))
        write_all(self._file, head, at)
        at += len(head)
        mapped, rows = mapped_npy(self._rows_path)
        for first in range(0, self._count, _TABLE_ROWS):
            part = _to_table(rows[first : first + _TABLE_ROWS], header)
            mapped.check()
            write_all(self._file, part.view(np.uint8), at)
            at += part.nbytes
        self._fill_up(at)

    def _table_cards(self, header: Header) -> list[Card]:
        cards: list[Card] = [
            ("XTENSION", "BINTABLE", "one row for each frame"),
            ("BITPIX", 8, ""),
            ("NAXIS", 2, ""),
            ("NAXIS1", TABLE_ROW.itemsize, ""),
            ("NAXIS2", self._count, ""),
            ("PCOUNT", 0, ""),
            ("GCOUNT", 1, ""),
            ("TFIELDS", len(TABLE_ROW.names or ()), ""),
        ]
        for number, name in enumerate(FRAME_ROW.names or (), 1):
            kind = FRAME_ROW[name]
            cards += [(f"TTYPE{number}", name, ""), (f"TFORM{number}", "KJ"[kind.itemsize == 4], "")]
            if kind.kind == "u":
                cards += [(f"TZERO{number}", flip_of(kind), "unsigned"), (f"TSCAL{number}", 1, "")]
            if name.endswith("_ns"):
                cards.append((f"TUNIT{number}", "ns", "TAI since 1970-01-01"))
        number = len(TABLE_ROW.names or ())
        cards += time_column_cards(number, header["first_ns"], header["tai_offset"])
        return [*cards, ("EXTNAME", "INFO", ""), ("CLOCK", CLOCK, "")]

    def close(self) -> None:
        """See `Sink`."""
        try:
            if self._file >= 0:
                if not self._rows.closed and not self._cut:
                    self._trim()
                    self._rows.tell()
                    self._write_count()
                self._out.close()
                os.close(self._file)
                self._file = -1
        finally:
            self._rows.close()

    # -- reading -------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """See `Sink`; `hdu` chooses one of several images."""
        return read_fits(path, cls.files(path)[1], hdu)


def _to_table(rows: Array, header: Header) -> Array:
    """Return rows as the table has them."""
    table = np.empty(len(rows), TABLE_ROW)
    table[TIME_COLUMN] = seconds_of(rows, header["first_ns"], header["tai_offset"])
    for name in FRAME_ROW.names or ():
        kind = FRAME_ROW[name]
        table[name] = (rows[name] ^ kind.type(flip_of(kind))).view(f"i{kind.itemsize}")
    return table
