"""Pictures of benchmarks, drawn with matplotlib (extra ``plot``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..bench.account import LATENCY_EDGES_US
from ..bench.result import BenchResult, Point

__all__ = ["save_bench_picture"]

#: Colours that also differ for the colour-blind, and a mark for each source.
_LOOKS = {
    "plain": ("#d55e00", "o"),
    "collector": ("#e69f00", "s"),
    "fast": ("#0072b2", "^"),
    "temporal": ("#009e73", "v"),
}

#: Losses below this share in per cent are drawn on a linear scale, so that zero has a place.
_LINEAR_BELOW = 0.001


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
    figure.savefig(path, dpi=110)


def _rates(points: list[Point]) -> list[float]:
    return [point.reached or point.rate for point in points]


def _log_rates(axes: Any, by_source: dict[str, list[Point]]) -> None:
    """Give the horizontal axis the rates that were asked as its ticks."""
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
    """Draw which share of the frames came later than a time, at one rate for all sources."""
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
    """Choose the highest rate at which all sources lost nothing, else the slowest."""
    rates = [{point.rate for point in points} for points in by_source.values()]
    common = set.intersection(*rates) or set.union(*rates)
    lossy = {point.rate for points in by_source.values() for point in points if not point.clean}
    return max(common - lossy, default=min(common))
