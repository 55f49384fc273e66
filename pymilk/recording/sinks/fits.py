"""FITS: one cube of frames with the axes of the stream, and their rows in a table behind it.

While a file is being written, it is the cube alone: pixels first, then the number of frames in the header;
rows go to ``<file>.info.npy``, which becomes the table (extension ``INFO``) when the file is finished. A file
whose recorder was killed keeps both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...axes import Which3DState
from ...errors import OutputChangedError
from ...fits import UPRIGHT_CARD, check_pixels, stream_cards, stream_facts, warn_of_cut
from ...foreign.hdus import Hdu
from ...native.bigendian import to_big_endian
from ...system.extras import optional_library
from ...system.files import delete
from ...times import frame_times
from .base import (
    CLOCK,
    WRITE_NBYTES,
    Header,
    Sink,
    Stored,
    batch_of,
    new_file,
    reserve,
    write_all,
)
from .fits_cards import CARDS, TABLE_ROW, TAKEN, flip_of
from .fits_read import read_fits
from .fits_times import TIME_COLUMN, range_cards, seconds_of, time_column_cards
from .npy import GrowingNpy, mapped_npy
from .outputs import check_length, check_name, identity_of
from .outward import Outward
from .staging import Staging

__all__ = ["FORMAT", "FitsSink"]

#: All parts of a FITS file are multiples of these bytes.
_BLOCK = 2880
_CARD = 80

#: Bytes of frames that are collected before they are written, and rows of the table.
_BATCH_NBYTES = 1 << 20
_TABLE_ROWS = 1 << 16

#: Bytes that are turned at a time: they stay in the cache until they are written.
_TURN_NBYTES = 1 << 20


def _fits() -> Any:
    return optional_library("astropy.io.fits", "fits", "FITS recordings")


def _padded(nbytes: int) -> int:
    return -(-nbytes // _BLOCK) * _BLOCK


class FitsSink(Sink):
    """See `Sink`."""

    has_hdus = True
    times_in = ("column TIME of the table INFO", "rows beside it, .info.npy, until it is finished")
    takes_direct = True
    holds = True

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        _fits()
        check_pixels(dtype)

    @classmethod
    def check_keywords(cls, keywords: Iterable[tuple[Any, ...]]) -> None:
        """See `Sink`."""
        warn_of_cut(stream_cards((), keywords, TAKEN)[1], stacklevel=5)

    @classmethod
    def files(cls, path: str) -> list[str]:
        """See `Sink`."""
        return [path, f"{path}.info.npy"]

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
        self._shape = shape
        self._dtype = dtype
        self._nbytes = math.prod(shape) * dtype.itemsize
        self._count = 0
        count = batch_of(shape, dtype, _BATCH_NBYTES)
        self._staging = Staging(shape, dtype, count)
        self._most = batch_of(shape, dtype, WRITE_NBYTES)
        self._placed = 0  # frames behind the counted ones, already written
        self._turned = np.empty(_TURN_NBYTES, np.uint8)
        self._last = np.zeros(0, FRAME_ROW)  # the row of the last frame
        head = self._head(header)
        self._begin = len(head)
        self._rows_path = self.files(path)[1]
        self._rows = GrowingNpy(self._rows_path, (), FRAME_ROW, replace=replace)
        self._file = -1
        self._path = path
        self._cut = False  # by another program
        try:
            self._file = new_file(path, head, replace)
            self._identity = identity_of(os.fstat(self._file))
            self._out = Outward(self._file)
        except BaseException:
            self.close()
            delete(self._rows_path)
            raise

    # -- header --------------------------------------------------------------------------------

    def _head(self, header: Header) -> bytes:
        """Return the header: always of the same length."""
        fits = _fits()
        flip = flip_of(self._dtype)
        bits = 8 * self._dtype.itemsize
        cards: list[tuple[str, Any, str]] = [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", -bits if self._dtype.kind == "f" else bits, ""),
            ("NAXIS", 1 + len(self._shape), ""),
            *((f"NAXIS{1 + at}", length, "") for at, length in enumerate(self._shape[::-1])),
            (f"NAXIS{1 + len(self._shape)}", self._count, "frames"),
            ("EXTEND", True, ""),
        ]
        if flip:
            zero = -flip if self._dtype == np.int8 else flip
            cards += [("BSCALE", 1, ""), ("BZERO", zero, "offset of unsigned integers, or int8")]
        cards.append((UPRIGHT_CARD, "STREAM", "axes as in the stream: NAXIS1 is size[0]"))
        cards += [(name, header.get(key), comment) for key, (name, comment) in CARDS.items()]
        last_ns = int(frame_times(self._last)[0]) if header["ended"] != "running" and len(self._last) else 0
        cards += range_cards(header["first_ns"], last_ns, header["tai_offset"])
        cards.append(("SHM_NKW", len(header["keywords"]), "keywords of the stream, at the end"))
        made = fits.Header()
        for card in cards:
            made.append(card, end=True)
        # Parameters of multi_read that give frames[k, ...] as the user saw them.
        images = len(self._shape) == 2
        facts = stream_facts(
            name=header["stream"],
            symcode=header["symcode"] if len(self._shape) > 1 else 4,
            tri_dim=Which3DState.FRONT2LAST if images else header["tri_dim"],
            atime_ns=header["first_ns"],
            tai_offset=header["tai_offset"],
        )
        made.extend(stream_cards(facts, header["keywords"], TAKEN)[0], unique=False, bottom=True)
        content: bytes = made.tostring().encode("ascii")
        return content

    # -- frames --------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count

    def room(self, count: int) -> Array:
        """See `Sink`."""
        self._placed = 0
        return self._staging.room(count)

    def in_place(self, count: int) -> int:
        """See `Sink`."""
        return min(count, self._most)

    def write(self, frames: Array) -> None:
        """See `Sink`."""
        self._place(frames)

    def _place(self, frames: Array) -> None:
        """Write frames behind the counted ones."""
        self._placed = 0
        self._check_length()
        at = self._begin + self._count * self._nbytes
        try:
            self._write_at(at, frames.reshape(-1).view(np.uint8))
        except OSError:
            os.ftruncate(self._file, at)  # fewer frames may find room there, and their rows
            raise
        self._placed = len(frames)

    def _write_at(self, at: int, content: Array) -> None:
        """Write the bytes of frames, most significant ones first, and fill up the last block of the file."""
        if len(content) >= _TURN_NBYTES:
            reserve(self._file, at, len(content))  # all blocks at once, which is faster
        flip = flip_of(self._dtype)
        if self._dtype.itemsize == 1 and not flip:
            self._out.write(content, at)
        else:
            done = 0
            while done < len(content):
                # Up to a multiple in the file: the page cache keeps aligned pieces in larger pages.
                part = content[done : done + _TURN_NBYTES - (at + done) % _TURN_NBYTES]
                turned = self._turned[: len(part)]
                to_big_endian(part, turned, self._dtype.itemsize, flip)
                self._out.write(turned, at + done)
                done += len(part)
        end = at + len(content)
        write_all(self._file, bytes(_padded(end) - end), end)

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        if not self._placed:
            self._place(self._staging.frames[: len(info)])
        self._placed = 0
        self._rows.append(info)
        self._count += len(info)
        self._last = info[-1:].copy()
        if not self._out.held:
            self._write_count()

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

    def _write_count(self) -> None:
        at = 4 + len(self._shape) - 1
        card = f"{f'NAXIS{1 + len(self._shape)}':<8}= {self._count:>20} / frames".ljust(_CARD)
        write_all(self._file, card.encode(), at * _CARD)

    def _check_length(self) -> None:
        """Raise `OutputChangedError` if the file was cut; it is left as it is then."""
        try:
            check_length(self._path, self._file, self._begin + self._count * self._nbytes)
        except OutputChangedError:
            self._cut = True
            raise

    def verify(self) -> None:
        """See `Sink`."""
        self._check_length()
        check_name(self._path, self._identity)
        self._rows.verify()

    def _trim(self) -> None:
        """Cut the file behind the counted frames."""
        end = self._begin + self._count * self._nbytes
        os.ftruncate(self._file, _padded(end))
        write_all(self._file, bytes(_padded(end) - end), end)
        self._rows.cut(self._count)

    # -- the end -------------------------------------------------------------------------------

    def finish(self, header: Header) -> None:
        """See `Sink`."""
        self._trim()
        self._rows.close()
        end = _padded(self._begin + self._count * self._nbytes)
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
        made = _fits().Header()
        for card in self._table_cards(header):
            made.append(card, end=True)
        head = made.tostring().encode("ascii")
        write_all(self._file, head, at)
        at += len(head)
        mapped, rows = mapped_npy(self._rows_path)
        for first in range(0, self._count, _TABLE_ROWS):
            part = _to_table(rows[first : first + _TABLE_ROWS], header)
            mapped.check()
            write_all(self._file, part.view(np.uint8), at)
            at += part.nbytes
        write_all(self._file, bytes(_padded(at) - at), at)

    def _table_cards(self, header: Header) -> list[tuple[str, Any, str]]:
        cards: list[tuple[str, Any, str]] = [
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


FORMAT = FitsSink
