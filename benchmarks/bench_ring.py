"""Rings: a block, the newest frame, and backlogs, beside plain copies of the same frames.

Run with::

    pytest benchmarks/bench_ring.py --benchmark-enable --benchmark-group-by=group,param:frame
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pymilk import SHM, Block, RingReader
from pymilk._core import allocate

Describe = Callable[[np.ndarray], None]

#: Frames of a backlog.
COUNT = 16


@pytest.fixture
def frames(frame: np.ndarray) -> np.ndarray:
    """Return a backlog of different frames."""
    given = allocate((COUNT, *frame.shape), frame.dtype)
    given[:] = np.arange(COUNT, dtype=frame.dtype)[:, None, None]
    return given


@pytest.fixture(params=["fast", "temporal", "collector"])
def ring(request: pytest.FixtureRequest, frames: np.ndarray) -> Iterator[RingReader]:
    """Return a reader with the backlog unread, of each source."""
    source = request.param
    options = {} if source == "collector" else {"ring": 2 * COUNT, "ring_kind": source}
    with SHM("bench", (frames.shape[1:], frames.dtype), **options) as writer:
        with writer.ring_reader(depth=2 * COUNT) as reader:
            if source == "collector":
                for number, frame in enumerate(frames, 1):
                    writer.set_data(frame)
                    while reader.lag < number:
                        reader.peek(1)
            else:
                writer.set_many(frames)
            assert reader.source == source
            yield reader
        writer.destroy()


@pytest.mark.benchmark(group="one frame")
def bench_plain_copy(benchmark: BenchmarkFixture, frame: np.ndarray, describe: Describe) -> None:
    describe(frame)
    target = np.zeros_like(frame)
    benchmark(np.copyto, target, frame)
    assert (target == frame).all()


@pytest.mark.benchmark(group="one frame")
def bench_block(
    benchmark: BenchmarkFixture, ring: RingReader, frames: np.ndarray, describe: Describe
) -> None:
    """Take one frame as a block, and ask whether it stayed intact."""
    describe(frames[0])
    blocks = ring.blocks(1)

    def take() -> tuple[Block, bool]:
        block = next(blocks)
        return block, block.intact()

    def again() -> None:
        if ring.lag == 0:
            ring.rewind(COUNT)

    block, intact = benchmark.pedantic(take, setup=again, rounds=200, warmup_rounds=5)
    assert intact
    assert block.frames[0, 0, 0] in frames[:, 0, 0]
    assert (block.frames == block.frames[:, :1, :1]).all()


@pytest.mark.benchmark(group="one frame")
def bench_latest(
    benchmark: BenchmarkFixture, ring: RingReader, frames: np.ndarray, describe: Describe
) -> None:
    describe(frames[0])
    assert (benchmark(ring.latest) == frames[-1]).all()


@pytest.mark.benchmark(group="backlog")
def bench_plain_copy_of_backlog(
    benchmark: BenchmarkFixture, frames: np.ndarray, describe: Describe
) -> None:
    describe(frames)
    cube = allocate(frames.shape, frames.dtype)
    benchmark(np.copyto, cube, frames)
    assert np.array_equal(cube, frames)


@pytest.mark.benchmark(group="backlog")
def bench_read_backlog(
    benchmark: BenchmarkFixture, ring: RingReader, frames: np.ndarray, describe: Describe
) -> None:
    """Copy it into a given cube, each frame verified."""
    describe(frames)
    cube = allocate(frames.shape, frames.dtype)
    benchmark.pedantic(
        lambda: ring.read(COUNT, out=cube),
        setup=lambda: ring.rewind(COUNT - ring.lag) and None,
        rounds=10,
        warmup_rounds=1,
    )
    assert np.array_equal(cube, frames)
    assert ring.lost == 0


@pytest.mark.benchmark(group="backlog")
def bench_blocks_of_backlog(
    benchmark: BenchmarkFixture, ring: RingReader, frames: np.ndarray, describe: Describe
) -> None:
    """Walk over it in place: nothing is copied."""
    describe(frames)
    blocks = ring.blocks(COUNT)

    def walk() -> list[Block]:
        found = []
        while ring.lag:
            block = next(blocks)
            assert block.intact()
            found.append(block)
        return found

    found = benchmark.pedantic(
        walk, setup=lambda: ring.rewind(COUNT - ring.lag) and None, rounds=50, warmup_rounds=1
    )
    assert np.array_equal(np.concatenate([block.frames for block in found]), frames)
