"""From pixels to brightness: which values are black and white, and what is between them."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import check_number, shown
from ..errors import StreamArgumentError

__all__ = ["check_levels", "check_percentile", "fractions", "real_values", "saturation_of", "span", "summary",
           "zscale"]  # fmt: skip

#: Values that a percentile is taken of, at most: more do not change it visibly, and take longer.
_SAMPLE = 1 << 17

#: Pixels that the spread is taken of at a time.
_BLOCK = 1 << 16

#: Values that zscale looks at, rounds of its fit, and how many standard deviations are far from the line.
_ZSCALE_SAMPLE = 1000
_ZSCALE_ROUNDS = 5
_ZSCALE_REJECTED = 2.5

#: The logarithm of 1 + this, times the fraction: faint and bright parts are both seen.
_LOG_FACTOR = 1000.0


def check_levels(levels: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return `levels` if the first is below the second and both are finite, else raise."""
    if levels is None:
        return None
    told = shown(levels)
    array = isinstance(levels, np.ndarray) and levels.ndim == 1
    if (array or isinstance(levels, (tuple, list))) and len(levels) == 2:
        with contextlib.suppress(StreamArgumentError):
            low, high = (check_number("levels", each, "finite", -np.inf, np.inf) for each in levels)
            if low < high:
                return levels
            told = f"{low:g} and {high:g}"
    raise StreamArgumentError(
        f"levels are two finite numbers, the lower one first, not {told}", argument="levels", found=levels
    )


def check_percentile(percentile: float | None) -> float | None:
    """Return `percentile` if it is None or more than 0 and up to 100, else raise."""
    if percentile is not None:
        check_number("percentile", percentile, "more than 0 and up to 100", 0.0, 100.0, above=True)
    return percentile


def real_values(frame: Array, dark: Array | None = None) -> Array:
    """Return what is drawn of a frame: amplitudes of complex pixels, a dark frame subtracted.

    Parameters
    ----------
    frame : ndarray
        Integer, float or complex.
    dark : ndarray, shape of `frame`, optional
        Real or complex; subtracted before the amplitude is taken.

    Returns
    -------
    ndarray
        Integers, float32 or float64. The frame itself where nothing has to be computed.
    """
    if dark is not None:
        # Integers of 32 bits and more are exact in double precision only.
        kind = np.result_type(frame.dtype, dark.dtype, np.float32)
        with np.errstate(all="ignore"):
            frame = np.subtract(frame, dark, dtype=kind)
    if frame.dtype.kind == "c":
        with np.errstate(all="ignore"):
            return np.abs(frame)
    return frame.astype(np.float32) if frame.dtype == np.float16 else frame


def _finite(image: Array) -> Array:
    return image[np.isfinite(image)] if image.dtype.kind == "f" else image


def _ends(image: Array) -> tuple[float, float]:
    """Return the least and the largest value; one of them is not finite if any pixel is not."""
    with np.errstate(invalid="ignore"):
        return float(image.min()), float(image.max())


