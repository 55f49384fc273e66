"""Copies into another orientation, and the plain copy of the same bytes that they are compared with.

Run with::

    pytest benchmarks/bench_turn.py --benchmark-enable --benchmark-group-by=group,param:frame
    python benchmarks/bench_turn.py [--quick] [--minima] [--narrow] [--frames]

Each group has a plain ``numpy.copyto`` of the same bytes. The script prints the ratio for all orientation
codes and item sizes: the medians of interleaved repetitions, in one process pinned to one core, with the
arrays in the caches as far as they fit. Code 4 is the order of the stream, where nothing is turned. On a
machine where others work, the medians are mostly theirs: ``--minima`` compares the shortest times.
Arrays of NumPy begin anywhere; with ``--frames`` both begin at a page, as large frames of ``get_data`` do.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pymilk
from pymilk import SHM
from pymilk._core import allocate, turn_copy
from pymilk.axes import Orientation

#: One dtype for each size of an item.
DTYPES = ("u1", "u2", "u4", "u8", "c16")

#: What a turned copy may take, in plain copies.
LIMIT = 1.5


def note(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    """Note beside a result what was moved."""
    benchmark.extra_info.update(shape=frame.shape, dtype=str(frame.dtype), nbytes=frame.nbytes)


@pytest.mark.benchmark(group="turn")
def bench_plain_copy(benchmark: BenchmarkFixture, frame: np.ndarray) -> None:
    note(benchmark, frame)
    target = np.zeros_like(frame)
    benchmark(np.copyto, target, frame)
    assert (target == frame).all()


@pytest.mark.benchmark(group="turn")
@pytest.mark.parametrize("symcode", range(8))
def bench_turn_copy(benchmark: BenchmarkFixture, frame: np.ndarray, symcode: int) -> None:
    note(benchmark, frame)
    turned = Orientation(frame.shape, symcode).view(frame)
    target = np.zeros(turned.shape, frame.dtype)
    benchmark(turn_copy, target, turned)
    assert (target == turned).all()


@pytest.mark.benchmark(group="turn")
@pytest.mark.parametrize("symcode", range(8))
def bench_set_data(benchmark: BenchmarkFixture, frame: np.ndarray, symcode: int) -> None:
    note(benchmark, frame)
    with SHM("bench", np.zeros_like(frame), symcode=symcode) as writer:
        benchmark(writer.set_data, frame)
        assert (writer.get_data() == frame).all()


def timed(call: Callable[[], object], number: int) -> float:
    """Return the seconds that one of `number` calls takes."""
    began = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - began) / number


def ratios(
    shape: tuple[int, int], dtype: str, repeats: int, typical: Callable[[list[float]], float],
    wide: bool, empty: Callable[..., np.ndarray],
) -> tuple[float, list[float], float]:
    """Return the seconds of a plain copy, the ratios of all orientation codes, and that of NumPy's own."""
    frame = empty(shape, dtype)
    target = empty(shape, dtype)
    frame[...] = 1
    target[...] = 0
    number = max(1, 1_000_000 // frame.nbytes)
    calls: list[Callable[[], object]] = [lambda: np.copyto(target, frame)]
    for symcode in range(8):
        turned = Orientation(shape, symcode).view(frame)
        out = target.reshape(turned.shape)
        calls.append(lambda out=out, turned=turned: turn_copy(out, turned, wide=wide))
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, found in zip(calls, seconds, strict=True):
            # Once more, unmeasured: what a copy finds in the caches is what it leaves there itself.
            timed(call, number)
            found.append(timed(call, number))
    plain, *rest = (typical(found) for found in seconds)
    numpy = statistics.median(timed(lambda: np.copyto(target, frame.T), 1) for _ in range(3))
    return plain, [value / plain for value in rest], numpy / plain


def main() -> None:
    """Print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    parser.add_argument("--minima", action="store_true", help="compare the shortest times, not the medians")
    parser.add_argument("--narrow", action="store_true", help="as without registers of 64 bytes")
    parser.add_argument("--frames", action="store_true", help="between frames of pymilk, not arrays of NumPy")
    options = parser.parse_args()
    repeats = 3 if options.quick else 41
    typical: Callable[[list[float]], float] = min if options.minima else statistics.median
    print(f"{platform.processor() or platform.machine()}, Linux {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, pymilk {pymilk.__version__}")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for shape in ((2048, 2048), (120, 120)):
        print(f"\n{shape[0]}x{shape[1]}: time of the copy in plain copies, for each orientation code, "
              f"by the {'minima' if options.minima else 'medians'} of {repeats}")
        print(f"{'item':>5} {'plain, us':>10} " + " ".join(f"{code:>5}" for code in range(8))
              + "   NumPy, transposed")
        for dtype in DTYPES:
            plain, turned, numpy = ratios(shape, dtype, repeats, typical, not options.narrow,
                                          allocate if options.frames else np.empty)
            print(f"{np.dtype(dtype).itemsize:>5} {plain * 1e6:10.2f} "
                  + " ".join(f"{ratio:5.2f}" for ratio in turned) + f"   {numpy:5.1f}"
                  + ("" if max(turned) <= LIMIT else f"   above {LIMIT}"))


if __name__ == "__main__":
    main()
