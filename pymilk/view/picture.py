"""Fit images of any size into a room of any size: visible part, scale, reduction of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._types import Array
from ..arguments import check_choice

__all__ = ["REDUCTIONS", "Window", "fit", "resample"]

#: How several pixels become one: the largest, which shows single hot pixels; the mean, which hides them; or
#: the one in the middle, which misses most of them.
REDUCTIONS = ("peak", "mean", "nearest")


@dataclass(frozen=True)
class Window:
    """The visible part of an image, and the size that it is drawn with.

    Attributes
    ----------
    rows, columns : slice
        Of the image.
    height, width : int
        Pixels drawn.
    scale : float
        Drawn columns for each pixel of the image: a whole number of 1 or more, or less than 1.
    """

    rows: slice
    columns: slice
    height: int
    width: int
    scale: float


def fit(
    shape: tuple[int, int],
    room: tuple[int, int],
    *,
    zoom: float = 1.0,
    centre: tuple[float, float] | None = None,
    tall: int = 1,
) -> Window:
    """Fit an image into a room, with its aspect ratio.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image, at least 1.
    room : (int, int)
        Rows and columns of pixels that can be drawn, at least 1.
    zoom : float, default 1
        1 is the whole image; 2 is twice as large.
    centre : (float, float), optional
        Row and column in the middle, limited by the edges of the image. Default: the middle of the image.
    tall : int, default 1
        Height of a drawn pixel in units of its width: 2 for the letters of a terminal.

    Returns
    -------
    Window

    Notes
    -----
    Small images are enlarged by whole numbers, so that all pixels have the same size.
    """
    scale = min(room[1] / shape[1], room[0] * tall / shape[0]) * zoom
    if scale >= 1:
        scale = float(int(scale) // tall * tall) if scale >= tall else float(int(scale))
    scales = (scale / tall, scale)
    middle = (shape[0] / 2, shape[1] / 2) if centre is None else (centre[0] + 0.5, centre[1] + 0.5)
    parts, drawn = [], []
    for axis in (0, 1):
        # The tolerance keeps rounding errors from losing a row that fits.
        count = min(shape[axis], max(1, int(room[axis] / scales[axis] + 1e-6)))
        begin = min(max(0, round(middle[axis] - count / 2)), shape[axis] - count)
        parts.append(slice(begin, begin + count))
        drawn.append(min(room[axis], max(1, round(count * scales[axis]))))
    return Window(parts[0], parts[1], drawn[0], drawn[1], scale)


def resample(image: Array, height: int, width: int, reduction: str = "peak") -> Array:
    """Enlarge or reduce an image, each axis separately.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Integers or floats.
    height, width : int
        At least 1. An axis that is to be longer repeats its pixels.
    reduction : {"peak", "mean", "nearest"}
        See `REDUCTIONS`.

    Returns
    -------
    ndarray, shape (height, width)
        Means are float64. NaN is ignored unless all pixels are NaN.

    Raises
    ------
    StreamArgumentError
        `reduction` is not valid.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    if abs(image.strides[0]) < abs(image.strides[1]):  # its columns are contiguous in memory
        turned: Array = _both_axes(image.T, width, height, reduction).T
        return turned
    return _both_axes(image, height, width, reduction)


def _both_axes(image: Array, height: int, width: int, reduction: str) -> Array:
    reduce: Callable[[Array, int], Array] = {"peak": _peaks, "mean": _means, "nearest": _nearest}[reduction]
    # The first step has most of the pixels, and adds or compares whole rows.
    image = reduce(image, height) if height < len(image) else _nearest(image, height)
    turned = np.ascontiguousarray(image.T)
    drawn: Array = (reduce(turned, width) if width < len(turned) else _nearest(turned, width)).T
    return drawn


def _nearest(image: Array, count: int) -> Array:
    chosen: Array = image[(2 * np.arange(count) + 1) * len(image) // (2 * count)]
    return chosen


def _edges(length: int, count: int) -> list[int]:
    edges: list[int] = (np.arange(count + 1) * length // count).tolist()
    return edges


def _peaks(image: Array, count: int) -> Array:
    out = np.empty((count, image.shape[1]), image.dtype)
    edges = _edges(len(image), count)
    with np.errstate(invalid="ignore"):
        for at in range(count):
            np.maximum.reduce(image[edges[at] : edges[at + 1]], axis=0, out=out[at])
        if image.dtype.kind == "f" and np.isnan(out).any():
            for at in range(count):  # slower, and ignores NaN
                np.fmax.reduce(image[edges[at] : edges[at + 1]], axis=0, out=out[at])
    return out


def _means(image: Array, count: int) -> Array:
    edges = _edges(len(image), count)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        sums = _sums(image, edges)
        if image.dtype.kind != "f" or np.isfinite(sums).all():
            means: Array = sums / np.diff(edges)[:, None]
            return means
        good = np.isfinite(image)
        means = _sums(np.where(good, image, 0), edges) / _sums(good, edges)
        return means


def _sums(image: Array, edges: list[int]) -> Array:
    out = np.empty((len(edges) - 1, image.shape[1]))
    for at in range(len(out)):
        np.add.reduce(image[edges[at] : edges[at + 1]], axis=0, dtype=np.float64, out=out[at])
    return out
