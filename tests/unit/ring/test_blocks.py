"""Blocks of a ring."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FLAG_FROM_RING, FLAG_VERIFIED, FRAME_ROW
from support.rings import CAPACITY, SHAPE, Both, account, each_source, numbers_of

MakeSHM = Callable[..., SHM]


@each_source
def test_blocks_give_every_frame_in_order(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    seen: list[int] = []
    for k in range(20):
        both.feed(1 + k % CAPACITY)
        for numbers in both.blocks():
            seen += numbers
    assert seen == list(range(2, both.number + 1))
    assert account(both.ring) == (len(seen), 0, 0)
    assert both.ring.lag == both.ring.lost == 0


@each_source
def test_a_block_never_crosses_the_end(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    slots = CAPACITY + 1
    both.feed(CAPACITY - 2)
    assert next(both.ring.blocks(timeout=0)).frames.shape == (CAPACITY - 2, *SHAPE)
    both.feed(CAPACITY)
    # Shared rings begin in slot 1, and this one was made with a frame.
    first = both.ring.peek(1000).info["cnt1"][0] if source != "collector" else CAPACITY - 2
    pieces = both.blocks()
    assert [len(piece) for piece in pieces] == [slots - first, CAPACITY - (slots - first)]
    assert [*itertools.chain(*pieces)] == list(range(both.number - CAPACITY + 1, both.number + 1))


@each_source
def test_rows_of_a_block(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    before = time.clock_gettime_ns(time.CLOCK_TAI)
    both.feed(3)
    block = next(both.ring.blocks())
    after = time.clock_gettime_ns(time.CLOCK_TAI)
    info = block.info
    assert info.dtype == FRAME_ROW
    assert info["cnt0"].tolist() == [2, 3, 4]
    assert info["lost"].tolist() == [0, 0, 0]
    for name in ("atime_ns", "writetime_ns", "arrival_ns"):
        times = info[name].tolist()
        assert before <= min(times) <= max(times) <= after
        assert times == sorted(times)
    flags = FLAG_VERIFIED if source == "collector" else FLAG_FROM_RING
    assert info["flags"].tolist() == [flags] * 3
    if source != "collector":
        assert info["cnt1"].tolist() == [2, 3, 4]
    assert len(block) == 3
    assert repr(block) == "<Block of 3 frames 2 to 4 of 'cam'>"


@each_source
def test_max_frames(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(5)
    blocks = both.ring.blocks(frames=2, timeout=0)
    assert [numbers_of(next(blocks)) for _ in range(3)] == [[2, 3], [4, 5], [6]]


@each_source
def test_generator_left_early(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(4)
    for block in both.ring.blocks(frames=3):
        assert numbers_of(block) == [2, 3, 4]
        break
    # What was not asked for was not consumed, and nothing is held.
    assert numbers_of(next(both.ring.blocks(timeout=0))) == [5]


@each_source
def test_views_are_read_only(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    for view in (
        both.ring.peek(2).frames,
        next(both.ring.blocks()).frames,
        both.ring.latest(),
        both.ring.latest(block=True).frames,
    ):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True
    # Nothing is copied: two views of one frame are one memory.
    one, two = both.ring.latest(), both.ring.latest(block=True).frames[0]
    assert np.shares_memory(one, two)


@each_source
def test_intact_until_the_writer_comes_round(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    block = next(both.ring.blocks())
    both.feed(CAPACITY - 3)
    assert (block.intact(), block.overwritten) == (True, 0)
    kept = block.frames.copy()
    assert numbers_of(block) == [2, 3, 4]
    for gone in (1, 2, 3, 3):
        # The frame behind the newest one is the one that may be changing.
        both.feed()
        assert (block.intact(), block.overwritten) == (False, gone)
    np.testing.assert_array_equal(kept[:, 0, 0], [2, 3, 4])


def test_intact_while_a_slice_is_being_written(make: MakeSHM) -> None:
    """The writer touches only the slot that no reader counts as whole."""
    both = Both(make, "temporal")
    both.feed(CAPACITY)
    block = both.ring.peek(1000)
    oldest = next(both.ring.blocks())
    with both.shm.claim() as pixels:
        pixels[:] = 99
        assert oldest.intact()
        assert block.intact()
        assert numbers_of(oldest)[0] == 2
    assert (oldest.intact(), oldest.overwritten) == (False, 1)


@each_source
def test_views_stay_valid_memory(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(5)
    block, latest = next(both.ring.blocks()), both.ring.latest()
    inner = block.frames[1:, 1, ::2]
    both.ring.close()
    both.shm.destroy()
    del both
    gc.collect()
    assert numbers_of(block) == [2, 3, 4, 5, 6]
    assert (latest == 6).all()
    frames = block.frames
    del block
    gc.collect()
    assert frames[:, 0, 0].tolist() == [2, 3, 4, 5, 6]
    del frames
    assert inner.tolist() == [[3, 3], [4, 4], [5, 5], [6, 6]]
