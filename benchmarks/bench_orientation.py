"""Orientations other than the stored one, beside a plain copy and what NumPy does.

Run with::

    pytest benchmarks/bench_orientation.py --benchmark-enable --benchmark-group-by=group,param:frame
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM
from pymilk._core import allocate

Describe = Callable[[np.ndarray], None]

#: Of a capture that turns frames into a C-contiguous cube.
COUNT = 4


@pytest.fixture(params=range(8))
def symcode(request: pytest.FixtureRequest) -> int:
    """Return each orientation code."""
    return request.param


@pytest.mark.benchmark(group="turned frame")
def bench_plain_copy(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    target = np.zeros_like(frame)
    benchmark(np.copyto, target, frame)
    assert (target == frame).all()


@pytest.mark.benchmark(group="turned frame")
def bench_numpy_transposed(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    """Transpose into C order, as NumPy does it."""
    describe(frame)
    target = np.zeros_like(frame.T, order="C")
    benchmark(np.copyto, target, frame.T)
    assert (target == frame.T).all()


@pytest.mark.benchmark(group="turned frame")
def bench_get_data(
    benchmark: BenchmarkFixture, frame: np.ndarray, symcode: int, describe: Describe
) -> None:
    """Copy in the order of the stream; the result is a turned view of that."""
    describe(frame)
    with SHM("bench", frame), SHM("bench", symcode=symcode) as turned:
        assert np.array_equal(benchmark(turned.get_data), turned.get_data(copy=False))


@pytest.mark.benchmark(group="turned frame")
def bench_set_data(
    benchmark: BenchmarkFixture, frame: np.ndarray, symcode: int, describe: Describe
) -> None:
    """Publish a C-contiguous frame that is turned on the way into the stream."""
    describe(frame)
    with SHM("bench", np.zeros_like(frame)), SHM("bench", symcode=symcode) as turned:
        benchmark(turned.set_data, frame)
        assert np.array_equal(turned.get_data(), frame)


@pytest.mark.benchmark(group="turned cube")
def bench_plain_copy_of_cube(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    cube = np.broadcast_to(frame, (COUNT, *frame.shape)).copy()
    describe(cube)
    target = allocate(cube.shape, cube.dtype)
    benchmark(np.copyto, target, cube)
    assert (target == frame).all()


@pytest.mark.benchmark(group="turned cube")
def bench_ring_read(
    benchmark: BenchmarkFixture, frame: np.ndarray, symcode: int, describe: Describe
) -> None:
    """Read a backlog into a C-contiguous cube in the user's orientation."""
    frames = np.broadcast_to(frame, (COUNT, *frame.shape)).copy()
    describe(frames)
    with (
        SHM("bench", (frame.shape, frame.dtype), ring=2 * COUNT) as writer,
        SHM("bench", symcode=symcode) as turned,
        turned.ring_reader() as ring,
    ):
        writer.set_many(frames)
        out = allocate((COUNT, *turned.shape), frame.dtype)
        benchmark.pedantic(
            lambda: ring.read(COUNT, out=out),
            setup=lambda: ring.rewind(COUNT - ring.lag) and None,
            rounds=10,
            warmup_rounds=1,
        )
        assert np.array_equal(out[-1], turned.get_data())
        writer.destroy()
