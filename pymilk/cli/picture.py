"""Pictures of captures, drawn with matplotlib (extra ``plot``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..capture import Capture
from ..errors import StreamArgumentError
from ..files import file_error

__all__ = ["save_picture", "save_report_picture"]

#: Frames that the mean is taken over, at most: reading a large cube once more takes seconds.
MEAN_OF = 2000


def save_picture(capture: Capture, path: str) -> None:
    """Draw the mean frame, one frame, and the histogram of frame intervals.

    Parameters
    ----------
    capture : Capture
        Of images (two axes), at least one.
    path : str
        The ending chooses the format.
    """
    frames, info, report = capture.frames, capture.info, capture.report
    step = max(1, len(frames) // MEAN_OF)
    mean = frames[::step].mean(axis=0, dtype=np.float64)
    # Agg directly: no display is needed, and no global state of pyplot is touched.
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    for axes, image, title in (
        (left, mean, f"mean of {len(frames[::step])} frames"),
        (middle, frames[-1], f"frame number {info['cnt0'][-1]}"),
    ):
        drawn = axes.imshow(image, origin="lower", cmap="inferno", interpolation="nearest")
        axes.set_title(title)
        axes.set_xlabel("x, pixels")
        axes.set_ylabel("y, pixels")
        figure.colorbar(drawn, ax=axes, label="counts", shrink=0.85)
    if len(info) > 1:
        _draw_intervals(right, np.diff(info["arrival_ns"]) / 1e3, report.rate)
    figure.suptitle(
        f"{report.stream}: {report.received} frames at {report.rate:.0f}/s, "
        f"{report.lost} lost, {report.torn} torn"
    )
    figure.savefig(path, dpi=110)


def _draw_intervals(axes: Any, intervals: npt.NDArray[Any], rate: float) -> None:
    """Draw the histogram of microseconds between frames; logarithmic, since the tail matters."""
    low, high = np.percentile(intervals, [0.1, 99.9])
    spread = max(high - low, 0.05 * high)
    lowest, highest = max(0.0, low - 0.2 * spread), high + 0.2 * spread
    beyond = int(np.count_nonzero((intervals < lowest) | (intervals > highest)))
    axes.hist(np.clip(intervals, lowest, highest), bins=100, color="#30507a")
    axes.axvline(1e6 / rate, color="#c05020", linewidth=1, label=f"mean {1e6 / rate:.1f} us")
    axes.set_yscale("log")
    axes.set_xlabel("interval between frames, us")
    axes.set_ylabel("frames")
    axes.set_title(f"{beyond} beyond the edges, longest {intervals.max():.0f} us", fontsize="medium")
    axes.legend()


def save_report_picture(capture: Capture, path: str) -> None:
    """Draw the histogram of frame intervals, the intervals over time, and the frames lost over time.

    Parameters
    ----------
    capture : Capture
        Of any frames, at least one.
    path : str
        The ending chooses the format.

    Raises
    ------
    StreamError
        The picture cannot be written, or there is no such format.
    """
    info, report = capture.info, capture.report
    seconds = (info["arrival_ns"] - info["arrival_ns"][0]) / 1e9
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.4))
    histogram = figure.add_subplot(grid[:, 0])
    over_time = figure.add_subplot(grid[0, 1])
    gaps = figure.add_subplot(grid[1, 1], sharex=over_time)
    if len(info) > 1:
        intervals = np.diff(info["arrival_ns"]) / 1e3
        _draw_intervals(histogram, intervals, report.rate)
        over_time.plot(seconds[1:], intervals, ".", markersize=2, color="#30507a")
        over_time.set_yscale("log")
    over_time.set_ylabel("interval before a frame, us")
    rows = np.flatnonzero(info["lost"])
    if len(rows):
        gaps.vlines(seconds[rows], 0, info["lost"][rows], color="#c05020")
        gaps.plot(seconds[rows], info["lost"][rows], "o", markersize=4, color="#c05020")
    else:
        gaps.text(0.5, 0.5, "no frame was lost", ha="center", va="center", transform=gaps.transAxes)
    gaps.set_ylim(0, 1.15 * max(1, int(info["lost"].max())))
    gaps.set_ylabel("frames lost in a gap")
    gaps.set_xlabel("time since the first frame, s")
    gaps.set_title(f"{len(rows)} gaps, {report.lost} frames lost", fontsize="medium")
    figure.suptitle(
        f"{report.stream}: {report.received} frames at {report.rate:.1f}/s, {report.lost} lost, "
        f"{report.torn} torn"
    )
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise file_error(error, path, "written", "plot") from error
    except ValueError as error:
        raise StreamArgumentError(
            f"the picture cannot be saved as {path}: {error}", argument="plot", found=path
        ) from error
