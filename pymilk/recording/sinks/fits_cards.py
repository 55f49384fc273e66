"""What the FITS files of recordings look like: cards of their own, the rows of their table, offsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from .fits_times import RANGE_CARDS, TIME_COLUMN

__all__ = ["CARDS", "PIXEL_CARD", "TABLE_ROW", "TABLE_ROWS", "TAKEN", "flip_of", "words_of_pixels"]

_ROW = [(name, f">i{FRAME_ROW[name].itemsize}") for name in FRAME_ROW.names or ()]

#: Rows as the table has them: big-endian, signed, without padding.
TABLE_ROW = np.dtype([*_ROW, (TIME_COLUMN, ">f8")])

#: The same by their bytes, with those of older files, which have no time.
TABLE_ROWS = {kind.itemsize: kind for kind in (np.dtype(_ROW), TABLE_ROW)}

#: Header keys that are cards of their own: name of the card, comment.
CARDS = {
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
    "series_ns": ("SHM_TSER", "[ns] when its series began, TAI"),
}

#: Type and axes of the frames that were recorded: a reduced copy has others.
PIXEL_CARD = "SHM_PIX"

#: Names of all of them and others, which keywords cannot have.
TAKEN = ("SHM_NKW", PIXEL_CARD, *(name for name, _ in CARDS.values()), *RANGE_CARDS)


def flip_of(dtype: np.dtype[Any]) -> int:
    """Return the bit that turns pixels into what FITS stores: the highest one, where that has an offset."""
    offset = (dtype.kind == "u" and dtype.itemsize > 1) or dtype == np.int8
    return 1 << 8 * dtype.itemsize - 1 if offset else 0


def words_of_pixels(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Return what the card says of the frames of a file: ``uint16[120, 160]``, x last."""
    return f"{dtype.name}{list(shape)}"
