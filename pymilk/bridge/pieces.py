"""Frames of a recording on their way: rows and pixels as they are stored, with a checksum."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import FRAME_ROW
from .._types import Array
from ..axes import Orientation
from ..errors import BridgeMessageError
from ..recording import Recording, orientation_of

__all__ = ["PACKED_ROW", "Piece", "packed_rows", "piece_of", "rows_of"]

#: Magic, frames, number of the first one, SHA-256 of what follows: rows, then pixels.
_HEAD = struct.Struct("<4sIQ32s")
_MAGIC = b"PMRC"

#: A row of a recording, without gaps.
PACKED_ROW = np.dtype(
    [
        ("cnt0", "<u8"),
        ("cnt1", "<u8"),
        ("atime_ns", "<i8"),
        ("writetime_ns", "<i8"),
        ("arrival_ns", "<i8"),
        ("lost", "<u8"),
        ("flags", "<u4"),
    ]
)


def packed_rows(info: Array) -> Array:
    """Return rows of a recording without gaps: a copy."""
    rows = np.zeros(len(info), PACKED_ROW)
    for name in PACKED_ROW.names or ():
        rows[name] = info[name]
    return rows


def rows_of(packed: Array) -> Array:
    """Return rows as recordings have them: a copy."""
    info = np.zeros(len(packed), FRAME_ROW)
    for name in PACKED_ROW.names or ():
        info[name] = packed[name]
    return info


@dataclass(frozen=True)
class Piece:
    """Some frames of a recording.

    Attributes
    ----------
    first : int
        Number of the first one, from the first that was asked for.
    rows : bytes
        As PACKED_ROW.
    pixels : bytes or ndarray
        Of the frames as the stream had them, C order, little endian.
    """

    first: int
    rows: bytes
    pixels: Any

    @property
    def count(self) -> int:
        """Return how many frames these are."""
        return len(self.rows) // PACKED_ROW.itemsize

    @property
    def checksum(self) -> bytes:
        """Return the SHA-256 of rows and pixels."""
        found = hashlib.sha256(self.rows)
        found.update(self.pixels)
        return found.digest()

    def encode(self) -> bytes:
        """Return the bytes of the piece."""
        return b"".join([_HEAD.pack(_MAGIC, self.count, self.first, self.checksum), self.rows, self.pixels])

    @classmethod
    def decode(cls, data: bytes, first: int, most: int, frame_nbytes: int) -> Piece:
        """Check what came: that it is what was asked for, and undamaged.

        Parameters
        ----------
        data : bytes
        first, most : int
            Number of the first frame that was asked for, and the most frames.
        frame_nbytes : int

        Raises
        ------
        BridgeMessageError
        """
        if len(data) < _HEAD.size or data[:4] != _MAGIC:
            raise BridgeMessageError("frames of a recording were refused: they do not begin with PMRC")
        _, count, found, checksum = _HEAD.unpack_from(data)
        length = _HEAD.size + count * (PACKED_ROW.itemsize + frame_nbytes)
        if found != first or not 1 <= count <= most or len(data) != length:
            raise BridgeMessageError(
                f"frames of a recording were refused: {count} from {found} on in {len(data)} bytes, and up "
                f"to {most} from {first} on were asked for, of {frame_nbytes} bytes each"
            )
        at = _HEAD.size + count * PACKED_ROW.itemsize
        piece = cls(first, data[_HEAD.size : at], memoryview(data)[at:])
        if piece.checksum != checksum:
            raise BridgeMessageError(f"frames {first} to {first + count - 1} came damaged: wrong checksum")
        return piece


def piece_of(recording: Recording, begin: int, first: int, count: int) -> Piece:
    """Return frames of a recording: `count` of them, `first` behind the one with number `begin`."""
    chosen = slice(begin + first, begin + first + count)
    assert recording.info is not None
    turn: Orientation = orientation_of(recording.header, recording.paths[0])
    frames = turn.native(np.asarray(recording.frames[chosen]))
    frames = np.ascontiguousarray(frames, frames.dtype.newbyteorder("<"))
    pixels = frames.reshape(-1).view(np.uint8)
    assert pixels.nbytes == math.prod(frames.shape) * frames.dtype.itemsize
    return Piece(first, packed_rows(recording.info[chosen]).tobytes(), pixels)
