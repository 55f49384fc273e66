"""Pictures of captures and benchmarks, drawn with matplotlib (extra ``plot``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..bench.account import LATENCY_EDGES_US
from ..bench.result import BenchResult, Point
from ..capture import Capture
from ..errors import StreamArgumentError
from ..system.files import file_error

__all__ = ["save_bench_picture", "save_picture", "save_report_picture"]

#: Most frames in the mean: reading a large cube again takes seconds.
MEAN_OF = 2000

#: Colour (also distinct for the colour-blind) and mark of each source.
_LOOKS = {
    "plain": ("#d55e00", "o"),
    "collector": ("#e69f00", "s"),
    "fast": ("#0072b2", "^"),
    "temporal": ("#009e73", "v"),
}

#: Losses below this percentage are drawn on a linear scale, so that zero is visible.
_LINEAR_BELOW = 0.001


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
    _save(figure, path)


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
    _save(figure, path)


def _save(figure: Figure, path: str) -> None:
    """Write a picture, or raise why not."""
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise file_error(error, path, "written", "plot") from error
    except ValueError as error:
        raise StreamArgumentError(
            f"the picture cannot be saved as {path}: {error}", argument="plot", found=path
        ) from error


def save_bench_picture(result: BenchResult, path: str) -> None:
    """Draw loss against rate, latency against rate, and the distribution of latencies.

    Parameters
    ----------
    result : BenchResult
        With one point at least. Each shape of frames has a row of its own.
    path : str
        The ending chooses the format.
    """
    shapes = list(dict.fromkeys(point.shape for point in result.points))
    figure = Figure(figsize=(15, 4.6 * len(shapes) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    for row, shape in zip(figure.subplots(len(shapes), 3, squeeze=False), shapes, strict=True):
        by_source: dict[str, list[Point]] = {}
        for (at, source), points in result.groups().items():
            if at == shape:
                by_source[source] = points
        _draw_loss(row[0], by_source, f"{shape[0]}x{shape[1]} {result.points[0].dtype}")
        _draw_percentiles(row[1], by_source)
        _draw_distribution(row[2], by_source)
    figure.suptitle(result.title(), fontsize="medium")
    _save(figure, path)


def _rates(points: list[Point]) -> list[float]:
    return [point.reached or point.rate for point in points]


def _log_rates(axes: Any, by_source: dict[str, list[Point]]) -> None:
    """Label the horizontal axis with the requested rates."""
    asked = sorted({point.rate for points in by_source.values() for point in points})
    axes.set_xscale("log")
    axes.set_xticks(asked, [f"{rate / 1e3:g}k" if rate >= 1e3 else f"{rate:g}" for rate in asked])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("frames per second, as reached by the writer")
    axes.grid(alpha=0.25)


def _draw_loss(axes: Any, by_source: dict[str, list[Point]], frames: str) -> None:
    for source, points in by_source.items():
        colour, mark = _LOOKS[source]
        lost = [100 * point.lost_share for point in points]
        axes.plot(_rates(points), lost, color=colour, marker=mark, label=source, alpha=0.85)
    axes.set_yscale("symlog", linthresh=_LINEAR_BELOW, linscale=0.6)
    axes.set_ylim(-_LINEAR_BELOW / 4, 100)
    ticks = [0, 0.001, 0.01, 0.1, 1, 10, 100]
    axes.set_yticks(ticks, [f"{tick:g} %" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel("frames lost")
    axes.set_title(f"{frames}: loss")
    _log_rates(axes, by_source)
    axes.legend()


def _draw_percentiles(axes: Any, by_source: dict[str, list[Point]]) -> None:
    for source, points in by_source.items():
        colour, mark = _LOOKS[source]
        known = [point for point in points if point.latency_us]
        for key, style in (("p50", "--"), ("p99.9", "-")):
            axes.plot(
                _rates(known),
                [point.latency_us[key] for point in known],
                style,
                color=colour,
                marker=mark,
                alpha=0.85,
            )
    for style, label in (("--", "median"), ("-", "99.9 %")):
        axes.plot([], [], style, color="0.3", label=label)
    asked = np.array(sorted({point.rate for points in by_source.values() for point in points}))
    axes.plot(asked, 1e6 / asked, ":", color="0.4", label="one frame")
    axes.set_yscale("log")
    axes.set_ylabel("from the stamp to the reader, us")
    axes.set_title("latency")
    _log_rates(axes, by_source)
    axes.legend()


def _draw_distribution(axes: Any, by_source: dict[str, list[Point]]) -> None:
    """Draw the share of frames that came later than a time, at one rate for all sources."""
    rate = _common_rate(by_source)
    for source, points in by_source.items():
        counts = next((np.array(point.latency_counts) for point in points if point.rate == rate), None)
        if counts is None or not counts.sum():
            continue
        later = 1 - np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        shown = later > 0.5 / counts.sum()
        shown[: np.argmax(later < 1) - 1] = False  # one point in front of the first frame
        axes.plot(LATENCY_EDGES_US[shown], later[shown], color=_LOOKS[source][0], label=source)
    axes.axvline(1e6 / rate, linestyle=":", color="0.4", label="one frame")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("latency, us")
    axes.set_ylabel("share of the frames that came later")
    axes.set_title(f"latency at {rate:g} frames/s")
    axes.grid(alpha=0.25)
    axes.legend()


def _common_rate(by_source: dict[str, list[Point]]) -> float:
    """Return the highest rate at which no source lost a frame, else the slowest."""
    rates = [{point.rate for point in points} for points in by_source.values()]
    common = set.intersection(*rates) or set.union(*rates)
    lossy = {point.rate for points in by_source.values() for point in points if not point.clean}
    return max(common - lossy, default=min(common))
