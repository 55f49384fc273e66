"""Rows of frames taken out of a file: no more than there are frames for, and none that was never written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import FRAME_ROW
from ..._types import Array

__all__ = ["joined_rows", "rows_of"]

#: Rows that are read at a time.
_PIECE_ROWS = 1 << 16


def rows_of(source: Any, most: int) -> Array:
    """Copy the first rows of what is indexed like an array of FRAME_ROW.

    Parameters
    ----------
    source : array-like of FRAME_ROW, shape (n,)
    most : int
        Rows that are needed: there are no frames for more.

    Returns
    -------
    ndarray of FRAME_ROW
        Up to the first row without a time of arrival. Every frame arrived at some time: what follows was
        never written, as in a file that was made longer than its content.
    """
    pieces: list[Array] = []
    count = min(most, int(source.shape[0]))
    for first in range(0, count, _PIECE_ROWS):
        piece = np.array(source[first : min(count, first + _PIECE_ROWS)])
        unwritten = np.flatnonzero(piece["arrival_ns"] == 0)
        pieces.append(piece[: unwritten[0]] if len(unwritten) else piece)
        if len(unwritten):
            break
    return joined_rows(pieces)


def joined_rows(pieces: list[Array]) -> Array:
    """Return rows one behind the other."""
    made = np.empty(sum(map(len, pieces)), FRAME_ROW)  # numpy.concatenate would change the dtype
    done = 0
    for piece in pieces:
        made[done : done + len(piece)] = piece
        done += len(piece)
    return made
