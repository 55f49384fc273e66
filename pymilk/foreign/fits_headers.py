"""Headers of FITS files looked at before a library believes them.

astropy makes an entry for each axis and each column that a header promises: a number like 300000000 there
keeps it busy for minutes, and fills the memory.
"""

from __future__ import annotations

import io
import math
import os
import re
from typing import IO, Any

from ..errors import CaptureMemoryError, StreamFormatError

__all__ = ["check_headers", "read_as_far_as_told"]

#: A FITS file consists of blocks, and its headers of cards.
_BLOCK = 2880
_CARD = 80

#: Longest header that is looked through, and most axes and columns that FITS permits.
_HEADER_NBYTES = 4000 * _BLOCK
_MOST = 999

#: Bytes that are unpacked at a time, and most bytes of a packed file behind its last image or table.
_PIECE_NBYTES = 4 << 20
_REST_NBYTES = 16 << 20

#: Bytes that are unpacked of a file whose headers do not tell how long it is.
_UNTOLD_NBYTES = 48 << 20

#: Bits of a pixel; negative ones are floats.
_BITS = (8, 16, 32, 64, -32, -64)

#: Cards that count axes or columns.
_COUNTS = ("NAXIS", "TFIELDS", "ZNAXIS")

#: Cards that make what follows a header longer; with a negative one it would begin where it is.
_LENGTHS = ("PCOUNT", "GCOUNT")

_NAME = re.compile(rb"(?:BITPIX|NAXIS[0-9]*|PCOUNT|GCOUNT|TFIELDS|ZNAXIS|GROUPS) *=")
_NUMBER = re.compile(rb" *([+-]?[0-9]+) *(?:/|$)")


