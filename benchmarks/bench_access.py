"""One frame at a time: `get_data`, `set_data`, and the plain copy that they are compared with.

Run with::

    pytest benchmarks/bench_access.py --benchmark-enable --benchmark-group-by=group,param:frame

Each group has a plain ``numpy.copyto`` of the same frame into a ready array; what counts is the ratio of
the medians of one run.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM


def describe(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    """Note beside a result what was moved."""
    benchmark.extra_info.update(shape=frame.shape, dtype=str(frame.dtype), nbytes=frame.nbytes)


@pytest.mark.benchmark(group="read")
def bench_plain_copy(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    target = np.empty_like(frame)
    target[:] = 0
    describe(benchmark, frame)
    benchmark(np.copyto, target, frame)
    assert (target == frame).all()


@pytest.mark.benchmark(group="read")
def bench_get_data_copy(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    describe(benchmark, frame)
    with SHM("bench", frame), SHM("bench") as reader:
        assert (benchmark(reader.get_data) == frame).all()


@pytest.mark.benchmark(group="read")
def bench_get_data_view(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    describe(benchmark, frame)
    with SHM("bench", frame), SHM("bench") as reader:
        assert (benchmark(reader.get_data, copy=False) == frame).all()


@pytest.mark.benchmark(group="write")
def bench_plain_copy_for_write(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    bench_plain_copy(benchmark, frame)


@pytest.mark.benchmark(group="write")
def bench_set_data(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    describe(benchmark, frame)
    with SHM("bench", np.zeros_like(frame)) as writer:
        benchmark(writer.set_data, frame)
        assert (writer.get_data() == frame).all()
