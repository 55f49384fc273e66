"""A frame of 2048 x 2048 drawn for a terminal of 200 x 60: everything from the frame to the text.

Run with::

    pytest benchmarks/bench_view.py --benchmark-enable

A picture has to take well under 50 ms, so that a live view at 20 Hz leaves most of a core to others.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk.view import Display

SIZE = 2048
LINES, COLUMNS = 60, 200


@pytest.fixture(params=["u2", "f4", "u8", "c8"])
def image(request: pytest.FixtureRequest) -> np.ndarray:
    """Return a frame of noise."""
    return (np.random.default_rng(1).random((SIZE, SIZE)) * 4000).astype(request.param)


def draw(display: Display, image: np.ndarray, mode: str) -> list[str]:
    display.show(image)
    lines = display.text(LINES, COLUMNS, mode)
    assert display.describe()
    return lines


@pytest.mark.benchmark(group="mode")
@pytest.mark.parametrize("mode", ["true", "256", "ascii"])
def bench_mode(benchmark: BenchmarkFixture, image: np.ndarray, mode: str) -> None:
    lines = benchmark(draw, Display(colours="heat", log=True), image, mode)
    assert len(lines) == LINES


@pytest.mark.benchmark(group="choice")
@pytest.mark.parametrize(
    "choice",
    [
        {"symcode": 3},
        {"reduction": "mean"},
        {"percentile": 99.0},
        {"dark": np.ones((SIZE, SIZE), np.float32)},
        {"zoom": 8.0},
    ],
    ids=lambda choice: next(iter(choice)),
)
def bench_choice(benchmark: BenchmarkFixture, image: np.ndarray, choice: dict) -> None:
    lines = benchmark(draw, Display(**choice), image, "true")
    assert len(lines) == LINES
