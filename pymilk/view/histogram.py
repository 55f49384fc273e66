"""How many pixels have which value, as bars."""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["bars"]


def bars(values: Array, levels: tuple[float, float] | None, height: int, width: int) -> tuple[Array, int]:
    """Draw the histogram of some values.

    Parameters
    ----------
    values : ndarray
        Real, of any shape. Those that are not finite, or not between the levels, do not count.
    levels : (low, high) or None
        Values at the left and the right. None: no value is finite.
    height, width : int
        Dots, at least 1 each.

    Returns
    -------
    raster : ndarray, bool, shape (height, width)
        Row 0 is at the top. Heights are logarithmic: a single pixel is seen beside a million others. There
        is one bar for each column, or for each value if there are fewer integers than columns.
    most : int
        Pixels in the highest bar.
    """
    if levels is None:
        return np.zeros((height, width), np.bool_), 0
    low, high = levels
    whole = values.dtype.kind in "iu"
    count = width
    if whole and high - low < width:
        low, high = np.floor(low) - 0.5, np.floor(high) + 0.5
        count = max(1, round(high - low))
    elif high <= low:
        low, high = low - 0.5, high + 0.5
    inside = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    counts, _ = np.histogram(inside, bins=count, range=(low, high))
    most = int(counts.max())
    tall = np.ceil(np.log1p(counts) / np.log1p(max(1, most)) * height).astype(np.int64)
    raster: Array = np.arange(height)[::-1, None] < tall[np.arange(width) * count // width]
    return raster, most
