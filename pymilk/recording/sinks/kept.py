"""Frames of a chunked array of which some chunks are missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import FLAG_COUNTER_RESET, FLAG_NEW_FILE
from ..._types import Array

__all__ = ["KeptFrames", "kept_rows", "rows_with_gaps"]


class KeptFrames:
    """Those frames of an array that are in the file; indexed along the first axis.

    Parameters
    ----------
    frames : array-like, shape (n, *shape)
    rows : ndarray of int, ascending
        Which of them there are.
    broken : ndarray of int, optional
        Those whose chunk is there and damaged: to read one is a ValueError.
    """

    def __init__(self, frames: Any, rows: Array, broken: Array | None = None) -> None:
        self._broken = np.arange(0) if broken is None else broken
        self._frames = frames
        self._rows = rows
        self.shape = (len(rows), *frames.shape[1:])
        self.dtype = frames.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, which: slice) -> Array:
        rows = self._rows[which]
        if np.isin(rows, self._broken).any():
            raise ValueError("a chunk of the file is cut or damaged")
        made = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            if len(run):
                first = int(rows[run[0]])
                made[run[0] : run[-1] + 1] = self._frames[first : first + len(run)]
        return made


def kept_rows(chunks: Array, rows: int, count: int) -> Array:
    """Return the rows that are in these chunks.

    Parameters
    ----------
    chunks : ndarray of int, ascending
        Numbers of the chunks that there are.
    rows : int
        Of a chunk.
    count : int
        Rows that the shape counts.
    """
    chunks = chunks[chunks < -(-count // rows)]
    found = (chunks[:, None] * rows + np.arange(min(rows, count))).ravel()
    return found[found < count]


def rows_with_gaps(info: Array, kept: Array) -> Array:
    """Return the rows of frames at the places `kept`, with what is missing between counted as lost."""
    made: Array = info.copy()
    for at in np.flatnonzero(np.diff(kept) != 1) + 1:
        row = made[at]
        lost = int(row["cnt0"]) - int(made[at - 1]["cnt0"]) - 1
        if lost > int(row["lost"]) and not int(row["flags"]) & (FLAG_NEW_FILE | FLAG_COUNTER_RESET):
            made["lost"][at] = lost
    return made
