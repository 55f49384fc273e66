"""Frames, captures and recordings drawn by matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array
from ..arguments import bad_argument
from ..errors import StreamFormatError
from ..system.extras import optional_library
from ..times import frame_times
from .levels import check_levels, real_values, span, zscale

__all__ = ["plot", "plot_frames"]


def plot(
    frame: Any,
    *,
    ax: Any = None,
    levels: str | tuple[float, float] = "zscale",
    cmap: str = "gray",
    title: str | None = None,
) -> Any:
    """Draw a frame as ds9 does: row 0 at the bottom, columns to the right, levels by zscale.

    Parameters
    ----------
    frame : array_like, shape (y, x) or (n,)
        Anything that NumPy takes for an array, such as an `SHM`. Complex pixels are drawn as amplitudes; a
        frame of one axis as a curve.
    ax : matplotlib.axes.Axes, optional
        Where to. Default: a new figure.
    levels : {"zscale", "minmax"} or (float, float)
        Which values are black and white. See `pymilk.view.levels.zscale`.
    cmap : str, default "gray"
        Colour map of matplotlib.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    StreamFormatError
        The frame has no axes, more than two, or no pixels.
    StreamArgumentError
        `levels` is something else.
    LibraryMissingError
        An ImportError: matplotlib is not installed.

    Examples
    --------
    >>> pymilk.plot(pymilk.SHM("cam0"))                                    # doctest: +SKIP
    """
    pixels = np.asarray(frame)
    if pixels.ndim not in (1, 2) or not pixels.size:
        raise StreamFormatError(
            f"a frame of shape {pixels.shape} cannot be drawn; give one of one or two axes",
            field="shape",
            expected="(y, x) or (n,)",
            found=pixels.shape,
        )
    image = real_values(pixels)
    low, high = _levels_of(image, levels)
    ax = _figure(1)[0] if ax is None else ax
    if image.ndim == 1:
        ax.plot(image, drawstyle="steps-mid", linewidth=1)
    else:
        shown = ax.imshow(image, origin="lower", cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        ax.figure.colorbar(shown, ax=ax)
    if title is not None:
        ax.set_title(title)
    return ax


def _levels_of(image: Array, levels: Any) -> tuple[float, float]:
    """Return the values that are black and white."""
    if isinstance(levels, str) and levels in ("zscale", "minmax"):
        found = zscale(image) if levels == "zscale" else span(image)
        return found or (0.0, 1.0)
    try:
        low, high = levels
        return check_levels((float(low), float(high))) or (0.0, 1.0)
    except (TypeError, ValueError) as error:
        raise bad_argument("levels", levels, '"zscale", "minmax" or two numbers, the lower first') from error


def _figure(count: int) -> Any:
    """Return the axes of a new figure, side by side."""
    pyplot = optional_library("matplotlib.pyplot", "plot", "plots")
    figure, axes = pyplot.subplots(1, count, figsize=(5.5 * count, 4.5), layout="constrained", squeeze=False)
    del figure
    return axes[0]


def plot_frames(
    source: Any,
    title: str,
    *,
    frame: int | str = -1,
    levels: str | tuple[float, float] = "zscale",
    cmap: str = "gray",
) -> Any:
    """Draw a frame of a capture or a recording, and the times between its frames.

    Parameters
    ----------
    source : Capture or Recording
    title : str
    frame : int or "mean", default -1
        Which one, or the mean of all.
    levels, cmap
        As for `plot`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        The picture and, if there are rows, the intervals: in milliseconds over the number of the frame, with
        a line for each gap.
    """
    if not len(source):
        raise StreamFormatError(f"{title} has no frames that could be drawn", field="frames", found=0)
    pixels = np.mean(source, axis=0) if frame == "mean" else source[frame]
    axes = _figure(1 if source.info is None else 2)
    shown = f"mean of {len(source)} frames" if frame == "mean" else f"frame {range(len(source))[int(frame)]}"
    plot(pixels, ax=axes[0], title=f"{title}, {shown}", levels=levels, cmap=cmap)
    if source.info is not None:
        _draw_intervals(axes[1], source.info)
    return axes


def _draw_intervals(ax: Any, info: Array) -> None:
    """Draw the times between frames."""
    numbers, times = info["cnt0"], frame_times(info)
    ax.plot(numbers[1:], np.diff(times) / 1e6, ".", markersize=2)
    gaps = np.flatnonzero(info["lost"])
    for row in gaps:
        ax.axvline(float(numbers[row]), color="tab:red", linewidth=0.8)
    ax.set_xlabel("number of the frame")
    ax.set_ylabel("interval, ms")
    ax.set_title(f"{int(info['lost'].sum())} lost in {len(gaps)} gaps")
