"""Where a video file ends by what it says itself: a file that is shorter was cut."""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["missing_bytes"]

#: First elements of a Matroska file: its header, and all that is behind.
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067

#: Kinds of boxes of which an MP4 or MOV file consists, one behind the other.
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"sidx", b"uuid", b"udta", b"meta")

#: Boxes to look at, at most.
_MOST_BOXES = 100_000


def missing_bytes(path: str) -> int:
    """Return how many bytes are missing at the end of a file, by the lengths in it; 0 where it has none.

    Parameters
    ----------
    path : str
        AVI, Matroska, WebM, MP4 or MOV. Others, and files that were not finished, say nothing.
    """
    nbytes = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and len(head) == 12:
            stated = int.from_bytes(head[4:8], "little")
            end = 8 + stated if stated else 0
        elif int.from_bytes(head[:4], "big") == _EBML:
            end = _end_of_matroska(file)
        else:
            end = _end_of_boxes(file, nbytes)
    # Some programs count the head of an AVI file twice.
    return max(0, end - nbytes) if end - nbytes > 8 else 0


def _end_of_matroska(file: BinaryIO) -> int:
    """Return where the segment ends; 0 if it does not say."""
    file.seek(4)
    length = _vint(file)
    if length is None:
        return 0
    file.seek(length, os.SEEK_CUR)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    length = _vint(file)
    return 0 if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read a length of EBML; None if it is left open, or is not there."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    bits = 7 * (more + 1)
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return None if len(rest) < more or value == (1 << bits) - 1 else value


def _end_of_boxes(file: BinaryIO, nbytes: int) -> int:
    """Return where the last box ends; 0 if the file does not consist of boxes, or the last one is open."""
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return at
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if head[4:8] not in _BOXES:
            return 0 if at == 0 else at
        if length < 8:
            return 0
        at += length
        if at >= nbytes:
            return at
    return 0
