"""One frame at a time: `get_data`, `set_data`, and the plain copy that they are compared with.

Run with::

    pytest benchmarks/bench_access.py --benchmark-enable --benchmark-group-by=group,param:frame

Each group has a plain ``numpy.copyto`` of the same frame into a ready array; what counts is the ratio of
the medians of one run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM, Stream

Describe = Callable[[np.ndarray], None]


@pytest.mark.benchmark(group="read")
def bench_plain_copy(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    target = np.empty_like(frame)
    target[:] = 0
    describe(frame)
    benchmark(np.copyto, target, frame)
    assert (target == frame).all()


@pytest.mark.benchmark(group="read")
def bench_get_data_copy(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    with SHM("bench", frame), SHM("bench") as reader:
        assert (benchmark(reader.get_data) == frame).all()


@pytest.mark.benchmark(group="read")
def bench_get_data_view(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    with SHM("bench", frame), SHM("bench") as reader:
        assert (benchmark(reader.get_data, copy=False) == frame).all()


@pytest.mark.benchmark(group="read")
def bench_copy_frame(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    target = np.zeros_like(frame)
    with SHM("bench", frame), Stream.attach("bench") as stream:
        benchmark(stream.copy_frame, target)
    assert (target == frame).all()


@pytest.mark.benchmark(group="write")
def bench_plain_copy_for_write(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    bench_plain_copy(benchmark, frame, describe)


@pytest.mark.benchmark(group="write")
def bench_set_data(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    with SHM("bench", np.zeros_like(frame)) as writer:
        benchmark(writer.set_data, frame)
        assert (writer.get_data() == frame).all()


@pytest.mark.benchmark(group="write")
@pytest.mark.parametrize("kind", ["fast", "temporal"])
def bench_set_data_into_ring(
    benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe, kind: str
) -> None:
    describe(frame)
    with SHM("bench", (frame.shape, frame.dtype), ring=8, ring_kind=kind) as writer:
        benchmark(writer.set_data, frame)
        assert (writer.get_data() == frame).all()


@pytest.mark.benchmark(group="write")
def bench_claim(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    """Fill a frame in place with a plain copy: what is paid for the publication alone."""
    describe(frame)
    with SHM("bench", np.zeros_like(frame)) as writer:

        def publish() -> None:
            with writer.claim() as pixels:
                np.copyto(pixels, frame)

        benchmark(publish)
        assert (writer.get_data() == frame).all()


@pytest.mark.benchmark(group="write 16 frames")
def bench_plain_copies(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    target = np.zeros_like(frame)

    def copy() -> None:
        for _ in range(16):
            np.copyto(target, frame)

    benchmark(copy)
    assert (target == frame).all()


@pytest.mark.benchmark(group="write 16 frames")
def bench_set_many(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    frames = np.broadcast_to(frame, (16, *frame.shape)).copy()
    with SHM("bench", np.zeros_like(frame)) as writer:
        before = writer.get_counter()
        benchmark(writer.set_many, frames)
        assert (writer.get_counter() - before) % 16 == 0
        assert (writer.get_data() == frame).all()