def span(image: Array, percentile: float | None = None) -> tuple[float, float] | None:
    """Return the levels that fit an image.

    Parameters
    ----------
    image : ndarray
        Real, with at least one pixel. Pixels that are not finite do not count.
    percentile : float, optional
        So many percent of the pixels are between the levels, and as many are below as above. Taken of
        131072 pixels spread over the image if it has more. None: from the least to the largest.

    Returns
    -------
    (low, high) or None
        None if no pixel is finite. Both are equal for a constant image.
    """
    if percentile is not None:
        sample = _finite(image.ravel(order="K")[:: -(-image.size // _SAMPLE) | 1])
        if sample.size:
            rest = (100 - percentile) / 2
            # NumPy would take differences in the integer type, where they may be too large.
            low, high = np.percentile(sample.astype(np.float64), [rest, 100 - rest])
            return float(low), float(high)
        # Perhaps all of the sample is not finite, and another pixel is.
    low, high = _ends(image)
    if not np.isfinite(low) or not np.isfinite(high):
        good = _finite(image)
        if not good.size:
            return None
        low, high = _ends(good)
    return low, high


def zscale(image: Array, contrast: float = 0.25) -> tuple[float, float] | None:
    """Return levels around the median, as ds9 and IRAF call zscale: faint structure shows, stars saturate.

    Parameters
    ----------
    image : ndarray
        Real, with at least one pixel. Pixels that are not finite do not count.
    contrast : float, default 0.25
        The steepness of the sorted values is divided by this.

    Returns
    -------
    (low, high) or None
        None if no pixel is finite. A straight line is fitted to some 1000 sorted values, without those that
        are far from it; it is drawn steeper about the median, and cut at the least and largest value. Where
        most values are far from any line, the least and the largest.
    """
    sample = _finite(image.ravel(order="K")[:: -(-image.size // _ZSCALE_SAMPLE) | 1])
    if not sample.size:
        return span(image)
    sample = np.sort(sample.astype(np.float64))
    low, high = float(sample[0]), float(sample[-1])
    place = np.arange(len(sample)) - (len(sample) - 1) / 2
    kept = np.ones(len(sample), np.bool_)
    slope = 0.0
    for _ in range(_ZSCALE_ROUNDS):
        if np.count_nonzero(kept) < max(5, len(sample) // 2):
            return low, high
        slope, middle = np.polyfit(place[kept], sample[kept], 1)
        apart = sample - (middle + slope * place)
        tolerance = 1e-12 * max(abs(high), abs(low))
        fewer = np.abs(apart) <= _ZSCALE_REJECTED * apart[kept].std() + tolerance
        if (fewer == kept).all():
            break
        kept = fewer
    median = float(np.median(sample))
    reach = float(slope) / contrast * (len(sample) - 1) / 2
    found = max(low, median - reach), min(high, median + reach)
    return found if found[0] < found[1] else span(image)


def fractions(image: Array, levels: tuple[float, float] | None, *, log: bool = False) -> Array:
    """Tell for each pixel where it is between the levels.

    Parameters
    ----------
    image : ndarray
        Real.
    levels : (low, high) or None
        None if no pixel is finite.
    log : bool, default False
        Logarithmic: a thousandth of the way up is a tenth of the brightness.

    Returns
    -------
    ndarray, float64, shape of `image`
        0 at and below the low level, 1 at and above the high one, NaN where the pixel is not finite.
        0.5 everywhere if the levels are equal.
    """
    values = image.astype(np.float64)
    bad = ~np.isfinite(values)
    if levels is None:
        return np.full(values.shape, np.nan)
    low, high = levels
    if high <= low:
        part = np.full(values.shape, 0.5)
    else:
        # Halves: the difference of two large values may be too large.
        with np.errstate(all="ignore"):
            part = np.clip((values / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)
            if log:
                part = np.log1p(_LOG_FACTOR * part) / np.log1p(_LOG_FACTOR)
    part[bad] = np.nan
    return part


def summary(image: Array) -> dict[str, Any]:
    """Return the numbers that describe an image.

    Parameters
    ----------
    image : ndarray
        Real, with at least one pixel.

    Returns
    -------
    dict
        ``min``, ``max``, ``mean``, ``std`` (standard deviation; None if no pixel is finite; others do not
        count), ``peak`` (indices of a pixel that has the maximum, or None), ``not_finite`` (pixels).
    """
    if image.ndim == 2 and abs(image.strides[0]) < abs(image.strides[1]):
        # In the order of memory: else an image that is turned would be copied.
        numbers = summary(image.T)
        numbers["peak"] = numbers["peak"] and numbers["peak"][::-1]
        return numbers
    low, high = _ends(image)
    bad = 0
    good = image
    if not np.isfinite(low) or not np.isfinite(high):
        finite = np.isfinite(image)
        bad = image.size - int(np.count_nonzero(finite))
        if bad == image.size:
            nothing = dict.fromkeys(("min", "max", "mean", "std", "peak"))
            return {**nothing, "not_finite": bad}
        good = image[finite]
        low, high = _ends(good)
        image = np.where(finite, image, low)
    at = np.unravel_index(int(np.argmax(image)), image.shape)
    with np.errstate(over="ignore"):
        mean = float(good.mean(dtype=np.float64))
    std = _spread(good, mean)
    return {
        "min": low,
        "max": high,
        "mean": mean if np.isfinite(mean) else None,
        "std": std if np.isfinite(std) else None,
        "peak": [int(index) for index in at],
        "not_finite": bad,
    }


def _spread(image: Array, mean: float) -> float:
    """Return the standard deviation, block by block, in the cache of the processor."""
    total = 0.0
    step = max(1, _BLOCK * len(image) // image.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(image), step):
            # Not by np.dot: its threads wait for cores that other programs use.
            apart = image[first : first + step].astype(np.float64)
            apart -= mean
            np.square(apart, out=apart)
            total += float(apart.sum())
    return float(np.sqrt(total / image.size))


def saturation_of(dtype: np.dtype[Any]) -> int | None:
    """Return the value of saturated pixels: the largest of an integer type; None for other types."""
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else None
