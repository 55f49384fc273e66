"""A capture from beginning to end, of frames that come as fast as they can, beside plain copies of them.

Run with::

    pytest benchmarks/bench_capture.py --benchmark-enable --benchmark-group-by=group,param:frame

What a capture costs beyond the copies is its thread and its account, once, however many frames it has.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM
from pymilk._core import allocate

Describe = Callable[[np.ndarray], None]

COUNT = 32


@pytest.mark.benchmark(group="capture")
def bench_plain_copies(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    """Copy each frame twice: into the stream, and out of it."""
    describe(frame)
    stream = np.zeros_like(frame)
    cube = allocate((COUNT, *frame.shape), frame.dtype)

    def copy() -> None:
        for target in cube:
            np.copyto(stream, frame)
            np.copyto(target, stream)

    benchmark(copy)
    assert (cube == frame).all()


@pytest.mark.benchmark(group="capture")
def bench_capture_from_ring(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    cube = allocate((COUNT, *frame.shape), frame.dtype)
    frames = np.broadcast_to(frame, (COUNT, *frame.shape)).copy()
    with SHM("bench", (frame.shape, frame.dtype), ring=2 * COUNT) as shm:

        def capture() -> int:
            running = shm.capture(COUNT, cube, background=True)
            shm.set_many(frames)
            return running.join().report.lost

        lost = benchmark(capture)
        shm.destroy()
    assert lost == 0
    assert (cube == frame).all()
