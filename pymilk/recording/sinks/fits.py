"""FITS: one cube of frames with the axes of the stream, as it is; `fits_packed` has the packed one."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ..._types import Array
from ...native.bigendian import to_big_endian
from .base import WRITE_NBYTES, Header, batch_of, reserve, write_all
from .fits_cards import flip_of
from .fits_file import Card, FitsFile, card_of
from .fits_packed import PackedFitsSink
from .staging import Staging

__all__ = ["FORMAT", "PACKED", "FitsSink"]

#: Bytes of frames that are collected before they are written.
_BATCH_NBYTES = 1 << 20

#: Bytes that are turned at a time: they stay in the cache until they are written.
_TURN_NBYTES = 1 << 20


class FitsSink(FitsFile):
    """See `Sink`."""

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
        self._nbytes = math.prod(shape) * dtype.itemsize
        self._staging = Staging(shape, dtype, batch_of(shape, dtype, _BATCH_NBYTES))
        self._most = batch_of(shape, dtype, WRITE_NBYTES)
        self._placed = 0  # frames behind the counted ones, already written
        self._turned = np.empty(_TURN_NBYTES, np.uint8)
        self._begin_file(path, shape, dtype, header, replace)

    def _head(self, header: Header) -> bytes:
        """See `FitsFile`."""
        bits = 8 * self._dtype.itemsize
        cards: list[Card] = [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", -bits if self._dtype.kind == "f" else bits, ""),
            ("NAXIS", 1 + len(self._shape), ""),
            *((f"NAXIS{1 + at}", length, "") for at, length in enumerate(self._shape[::-1])),
            (f"NAXIS{1 + len(self._shape)}", self._count, "frames"),
            ("EXTEND", True, ""),
        ]
        facts, stream = self._facts(header)
        return self._header_bytes([*cards, *facts], stream)

    # -- frames --------------------------------------------------------------------------------

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

    def _end(self) -> int:
        """See `FitsFile`."""
        return self._begin + self._count * self._nbytes

    def _place(self, frames: Array) -> None:
        """Write frames behind the counted ones."""
        self._placed = 0
        self._check_length()
        at = self._end()
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
        self._fill_up(at + len(content))

    def commit(self, info: Array) -> None:
        """See `Sink`."""
        if not self._placed:
            self._place(self._staging.frames[: len(info)])
        self._placed = 0
        self._count_frames(info)
        if not self._out.held:
            self._write_count()

    def _write_count(self) -> None:
        """See `FitsFile`."""
        card = card_of(f"NAXIS{1 + len(self._shape)}", self._count, "frames")
        write_all(self._file, card, (3 + len(self._shape)) * len(card))


FORMAT, PACKED = FitsSink, PackedFitsSink