def check_headers(file: IO[bytes], path: str) -> None:
    """Raise `StreamFormatError` if a header counts what cannot be; the file is at its beginning afterwards.

    Parameters
    ----------
    file : binary file
        Not packed.
    path : str
        For the message.
    """
    nbytes = file.seek(0, os.SEEK_END)
    at = 0
    while at < nbytes:
        file.seek(at)
        found = _header(file)
        if found is None and at == 0 and nbytes > _HEADER_NBYTES:
            raise StreamFormatError(
                f"{path} is no FITS file, or it is damaged: its header has no END in {_HEADER_NBYTES} bytes",
                path=path,
                field="END",
            )
        if found is None:
            break  # no header: the library finds that too
        length, cards = found
        for name in _COUNTS:
            count = cards.get(name, 0)
            if count is None or not 0 <= count <= _MOST:
                raise _impossible(path, name, count, f"0 to {_MOST}")
        # What is behind the first image need not matter.
        axes = [f"NAXIS{axis}" for axis in range(1, (cards.get("NAXIS") or 0) + 1) if at == 0]
        missing = next((name for name in axes if name not in cards), None)
        if missing is not None:
            raise _impossible(path, missing, "missing", "0 and more")
        for name in (*_LENGTHS, *axes):
            count = cards.get(name) or 0
            if count < 0:
                raise _impossible(path, name, count, "0 and more")
        bits = cards.get("BITPIX", 8)
        if bits not in _BITS:
            raise _impossible(path, "BITPIX", bits, ", ".join(map(str, _BITS)))
        size = _data_nbytes(cards)
        if size is None:
            break
        at += length + -(-size // _BLOCK) * _BLOCK
    file.seek(0)


def read_as_far_as_told(file: Any, path: str, limit: int) -> bytes:
    """Read the images and tables that the headers of a packed file tell of: no more is unpacked.

    Parameters
    ----------
    file : file object
        It gives the unpacked bytes, and cannot be longer than it says before it is read.
    path : str
        For messages.
    limit : int
        Most bytes.

    Raises
    ------
    StreamFormatError
        It is no FITS file.
    CaptureMemoryError
        It has more bytes than the limit.
    """
    reading = _Reading(file)
    at, told = 0, True
    while reading.begins(at, b"XTENSION" if at else b"SIMPLE"):
        found = _header(reading)
        size = None if found is None else _data_nbytes(found[1])
        told = found is not None and size is not None
        if found is None or size is None:
            at = len(reading.rest(min(limit, _UNTOLD_NBYTES) + 1))
        else:
            at += found[0] + -(-size // _BLOCK) * _BLOCK
        if at > limit:
            raise CaptureMemoryError(
                f"{path} cannot be opened: unpacked it has more than {limit} bytes, half of the free memory; "
                "unpack it to a file",
                needed=at,
                available=2 * limit,
            )
        if not told:
            break
    if at == 0 and not reading.begins(0, b"SIMPLE"):
        raise StreamFormatError(
            f"{path} is no FITS file, or it is damaged: what is packed in it does not begin with SIMPLE",
            path=path,
            field="SIMPLE",
            expected="FITS",
        )
    left = _REST_NBYTES  # to the end, where the checksum is
    while left > 0 and (piece := file.read(_PIECE_NBYTES)):
        left -= len(piece)
    return reading.content.getvalue()


class _Reading:
    """What was unpacked of a file so far, and more of it once it is asked for."""

    def __init__(self, file: Any) -> None:
        self.content = io.BytesIO()
        self._file, self._at = file, 0

    def begins(self, at: int, mark: bytes) -> bool:
        """Return whether these bytes are there; goes on reading from there."""
        self._at = at
        found = self.read(len(mark)) == mark
        self._at = at
        return found

    def rest(self, nbytes: int) -> bytes:
        """Return all from the beginning on, up to this length."""
        self._at = 0
        return self.read(nbytes)

    def read(self, nbytes: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        end = self._at + nbytes
        missing = end - self.content.seek(0, os.SEEK_END)
        while missing > 0 and (piece := self._file.read(min(missing, _PIECE_NBYTES))):
            missing -= self.content.write(piece)
        self.content.seek(self._at)
        found = self.content.read(nbytes)
        self._at += len(found)
        return found


def _impossible(path: str, name: str, found: int | str | None, possible: str) -> StreamFormatError:
    """Return the error for a card that cannot be."""
    return StreamFormatError(
        f"{path} is no FITS file, or it is damaged: {name} is "
        f"{'no number' if found is None else found}, and {possible} are possible",
        path=path,
        field=name,
        expected=possible,
        found=found,
    )


def _header(file: IO[bytes] | _Reading) -> tuple[int, dict[str, int | None]] | None:
    """Return the length of a header, and numbers of the cards that matter, None for one that is no number."""
    cards: dict[str, int | None] = {}
    for length in range(_BLOCK, _HEADER_NBYTES + 1, _BLOCK):
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            return None
        for at in range(0, _BLOCK, _CARD):
            card = block[at : at + _CARD]
            if card[:3] == b"END" and not card[3:].strip():
                return length, cards
            name = _NAME.match(card)
            if name is not None:
                number = _NUMBER.match(card, name.end())
                cards[card[:8].split(b"=")[0].decode().strip()] = None if number is None else int(number[1])
    return None


def _data_nbytes(cards: dict[str, int | None]) -> int | None:
    """Return how many bytes follow a header, without filling; None if it does not tell."""
    axes = [cards.get(f"NAXIS{at}") for at in range(1, (cards.get("NAXIS") or 0) + 1)]
    lengths = [each for each in axes if each is not None and each >= 0]
    if len(lengths) < len(axes) or not cards.get("BITPIX"):
        return None
    if "GROUPS" in cards and lengths and not lengths[0]:
        lengths = lengths[1:]
    items = math.prod(lengths) if lengths else 0
    more, groups = cards.get("PCOUNT", 0), cards.get("GCOUNT", 1)
    if more is None or groups is None or more < 0 or groups < 0:
        return None
    return abs(cards["BITPIX"] or 0) // 8 * groups * (more + items)
