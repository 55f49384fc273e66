"""Rows of numbers as curves: dots, and the dots as braille or letters."""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["braille", "dots", "stars"]

#: Bits of the 4 x 2 dots of a braille letter.
_BITS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]])
_BLANK = 0x2800


def dots(parts: Array, height: int, width: int) -> Array:
    """Draw a curve with dots.

    Parameters
    ----------
    parts : ndarray, shape (n,)
        Heights from 0 to 1; NaN leaves a gap.
    height, width : int
        Dots, at least 1 each.

    Returns
    -------
    ndarray, bool, shape (height, width)
        Row 0 is at the top. Neighbours are joined. If several values share a column, it covers the range from
        the least to the largest, so that a single spike is visible.
    """
    if len(parts) > width:
        begins = np.arange(width) * len(parts) // width
        low, high = np.fmin.reduceat(parts, begins), np.fmax.reduceat(parts, begins)
    else:
        low = high = parts[np.arange(width) * len(parts) // width]
    there = ~np.isnan(low)
    low, high = (np.rint(np.nan_to_num(each) * (height - 1)).astype(np.int64) for each in (low, high))
    joined_low, joined_high = low.copy(), high.copy()
    both = there[1:] & there[:-1]
    joined_low[1:] = np.where(both, np.minimum(low[1:], high[:-1] + 1), low[1:])
    joined_high[1:] = np.where(both, np.maximum(high[1:], low[:-1] - 1), high[1:])
    level = np.arange(height)[::-1, None]
    raster: Array = (level >= joined_low) & (level <= joined_high) & there
    return raster


def braille(raster: Array) -> list[str]:
    """Write dots as braille letters of 4 x 2 dots.

    Parameters
    ----------
    raster : ndarray, bool, shape (4 * lines, 2 * columns)

    Returns
    -------
    list of str
    """
    lines, columns = raster.shape[0] // 4, raster.shape[1] // 2
    cells = raster.reshape(lines, 4, columns, 2).swapaxes(1, 2)
    codes = _BLANK + (cells * _BITS).sum(axis=(2, 3))
    return ["".join(map(chr, line)) for line in codes.tolist()]


def stars(raster: Array) -> list[str]:
    """Write dots as stars.

    Parameters
    ----------
    raster : ndarray, bool, shape (lines, columns)

    Returns
    -------
    list of str
    """
    return ["".join("*" if dot else " " for dot in line) for line in raster.tolist()]
