"""FITS: one cube of frames with the axes of the stream, and their rows in a table behind it.

While a file is being written, it is the cube alone: pixels first, then the number of frames in the header;
rows go to ``<file>.info.npy``, which becomes the table (extension ``INFO``) when the file is finished. A file
whose recorder was killed keeps both.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array
from ...axes import Which3DState
from ...errors import StreamFormatError
from ...fits import UPRIGHT_CARD, check_pixels, stream_header
from ...system.extras import optional_library
from ...system.files import delete
from .base import CLOCK, Header, Sink, Staging, Stored, batch_of, new_file, nothing_to_close, write_all
from .npy import GrowingNpy, read_rows

__all__ = ["FORMAT", "FitsSink"]

#: Everything in a FITS file is a multiple of this.
_BLOCK = 2880
_CARD = 80

#: Bytes of frames that are converted and written at a time, and rows of the table.
_BATCH_NBYTES = 1 << 20
_TABLE_ROWS = 1 << 16

#: Rows as the table has them: big-endian, signed, without padding.
_TABLE_ROW = np.dtype([(name, f">i{FRAME_ROW[name].itemsize}") for name in FRAME_ROW.names or ()])

#: Header keys that are cards of their own: name of the card, comment.
_CARDS = {
    "pymilk": ("SHM_VERS", "version of pymilk that recorded this"),
    "frames": ("SHM_NFRM", "frames recorded; see SHM_DONE"),
    "lost": ("SHM_LOST", "frames missing between those recorded"),
    "complete": ("SHM_DONE", "F: being recorded, or the recorder was killed"),
    "ended": ("SHM_END", "why the recording ended"),
    "clock": ("SHM_CLK", ""),
    "axes": ("SHM_IDX", ""),
    "started_ns": ("SHM_T0", "[ns] when the recording began, TAI"),
    "squeeze": ("SHM_SQZ", "axes of length 1 are dropped by pymilk.SHM"),
    "tri_dim": ("SHM_TRID", "stack axis of 3D frames in pymilk.SHM"),
    "part": ("SHM_PART", "number of this file in its series"),
}


def _fits() -> Any:
    return optional_library("astropy.io.fits", "fits", "FITS recordings")


def _flip(dtype: np.dtype[Any]) -> int:
    """Return the bit that turns pixels into what FITS stores: the highest one, where that has an offset."""
    offset = (dtype.kind == "u" and dtype.itemsize > 1) or dtype == np.int8
    return 1 << 8 * dtype.itemsize - 1 if offset else 0


def _padded(nbytes: int) -> int:
    return -(-nbytes // _BLOCK) * _BLOCK


class FitsSink(Sink):
    """See `Sink`."""

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool) -> None:
        """See `Sink`."""
        super().check(shape, dtype, compress)
        _fits()
        check_pixels(dtype)

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
        compress: bool = False,
        frames: int | None = None,
        replace: bool = False,
    ) -> None:
        self._shape = shape
        self._dtype = dtype
        self._nbytes = math.prod(shape) * dtype.itemsize
        self._count = 0
        count = batch_of(shape, dtype, _BATCH_NBYTES)
        self._staging = Staging(shape, dtype, count)
        self._swapped = np.zeros(count * self._nbytes + _BLOCK, np.uint8)
        head = self._head(header)
        self._begin = len(head)
        self._rows_path = self.files(path)[1]
        self._rows = GrowingNpy(self._rows_path, (), FRAME_ROW, replace=replace)
        self._file = -1
        try:
            self._file = new_file(path, head, replace)
        except BaseException:
            self.close()
            delete(self._rows_path)
            raise

    # -- header --------------------------------------------------------------------------------

    def _head(self, header: Header) -> bytes:
        """Return the header: always of the same length."""
        fits = _fits()
        flip = _flip(self._dtype)
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
        cards += [(name, header.get(key), comment) for key, (name, comment) in _CARDS.items()]
        cards.append(("SHM_NKW", len(header["keywords"]), "keywords of the stream, at the end"))
        made = fits.Header()
        for card in cards:
            made.append(card, end=True)
        # What multi_read has to be given for frames[k, ...] as the user saw them.
        images = len(self._shape) == 2
        made.extend(
            stream_header(
                header["keywords"],
                name=header["stream"],
                symcode=header["symcode"] if len(self._shape) > 1 else 4,
                tri_dim=Which3DState.FRONT2LAST if images else header["tri_dim"],
                atime_ns=header["first_ns"],
                tai_offset=header["tai_offset"],
            ),
            unique=False,
            bottom=True,
        )
        content: bytes = made.tostring().encode("ascii")
        return content

    # -- frames --------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        """See `Sink`."""
        return self._count

    def room(self, count: int) -> Array:
        """See `Sink`."""
        return self._staging.room(count)

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        frames = self._staging.frames[: len(info)]
        swapped = self._swapped[: frames.nbytes]
        flip = _flip(self._dtype)
        # Both of these run without the GIL.
        if flip:
            plain = np.dtype(f"u{self._dtype.itemsize}")
            target = swapped.view(plain.newbyteorder(">")).reshape(frames.shape)
            np.bitwise_xor(frames.view(plain), plain.type(flip), out=target)
        else:
            np.copyto(swapped.view(self._dtype.newbyteorder(">")).reshape(frames.shape), frames)
        at = self._begin + self._count * self._nbytes
        pad = _padded(at + frames.nbytes) - at - frames.nbytes
        self._swapped[frames.nbytes : frames.nbytes + pad] = 0
        write_all(self._file, self._swapped[: frames.nbytes + pad], at)
        self._rows.append(info)
        self._count += len(info)
        self._write_count()

    def _write_count(self) -> None:
        at = 4 + len(self._shape) - 1
        card = f"{f'NAXIS{1 + len(self._shape)}':<8}= {self._count:>20} / frames".ljust(_CARD)
        write_all(self._file, card.encode(), at * _CARD)

    def _trim(self) -> None:
        """End the file behind the frames that are counted."""
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
            self._write_table(end)
        except BaseException:
            os.ftruncate(self._file, end)
            raise
        write_all(self._file, self._head(header), 0)
        self.close()
        os.unlink(self._rows_path)

    def _write_table(self, at: int) -> None:
        fits = _fits()
        cards: list[tuple[str, Any, str]] = [
            ("XTENSION", "BINTABLE", "one row for each frame"),
            ("BITPIX", 8, ""),
            ("NAXIS", 2, ""),
            ("NAXIS1", _TABLE_ROW.itemsize, ""),
            ("NAXIS2", self._count, ""),
            ("PCOUNT", 0, ""),
            ("GCOUNT", 1, ""),
            ("TFIELDS", len(_TABLE_ROW.names or ()), ""),
        ]
        for number, name in enumerate(FRAME_ROW.names or (), 1):
            kind = FRAME_ROW[name]
            cards += [(f"TTYPE{number}", name, ""), (f"TFORM{number}", "KJ"[kind.itemsize == 4], "")]
            if kind.kind == "u":
                cards += [(f"TZERO{number}", _flip(kind), "unsigned"), (f"TSCAL{number}", 1, "")]
            if name.endswith("_ns"):
                cards.append((f"TUNIT{number}", "ns", "TAI since 1970-01-01"))
        cards += [("EXTNAME", "INFO", ""), ("CLOCK", CLOCK, "")]
        made = fits.Header()
        for card in cards:
            made.append(card, end=True)
        head = made.tostring().encode("ascii")
        write_all(self._file, head, at)
        at += len(head)
        rows = np.load(self._rows_path, mmap_mode="r", allow_pickle=False)
        for first in range(0, self._count, _TABLE_ROWS):
            part = _to_table(rows[first : first + _TABLE_ROWS])
            write_all(self._file, part.view(np.uint8), at)
            at += part.nbytes
        write_all(self._file, bytes(_padded(at) - at), at)

    def close(self) -> None:
        """See `Sink`."""
        try:
            if self._file >= 0:
                if not self._rows.closed:
                    self._trim()
                os.close(self._file)
                self._file = -1
        finally:
            self._rows.close()

    # -- reading -------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str) -> Stored:
        """See `Sink`."""
        fits = _fits()
        try:
            # Only the first part: behind it there may be frames that were not counted any more.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a file that is too short: an error below
                with fits.open(path, memmap=True, do_not_scale_image_data=True) as hdus:
                    place = _cube(hdus)
                    cards = place.header
                    packed = type(place).__name__ == "CompImageHDU"
                    frames: Any = None
                    if not packed and cards.get("BSCALE", 1) == 1 and _plain_type(cards) is not None:
                        frames = _raw(path, cards, place.fileinfo()["datLoc"])
            if frames is None:  # scaled or compressed by others
                with fits.open(path, memmap=False) as hdus:
                    frames = np.asarray(_cube(hdus).data)
                native = frames.dtype.newbyteorder("=")
                return Stored(frames.astype(native), None, native, None, {}, True, nothing_to_close)
        except (OSError, StreamFormatError) as error:
            if isinstance(error, StreamFormatError) or error.errno is not None:
                raise
            raise StreamFormatError(
                f"{path} is no FITS file, or it is damaged: {error}",
                path=path,
                field="file",
                expected="FITS",
                found=str(error),
            ) from error
        dtype = _plain_type(cards)
        assert dtype is not None
        native = dtype.newbyteorder("=")
        convert = None if frames.dtype == native else lambda raw: _native(raw, native)
        if "SHM_DONE" not in cards:
            return Stored(frames, convert, native, None, {}, True, nothing_to_close)
        header = _header_of(cards, native)
        rows_path = cls.files(path)[1]
        if cards["SHM_DONE"]:
            info = _table_of(fits, path)
        elif os.path.exists(rows_path):
            info = read_rows(rows_path)
        else:
            info = np.zeros(0, FRAME_ROW)
        return Stored(frames, convert, native, info, header, bool(cards["SHM_DONE"]), nothing_to_close)


def _cube(hdus: Any) -> Any:
    """Return the part of a file that has the frames: the first one with pixels."""
    for hdu in hdus:
        if hdu.is_image and hdu.header.get("NAXIS", 0):
            return hdu
    raise StreamFormatError("the file has no image", field="NAXIS", expected="1 or more", found=0)


def _plain_type(cards: Any) -> np.dtype[Any] | None:
    """Return the dtype of pixels whose offset is that of unsigned integers, or none; None for others."""
    bits = int(cards["BITPIX"])
    zero = cards.get("BZERO", 0)
    if bits < 0:
        kind = np.dtype(f"f{-bits // 8}")
    elif zero == 0:
        kind = np.dtype("u1" if bits == 8 else f"i{bits // 8}")
    else:
        kind = np.dtype("i1" if bits == 8 else f"u{bits // 8}")
    flip = _flip(kind)
    return kind if zero == (-flip if bits == 8 else flip) else None


def _raw(path: str, cards: Any, place: int) -> Array:
    """Map the pixels as they are stored."""
    bits = int(cards["BITPIX"])
    kind = np.dtype(f">f{-bits // 8}" if bits < 0 else "u1" if bits == 8 else f">i{bits // 8}")
    shape = tuple(int(cards[f"NAXIS{at}"]) for at in range(int(cards["NAXIS"]), 0, -1))
    if math.prod(shape) == 0:
        return np.zeros(shape, kind)
    try:
        return np.memmap(path, kind, "r", place, shape)
    except ValueError as error:
        raise StreamFormatError(
            f"{path} is shorter than its header says: {error}",
            path=path,
            field="file size",
            expected=shape,
            found=os.path.getsize(path),
        ) from error


def _native(raw: Array, dtype: np.dtype[Any]) -> Array:
    """Make frames of stored pixels. A copy."""
    flip = _flip(dtype)
    if not flip:
        return raw.astype(dtype)
    plain = np.dtype(f"u{dtype.itemsize}")
    made: Array = raw.view(plain.newbyteorder(">")).astype(plain)
    made ^= plain.type(flip)
    return made.view(dtype)


def _to_table(rows: Array) -> Array:
    """Return rows as the table has them."""
    table = np.empty(len(rows), _TABLE_ROW)
    for name in _TABLE_ROW.names or ():
        kind = FRAME_ROW[name]
        table[name] = (rows[name] ^ kind.type(_flip(kind))).view(f"i{kind.itemsize}")
    return table


def _table_of(fits: Any, path: str) -> Array:
    """Read the rows from the table."""
    with fits.open(path, memmap=True) as hdus:
        place = hdus["INFO"].fileinfo()["datLoc"]
        count = int(hdus["INFO"].header["NAXIS2"])
    table = np.fromfile(path, _TABLE_ROW, count, offset=place)
    if len(table) < count:
        raise StreamFormatError(
            f"{path} is shorter than the header of its table says: {len(table)} of {count} rows",
            path=path,
            field="file size",
            expected=count,
            found=len(table),
        )
    rows = np.zeros(count, FRAME_ROW)
    for name in _TABLE_ROW.names or ():
        kind = FRAME_ROW[name]
        rows[name] = table[name].astype(f"i{kind.itemsize}").view(kind) ^ kind.type(_flip(kind))
    return rows


def _header_of(cards: Any, dtype: np.dtype[Any]) -> Header:
    """Make the header of a recording from that of its file."""
    header: Header = {key: cards.get(name) for key, (name, _) in _CARDS.items()}
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


FORMAT = FitsSink
