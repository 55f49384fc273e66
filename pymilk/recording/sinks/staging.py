"""`Staging`: memory that frames are collected in before they are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core import FRAME_ROW, allocate
from ..._types import Array

__all__ = ["Staging"]


class Staging:
    """Memory that frames are collected in before they are written.

    Parameters
    ----------
    shape : tuple of int
        Of a frame.
    dtype : dtype
    count : int
        Frames.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], count: int) -> None:
        self.frames = allocate((count, *shape), dtype)
        self.info = np.zeros(count, FRAME_ROW)
        self.used = 0

    def room(self, count: int) -> Array:
        """Return the free memory behind the collected frames."""
        return self.frames[self.used : self.used + count]

    def add(self, info: Array) -> None:
        """Count frames that were added."""
        self.info[self.used : self.used + len(info)] = info
        self.used += len(info)

    @property
    def full(self) -> bool:
        """Whether there is no room left."""
        return self.used == len(self.frames)
