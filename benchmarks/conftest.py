"""Frames and a private stream directory for the benchmarks."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

# Behind everything else: the installed pymilk must win over the checkout.
sys.path.append(str(Path(__file__).parents[1]))

SHAPES = [(120, 120), (2048, 2048)]


@pytest.fixture(autouse=True)
def shm_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give each benchmark a stream directory in memory of its own."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-bench-", dir=memory) as folder:
        monkeypatch.setenv("MILK_SHM_DIR", folder)
        yield folder


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def frame(request: pytest.FixtureRequest) -> np.ndarray:
    """Return a frame whose pages are there, so that first-touch faults are not measured."""
    return np.arange(np.prod(request.param), dtype=np.uint16).reshape(request.param)


@pytest.fixture
def describe(benchmark: BenchmarkFixture) -> Callable[[np.ndarray], None]:
    """Return a function that notes beside a result what was moved."""

    def note(frame: np.ndarray) -> None:
        benchmark.extra_info.update(shape=frame.shape, dtype=str(frame.dtype), nbytes=frame.nbytes)

    return note
