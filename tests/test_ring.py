"""Ring readers and ring writers as their users see them, over all three kinds of rings."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import itertools
import json
import math
import os
import pickle
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isio_format as fmt
import pymilk
from conftest import Child
from pymilk import SHM, Block, RingReader, Stream, Which3DState, wait_any
from pymilk._core import FLAG_FROM_RING, FLAG_NEW_FILE, FLAG_VERIFIED, FRAME_ROW, IMAGETYPES
from pymilk.errors import (
    CaptureMemoryError,
    FrameLostError,
    FrameMismatchError,
    SchedulingWarning,
    StreamArgumentError,
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamFormatError,
    StreamNotFoundError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamUnsupportedError,
)

SOURCES = ("fast", "temporal", "collector")
SHAPE = (3, 4)
DTYPE = np.uint32

#: Frames that can be had of each ring here: all slots but one, or what a collector keeps.
CAPACITY = 7

#: A wait that takes longer has failed; far above anything a loaded machine does.
PATIENCE = 30.0

MakeSHM = Callable[..., SHM]
Spawn = Callable[..., Any]


def until(condition: Callable[[], Any]) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)


def stamped(number: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A frame with its number in every pixel."""
    return np.full(shape, number, DTYPE)


@pytest.fixture
def make() -> Iterator[MakeSHM]:
    """SHM objects that are closed after the test."""
    made: list[SHM] = []

    def build(*args: Any, **kwargs: Any) -> SHM:
        made.append(SHM(*args, **kwargs))
        return made[-1]

    yield build
    for shm in made:
        shm.close()


def create(make: MakeSHM, source: str, capacity: int = CAPACITY, name: str = "cam") -> SHM:
    """Make a stream that is read through such a ring. Its first frame has number 1."""
    if source == "collector":
        return make(name, stamped(1))
    return make(name, stamped(1), ring=capacity + 1, ring_kind=source)


class Both:
    """A writer, and a ring reader that may live in the same thread."""

    def __init__(
        self, make: MakeSHM, source: str, capacity: int = CAPACITY, **options: Any
    ) -> None:
        self.source = source
        self.shm = create(make, source, capacity)
        self.number = 1
        if source == "collector":
            options.setdefault("depth", capacity)
        self.ring = self.shm.ring_reader(**options)
        assert self.ring.source == source
        if source == "collector" and options.get("start", "next") != "next":
            self.settle()

    def feed(self, count: int = 1) -> None:
        """Publish frames, each of which is in the ring afterwards."""
        for _ in range(count):
            self.number += 1
            self.shm.set_data(stamped(self.number))
            if self.source == "collector":
                self.settle()

    def settle(self) -> None:
        """Wait until the newest frame has arrived in the collector's ring."""

        def there() -> bool:
            with contextlib.suppress(StreamTimeoutError):
                return bool(self.ring.latest()[0, 0] == self.number)
            return False

        until(there)

    def blocks(self) -> list[list[int]]:
        """The numbers of all unread frames, a list for each block."""
        got = []
        while len(block := self.ring.peek(1000)):
            got.append(numbers_of(block))
            assert self.ring.skip(0) == 0
            again = next(self.ring.blocks(max_frames=1000, timeout=0))
            assert numbers_of(again) == got[-1]
        return got


def numbers_of(block: Any) -> list[int]:
    """The numbers of the frames, which stand in all their pixels too."""
    numbers = [int(number) for number in block.info["cnt0"]]
    assert block.frames.shape == (len(numbers), *block.frames.shape[1:])
    for frame, number in zip(block.frames, numbers, strict=True):
        assert (frame == number).all()
    return numbers


def account(ring: RingReader) -> tuple[int, int, int]:
    report = ring.report
    return report.received, report.lost, report.skipped


each_source = pytest.mark.parametrize("source", SOURCES)
shared_sources = pytest.mark.parametrize("source", SOURCES[:2])


# --- blocks ------------------------------------------------------------------------------------


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
    blocks = both.ring.blocks(max_frames=2, timeout=0)
    assert [numbers_of(next(blocks)) for _ in range(3)] == [[2, 3], [4, 5], [6]]


@each_source
def test_generator_left_early(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(4)
    for block in both.ring.blocks(max_frames=3):
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


# --- read --------------------------------------------------------------------------------------


@each_source
def test_read_joins_across_the_end(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for _ in range(5):
        both.feed(CAPACITY)
        capture = both.ring.read(CAPACITY, timeout=0)
        assert numbers_of(capture) == list(range(both.number - CAPACITY + 1, both.number + 1))
        assert not capture.info["lost"].any()
        assert (capture.info["flags"] & FLAG_VERIFIED).all()
    report = capture.report
    assert (report.received, report.requested, report.lost) == (CAPACITY, CAPACITY, 0)


@each_source
def test_read_more_than_the_ring_holds(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    wanted = 6 * CAPACITY + 3

    def write() -> None:
        while both.number < wanted + 1:
            # No frame is lost: the writer waits, as real ones never do.
            until(lambda: both.ring.lag < CAPACITY - 1)
            both.feed()

    writer = threading.Thread(target=write)
    writer.start()
    capture = both.ring.read(wanted, timeout=PATIENCE)
    writer.join()
    assert numbers_of(capture) == list(range(2, wanted + 2))
    assert account(both.ring) == (wanted, 0, 0)


@each_source
@pytest.mark.parametrize("symcode", range(8))
def test_orientation(make: MakeSHM, source: str, symcode: int) -> None:
    kind = {} if source == "collector" else {"ring": CAPACITY + 1, "ring_kind": source}
    frame = np.arange(12, dtype=DTYPE).reshape(SHAPE)
    shm = make("cam", frame, symcode=symcode, **kind)
    ring = shm.ring_reader(CAPACITY, start="newest")
    until(lambda: ring.lag == 1)
    shape = shm.shape
    assert shape == SHAPE
    assert ring.shape == shape
    np.testing.assert_array_equal(shm.get_data(), frame)
    np.testing.assert_array_equal(ring.latest(), frame)
    np.testing.assert_array_equal(ring.peek(1).frames, frame[None])
    for order in (None, "C", "F"):
        out = None if order is None else np.zeros((1, *shape), DTYPE, order=order)
        ring.rewind(1)
        capture = ring.read(1, out=out, timeout=0)
        np.testing.assert_array_equal(capture.frames, frame[None])
        if out is not None:
            np.testing.assert_array_equal(out, frame[None])
            assert np.shares_memory(out, capture.frames)
    # Another object sees the same stream with another orientation.
    other = make("cam", symcode=(symcode + 1) % 8)
    with other.ring_reader(CAPACITY, start="newest") as second:
        until(lambda: second.lag == 1)
        np.testing.assert_array_equal(second.read(1).frames[0], other.get_data())


@pytest.mark.parametrize("source", ["fast", "collector"])
@pytest.mark.parametrize("axis", [Which3DState.LAST2LAST, Which3DState.FRONT2LAST])
def test_orientation_of_cubes(make: MakeSHM, source: str, axis: Which3DState) -> None:
    kind = {} if source == "collector" else {"ring": 4}
    frame = np.arange(24, dtype=DTYPE).reshape(2, 3, 4)
    shm = make("cam", frame, symcode=3, triDim=axis, **kind)
    with shm.ring_reader(3, start="newest") as ring:
        until(lambda: ring.lag == 1)
        assert ring.shape == frame.shape
        np.testing.assert_array_equal(ring.peek(1).frames, frame[None])
        np.testing.assert_array_equal(
            ring.read(1, out=np.zeros((1, *frame.shape), DTYPE)).frames[0], frame
        )


@each_source
def test_read_beyond_the_timeout(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    out = np.zeros((5, *SHAPE), DTYPE)
    began = time.monotonic()
    with pytest.raises(StreamTimeoutError, match=r"'cam': no (new )?frame") as caught:
        both.ring.read(5, out=out, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.stream, error.timeout, error.counter) == ("cam", 0.05, both.number)
    assert numbers_of(error.capture) == [2, 3, 4]
    assert (error.capture.report.requested, error.capture.report.received) == (5, 3)
    assert out[:, 0, 0].tolist() == [2, 3, 4, 0, 0]
    assert account(both.ring) == (3, 0, 0)
    again = pickle.loads(pickle.dumps(error))
    assert again.capture.info["cnt0"].tolist() == [2, 3, 4]
    # It goes on where it was.
    both.feed()
    assert numbers_of(both.ring.read(1)) == [5]


@each_source
def test_read_into_what_does_not_fit(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    readonly = np.zeros((2, *SHAPE), DTYPE)
    readonly.flags.writeable = False
    for out, field in (
        (np.zeros((3, *SHAPE), DTYPE), "shape"),
        (np.zeros((2, 4, 3), DTYPE), "shape"),
        (np.zeros((2, *SHAPE), np.float32), "dtype"),
        ([1, 2], "dtype"),
        (readonly, "writeable"),
    ):
        with pytest.raises(FrameMismatchError, match="'cam'") as caught:
            both.ring.read(2, out=out)
        assert (caught.value.stream, caught.value.field) == ("cam", field)
    assert account(both.ring) == (0, 0, 0)
    assert numbers_of(both.ring.read(2)) == [2, 3]


# --- peek, latest, skip, rewind ----------------------------------------------------------------


@each_source
def test_peek_consumes_nothing(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    empty = both.ring.peek(5)
    assert (len(empty), empty.frames.shape, empty.info.shape) == (0, (0, *SHAPE), (0,))
    assert (empty.intact(), empty.overwritten) == (True, 0)
    assert repr(empty) == "<Block of 0 frames of 'cam'>"
    both.feed(4)
    for _ in range(2):
        assert numbers_of(both.ring.peek(3)) == [2, 3, 4]
        assert (both.ring.lag, account(both.ring)) == (4, (0, 0, 0))
    assert numbers_of(both.ring.peek(100)) == [2, 3, 4, 5]


@each_source
def test_latest(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    if source == "collector":
        with pytest.raises(StreamTimeoutError, match="'cam'") as caught:
            both.ring.latest()
        assert (caught.value.stream, caught.value.counter) == ("cam", 1)
    else:
        assert (both.ring.latest() == 1).all()
    for _ in range(2 * CAPACITY):
        both.feed()
        assert (both.ring.latest() == both.number).all()
        block = both.ring.latest(block=True)
        assert isinstance(block, Block)
        assert numbers_of(block) == [both.number]
        assert block.intact()
    assert account(both.ring) == (0, 0, 0)


@each_source
def test_skip_and_rewind(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(5)
    assert both.ring.skip(2) == 2
    assert both.ring.lag == 3
    assert numbers_of(both.ring.read(2)) == [4, 5]
    assert both.ring.rewind(3) == 3
    assert numbers_of(both.ring.read(4)) == [3, 4, 5, 6]
    assert account(both.ring) == (3, 0, 2)
    assert both.ring.skip(10**30) == 0
    # All that the ring still has: the collector has nothing from before it began.
    assert both.ring.rewind(10**30) == (5 if source == "collector" else 6)
    assert both.ring.skip(2) == 2
    both.feed(2)
    assert both.ring.skip(10**30) == (5 if source == "collector" else 6)
    assert both.ring.lag == 0
    assert account(both.ring) == (3, 0, 4)
    assert both.ring.skip(0) == both.ring.rewind(0) == 0


@each_source
def test_frames_read_before_an_overrun_are_not_lost(make: MakeSHM, source: str) -> None:
    """Rewound frames that are overwritten then were delivered: only those never delivered are lost."""
    both = Both(make, source)
    both.feed(5)
    both.ring.read(5)
    assert both.ring.rewind(4) == 4
    both.feed(3 * CAPACITY)
    assert numbers_of(both.ring.read(CAPACITY))[0] == both.number - CAPACITY + 1
    assert account(both.ring) == (5 + CAPACITY, 2 * CAPACITY, 0)


class Model:
    """The account of a ring as sets of frame numbers."""

    def __init__(self, first: int) -> None:
        self.head = 1
        self.first = first
        self.next = 2
        self.counted = 1
        self.received = self.lost = self.skipped = 0

    @property
    def oldest(self) -> int:
        return max(self.first, self.head - CAPACITY + 1)

    def take(self, limit: int) -> list[int]:
        begin = max(self.next, self.oldest)
        numbers = list(range(begin, min(begin + limit, self.head + 1)))
        if numbers:
            self.lost += max(0, numbers[0] - 1 - self.counted)
            self.received += sum(number > self.counted for number in numbers)
            self.counted = max(self.counted, numbers[-1])
            self.next = numbers[-1] + 1
        return numbers

    def skip(self, count: int) -> int:
        begin = max(self.next, self.oldest)
        end = min(begin + count, self.head + 1)
        if end > begin:
            self.lost += max(0, begin - 1 - self.counted)
            self.skipped += max(0, end - 1 - max(self.counted, begin - 1))
            self.counted = max(self.counted, end - 1)
            self.next = end
        return max(0, end - begin)

    def rewind(self, count: int) -> int:
        back = max(0, min(count, self.next - self.oldest))
        self.next -= back
        return back


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["feed", "feed", "read", "blocks", "skip", "rewind", "peek", "dump"]),
        st.integers(0, 2 * CAPACITY),
    ),
    max_size=25,
)


@each_source
@settings(max_examples=60, deadline=None, database=None)
@given(steps=STEPS)
def test_account_follows_the_model(source: str, steps: list[tuple[str, int]]) -> None:
    """Whatever is mixed, each frame counts once, as received, lost or skipped."""
    with contextlib.ExitStack() as stack:

        def build(*args: Any, **kwargs: Any) -> SHM:
            return stack.enter_context(SHM(*args, **kwargs))

        both = Both(build, source)
        ring, model = both.ring, Model(2 if source == "collector" else 1)
        for step, count in steps:
            unread = max(0, model.head + 1 - max(model.next, model.oldest))
            if step == "feed":
                both.feed(count)
                model.head += count
            elif step == "read" and min(count, unread):
                assert numbers_of(ring.read(min(count, unread), timeout=0)) == model.take(
                    min(count, unread)
                )
            elif step == "blocks" and unread:
                numbers = numbers_of(next(ring.blocks(max_frames=count + 1, timeout=0)))
                assert 1 <= len(numbers) <= count + 1
                assert numbers == model.take(len(numbers))
            elif step == "peek":
                numbers = numbers_of(ring.peek(count + 1))
                begin = max(model.next, model.oldest)
                assert numbers == list(range(begin, begin + len(numbers)))
                assert bool(numbers) == bool(unread)
            elif step == "skip":
                assert ring.skip(count) == model.skip(count)
            elif step == "rewind":
                assert ring.rewind(count) == model.rewind(count)
            elif step == "dump":
                numbers = numbers_of(ring.dump(frames=count))
                begin = max(model.oldest, model.head + 1 - count)
                assert numbers == list(range(begin, model.head + 1))
            assert account(ring) == (model.received, model.lost, model.skipped)
            assert ring.lag == max(0, model.head + 1 - max(model.next, model.oldest))
        both.feed(1)
        model.head += 1
        while ring.lag:
            model.take(len(next(ring.blocks(timeout=0))))
        assert account(ring) == (model.received, model.lost, model.skipped)
        if model.next == model.counted + 1:
            assert sum(account(ring)) == both.number - 1
        both.shm.destroy()


# --- policies, starts, losses ------------------------------------------------------------------


@each_source
def test_overwritten_frames_are_counted(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    assert numbers_of(both.ring.read(1)) == [2]
    both.feed(3 * CAPACITY)
    assert (both.ring.lag, both.ring.level) == (CAPACITY, 1.0)
    block = both.ring.peek(1)
    oldest = both.number - CAPACITY + 1
    assert (block.info["cnt0"][0], block.info["lost"][0]) == (oldest, oldest - 3)
    assert both.ring.lost == 0  # found, and told of, with the frame that is delivered
    capture = both.ring.read(CAPACITY)
    assert numbers_of(capture) == list(range(oldest, both.number + 1))
    assert capture.info["lost"].tolist() == [oldest - 3] + [0] * (CAPACITY - 1)
    assert capture.report.lost == both.ring.lost == oldest - 3
    assert account(both.ring) == (1 + CAPACITY, oldest - 3, 0)


@each_source
def test_newest_skips(make: MakeSHM, source: str) -> None:
    both = Both(make, source, policy="newest")
    assert both.ring.policy == "newest"
    blocks = both.ring.blocks(timeout=0)
    both.feed(4)
    assert numbers_of(next(blocks)) == [5]
    both.feed(3)
    assert numbers_of(next(blocks)) == [8]
    assert account(both.ring) == (2, 0, 5)
    assert both.ring.lag == 0
    both.feed(2)
    assert numbers_of(both.ring.read(1)) == [10]
    assert account(both.ring) == (3, 0, 6)


@each_source
@pytest.mark.parametrize("how", ["blocks", "read"])
def test_raise_on_lost(make: MakeSHM, source: str, how: str) -> None:
    both = Both(make, source, on_lost="raise")

    def get() -> list[int]:
        if how == "read":
            return numbers_of(both.ring.read(1, timeout=0))
        return numbers_of(next(both.ring.blocks(1, timeout=0)))

    both.feed(1)
    assert get() == [2]
    both.feed(3 * CAPACITY)
    oldest = both.number - CAPACITY + 1
    with pytest.raises(FrameLostError, match="'cam': frame 3 was lost") as caught:
        get()
    error = caught.value
    assert (error.stream, error.seq, error.oldest) == ("cam", 3, oldest)
    assert (error.newest, error.lost) == (both.number, oldest - 3)
    for number in (CAPACITY, oldest, both.number, oldest - 3):
        assert str(number) in str(error)
    assert get() == [oldest]
    assert get() == [oldest + 1]
    assert both.ring.lost == oldest - 3


@each_source
@pytest.mark.parametrize("start", ["next", "oldest", "newest"])
def test_start(make: MakeSHM, source: str, start: str) -> None:
    shm = create(make, source)
    for number in range(2, 5):
        shm.set_data(stamped(number))
    with shm.ring_reader(CAPACITY, start=start) as ring:
        # A stream without a ring has kept its newest frame only.
        old = [4] if start == "newest" or source == "collector" else [1, 2, 3, 4]
        old = [] if start == "next" else old
        until(lambda: ring.lag == len(old))
        shm.set_data(stamped(5))
        assert numbers_of(ring.read(len(old) + 1)) == [*old, 5]
        assert account(ring) == (len(old) + 1, 0, 0)


@shared_sources
def test_collector_of_a_ring(make: MakeSHM, source: str) -> None:
    """A collector takes its frames out of the ring of the stream, history included."""
    shm = create(make, source, capacity=3)
    for number in range(2, 7):
        shm.set_data(stamped(number))
    with shm.ring_reader(100, source="collector", start="oldest") as ring:
        assert (ring.source, ring.depth) == ("collector", 100)
        until(lambda: ring.lag == 3)
        for number in range(7, 50):
            shm.set_data(stamped(number))
            until(lambda number=number: (ring.latest() == number).all())
        capture = ring.read(46, timeout=0)
        assert numbers_of(capture) == list(range(4, 50))
        assert (capture.info["flags"] & FLAG_FROM_RING).all()
        assert account(ring) == (46, 0, 0)


def test_ring_that_was_never_filled_is_collected(make: MakeSHM) -> None:
    stream = Stream.create("cam", SHAPE, DTYPE, cb_size=4)
    stream.view(writable=True)[...] = 1
    path = Path(stream.path)
    data = bytearray(path.read_bytes())
    fmt.patch(data, "cnt0", 3)
    with path.open("r+b") as file:
        file.write(data)
    with stream, make("cam").ring_reader(depth=2) as ring:
        assert (ring.source, ring.depth) == ("collector", 2)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_ring_of_one_slot_is_collected(make: MakeSHM, kind: str) -> None:
    shm = make("cam", stamped(1), ring=1, ring_kind=kind)
    with shm.ring_reader(4) as ring:
        assert ring.source == "collector"
        for number in (2, 3, 4):
            shm.set_data(stamped(number))
            until(lambda number=number: ring.lag == number - 1)
        assert numbers_of(ring.read(3)) == [2, 3, 4]


@each_source
def test_ring_for_one_frame(make: MakeSHM, source: str) -> None:
    both = Both(make, source, capacity=1)
    for _ in range(5):
        both.feed()
        assert both.ring.level == 1.0
        assert numbers_of(both.ring.read(1, timeout=0)) == [both.number]
    both.feed(3)
    assert numbers_of(both.ring.read(1, timeout=0)) == [both.number]
    assert account(both.ring) == (6, 2, 0)


@each_source
def test_every_reader_has_its_own_account(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    other = both.shm.ring_reader(CAPACITY)
    for count in (1, 2, 3):
        both.feed()
        until(lambda count=count: other.lag == count)
    assert numbers_of(both.ring.read(3)) == [2, 3, 4]
    assert (other.lag, account(other)) == (3, (0, 0, 0))
    assert other.skip(1) == 1
    assert numbers_of(other.read(2)) == [3, 4]
    assert (account(both.ring), account(other)) == ((3, 0, 0), (2, 0, 1))
    both.ring.close()
    both.shm.set_data(stamped(5))
    assert numbers_of(other.read(1)) == [5]


# --- dump --------------------------------------------------------------------------------------


@each_source
def test_dump(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(10)
    both.ring.read(4, timeout=0)
    lag = both.ring.lag
    held = list(range(both.number - CAPACITY + 1, both.number + 1))
    assert numbers_of(both.ring.dump()) == held
    assert numbers_of(both.ring.dump(frames=3)) == held[-3:]
    assert numbers_of(both.ring.dump(frames=10**30)) == held
    assert numbers_of(both.ring.dump(frames=0)) == []
    assert numbers_of(both.ring.dump(seconds=1000)) == held
    assert numbers_of(both.ring.dump(seconds=0)) == []
    capture = both.ring.dump(frames=2)
    assert (capture.done, capture.report.received, capture.report.lost) == (True, 2, 0)
    assert both.ring.lag == lag
    assert account(both.ring)[0] == 4
    # A copy: it does not change with the ring.
    both.feed(CAPACITY)
    assert numbers_of(capture) == held[-2:]


@each_source
def test_dump_of_the_last_seconds(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    both = Both(make, source)
    both.feed(3)
    border = time.clock_gettime_ns(time.CLOCK_TAI)
    both.feed(2)
    # The clock stands still 10 s later: what is older than 10 s came before the border.
    monkeypatch.setattr("pymilk.ring.reader.now_ns", lambda: border + 10 * 10**9)
    assert numbers_of(both.ring.dump(seconds=10)) == [5, 6]
    assert numbers_of(both.ring.dump(seconds=5)) == []
    assert numbers_of(both.ring.dump(seconds=1000))[-5:] == [2, 3, 4, 5, 6]


def test_dump_of_seconds_without_times(make: MakeSHM) -> None:
    """Writers that fill no records: only a number of frames can be asked for."""
    both = Both(make, "fast")
    both.feed(3)
    with Stream.attach("cam") as stream:
        stream.section("ring_records", writable=True)[:] = np.zeros(
            (), stream.section("ring_records").dtype
        )
    with pytest.raises(StreamUnsupportedError, match=r"'cam'.*stores no times") as caught:
        both.ring.dump(seconds=1)
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, OSError)
    assert numbers_of(both.ring.dump(frames=2)) == [3, 4]


# --- state -------------------------------------------------------------------------------------


@each_source
def test_state(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    ring = both.ring
    depth = CAPACITY if source == "collector" else CAPACITY + 1
    assert (ring.name, ring.shape, ring.dtype, ring.depth) == ("cam", SHAPE, np.dtype(DTYPE), depth)
    assert (ring.lag, ring.level, ring.lost, ring.closed) == (0, 0.0, 0, False)
    assert repr(ring) == f"<RingReader 'cam', {source}, 0 of {depth} waiting>"
    both.feed(3)
    assert (ring.lag, ring.level) == (3, 3 / CAPACITY)
    ring.read(2)
    report = ring.report
    values = {
        "stream": "cam",
        "source": source,
        "policy": "every",
        "depth": depth,
        "received": 2,
        "lost": 0,
        "skipped": 0,
        "lag": 1,
        "new_files": 0,
    }
    told = report.to_dict()
    assert {name: told[name] for name in values} == values
    assert set(told) == {*values, "duration", "cpu_share"}
    assert json.loads(json.dumps(told)) == told
    assert report.duration > 0
    assert (report.cpu_share > 0) == (source == "collector")
    text = str(report)
    assert text.startswith(
        f"Ring of stream 'cam' ({source}, depth {depth}): 2 received, 0 lost, 0 skipped, 1 waiting, "
    )
    assert text.endswith(" of a core") == (source == "collector")
    assert repr(report) == "<RingReport 'cam': 2 received, 0 lost>"
    ring.close()
    assert repr(ring) == f"<RingReader 'cam', {source}, closed>"


def test_default_depth(make: MakeSHM) -> None:
    small, large = make("small", ((2, 2), np.uint8)), make("large", ((2048, 2048), np.float64))
    with small.ring_reader() as ring:
        assert ring.depth == 8192
    with large.ring_reader() as ring:
        assert ring.depth == 16  # 32 MiB each: fewer would fit into the default memory


@each_source
def test_reader_by_name(make: MakeSHM, source: str) -> None:
    shm = create(make, source)
    with RingReader("cam", depth=CAPACITY) as ring:
        assert ring.source == source
        shm.set_data(stamped(2))
        assert numbers_of(ring.read(1)) == [2]
    assert ring.closed
    with Stream.attach("cam") as stream:
        with RingReader(stream, depth=CAPACITY) as ring:
            shm.set_data(stamped(3))
            assert numbers_of(ring.read(1)) == [3]
        assert not stream.closed


@each_source
def test_read_only_stream(make: MakeSHM, source: str) -> None:
    """No semaphore can be waited for: the counter is watched instead."""
    shm = create(make, source)
    with Stream.attach("cam", writable=False) as stream, RingReader(stream, depth=CAPACITY) as ring:
        writer = threading.Timer(0.02, shm.set_data, [stamped(2)])
        writer.start()
        assert numbers_of(ring.read(1, timeout=PATIENCE)) == [2]
        writer.join()


# --- new files ---------------------------------------------------------------------------------


@each_source
def test_new_file_is_followed(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    assert numbers_of(both.ring.read(1)) == [2]
    again = create(make, source)
    # First what the ring of the old file still has.
    capture = both.ring.read(3, timeout=PATIENCE)
    assert numbers_of(capture) == [3, 4, 1]
    assert (capture.info["flags"] & FLAG_NEW_FILE).astype(bool).tolist() == [False, False, True]
    assert capture.info["lost"].tolist() == [0, 0, 0]
    again.set_data(stamped(2))
    capture = both.ring.read(1, timeout=PATIENCE)
    assert numbers_of(capture) == [2]
    assert not (capture.info["flags"] & FLAG_NEW_FILE).any()
    assert account(both.ring) == (5, 0, 0)
    assert both.ring.report.new_files == 1


@each_source
def test_losses_of_the_old_file_are_counted(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(1)
    both.ring.read(1)
    both.feed(3 * CAPACITY)
    newest = list(range(both.number - CAPACITY + 1, both.number + 1))
    create(make, source)
    if source == "collector":
        # Its ring goes on being filled: the new frame takes the place of an old one.
        until(lambda: (both.ring.latest() == 1).all())
        newest = newest[1:]
    assert numbers_of(both.ring.read(len(newest) + 1, timeout=PATIENCE)) == [*newest, 1]
    lost = 3 * CAPACITY - len(newest)
    assert account(both.ring) == (1 + len(newest) + 1, lost, 0)


@pytest.mark.parametrize(("old", "new"), [*itertools.permutations(SOURCES, 2)])
def test_new_file_with_another_ring(make: MakeSHM, old: str, new: str) -> None:
    both = Both(make, old)
    both.feed(2)
    both.ring.read(2)
    again = create(make, new, capacity=3)
    assert numbers_of(both.ring.read(1, timeout=PATIENCE)) == [1]
    # A collector collects from whatever there is.
    expected = "collector" if "collector" in (old, new) else new
    assert both.ring.source == expected
    for number in (2, 3, 4):
        again.set_data(stamped(number))
        assert numbers_of(both.ring.read(1, timeout=PATIENCE)) == [number]
    if expected != "collector":
        assert both.ring.depth == 4
    assert account(both.ring) == (6, 0, 0)


@each_source
def test_new_file_of_another_shape(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    both.ring.read(2)
    make("cam", np.zeros((5, 5), DTYPE))
    with pytest.raises(StreamChangedError, match="'cam'") as caught:
        both.ring.read(1, timeout=PATIENCE)
    error = caught.value
    assert not isinstance(error, StreamReplacedError)  # which could be followed
    assert (error.stream, error.field, error.expected, error.found) == (
        "cam",
        "shape",
        SHAPE,
        (5, 5),
    )


# --- waiting -----------------------------------------------------------------------------------


@each_source
@pytest.mark.parametrize("wait", ["auto", "spin", "sleep"])
def test_blocks_wait_for_another_process(
    make: MakeSHM, spawn: Spawn, source: str, wait: str
) -> None:
    both = Both(make, source, wait=wait)
    child = spawn("""
import sys
import numpy as np
from pymilk import SHM
shm = SHM("cam")
print("ready", flush=True)
for line in sys.stdin:
    shm.set_data(np.full((3, 4), int(line), np.uint32))
""")
    child.expect("ready")
    for number in range(2, 30):
        child.tell(number)
        assert numbers_of(next(both.ring.blocks(timeout=PATIENCE))) == [number]
    assert account(both.ring) == (28, 0, 0)
    child.process.stdin.close()
    assert child.process.wait(60) == 0


@each_source
def test_timeouts(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for timeout in (0, 0.03):
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError, match="its counter is 1") as caught:
            next(both.ring.blocks(timeout=timeout))
        assert time.monotonic() - began >= timeout
        error = caught.value
        assert (error.stream, error.timeout, error.counter) == ("cam", timeout, 1)
        assert error.capture is None
    both.feed()
    assert numbers_of(next(both.ring.blocks(timeout=0))) == [2]


@each_source
def test_close_ends_a_wait_of_another_thread(make: MakeSHM, source: str) -> None:
    shm = create(make, source)
    raised: list[BaseException] = []

    def wait(ring: RingReader) -> None:
        try:
            next(ring.blocks(timeout=None))
        except BaseException as error:
            raised.append(error)

    # Often: how the end of a collector's thread is seen depends on how far it is.
    for _ in range(10):
        ring = shm.ring_reader(CAPACITY)
        thread = threading.Thread(target=wait, args=[ring])
        thread.start()
        until(lambda ring=ring: is_busy(ring))
        ring.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [type(error) for error in raised] == [StreamClosedError] * 10
    assert {error.stream for error in raised} == {"cam"}


@each_source
def test_new_file_of_another_shape_during_a_wait(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for number in range(5):
        name = f"cam{number}"
        shm = create(make, source, name=name)
        with shm.ring_reader(CAPACITY) as ring:
            replacing = threading.Thread(
                target=lambda ring=ring, name=name: (
                    until(lambda: is_busy(ring)),
                    make(name, np.zeros((5, 5), DTYPE)),
                )
            )
            replacing.start()
            with pytest.raises(StreamChangedError) as caught:
                next(ring.blocks(timeout=None))
            replacing.join()
            assert (caught.value.stream, caught.value.field) == (name, "shape")
    assert not both.ring.closed


@each_source
def test_closing_the_stream_ends_a_wait(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    closer = threading.Thread(target=lambda: (until(lambda: is_busy(both.ring)), both.shm.close()))
    closer.start()
    with pytest.raises(StreamClosedError, match="'cam'"):
        both.ring.read(1, timeout=None)
    closer.join()
    assert both.ring.closed


def is_busy(ring: RingReader) -> bool:
    try:
        ring.peek(1)
    except StreamBusyError:
        return True
    return False


@each_source
def test_two_threads_at_once(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    got: list[list[int]] = []
    thread = threading.Thread(
        target=lambda: got.append(numbers_of(both.ring.read(2, timeout=PATIENCE)))
    )
    thread.start()
    until(lambda: is_busy(both.ring))
    for call in (
        lambda: next(both.ring.blocks()),
        lambda: both.ring.read(1),
        lambda: both.ring.peek(1),
        lambda: both.ring.skip(1),
        lambda: both.ring.rewind(1),
        lambda: asyncio.run(anext(both.ring.ablocks())),
    ):
        with pytest.raises(StreamBusyError, match="'cam': another thread is reading") as caught:
            call()
        assert caught.value.stream == "cam"
    # These may be used from any thread.
    both.feed(1)
    assert (both.ring.latest() == 2).all()
    assert numbers_of(both.ring.dump(frames=1)) == [2]
    assert both.ring.lag <= 1
    assert both.ring.report.received <= 2
    both.feed(1)
    thread.join(PATIENCE)
    assert got == [[2, 3]]
    assert account(both.ring) == (2, 0, 0)


@each_source
def test_waiting_burns_no_core(make: MakeSHM, source: str) -> None:
    both = Both(make, source, wait="sleep")
    began, used = time.monotonic(), time.process_time()
    with pytest.raises(StreamTimeoutError):
        next(both.ring.blocks(timeout=0.5))
    assert time.process_time() - used < 0.4 * (time.monotonic() - began)


CTRL_C = """
import asyncio, sys
from pymilk import SHM, wait_any
shm = SHM("cam")
ring = shm.ring_reader(7)
assert ring.source == sys.argv[1]
async def main():
    # Only now: an event loop that is interrupted while it is made complains.
    print("waiting", flush=True)
    await anext(ring.ablocks(timeout=None))
try:
    if sys.argv[2] == "ablocks":
        asyncio.run(main())
    print("waiting", flush=True)
    if sys.argv[2] == "blocks":
        next(ring.blocks(timeout=None))
    elif sys.argv[2] == "read":
        ring.read(3, timeout=None)
    else:
        wait_any([ring, shm], timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(ring.closed, ring.lag, flush=True)
"""


@each_source
@pytest.mark.parametrize("how", ["blocks", "read", "ablocks", "wait_any"])
def test_ctrl_c_ends_a_wait(make: MakeSHM, spawn: Spawn, source: str, how: str) -> None:
    create(make, source)
    child = spawn(CTRL_C, source, how)
    child.expect("waiting")
    child.process.send_signal(signal.SIGINT)
    assert child.finish() == (0, "interrupted\nFalse 0\n", "")


# --- asyncio -----------------------------------------------------------------------------------


@each_source
def test_ablocks(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> list[int]:
        seen: list[int] = []
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.001)
                beats += 1
                if beats % 5 == 0 and both.number < 12:
                    both.feed()

        heart = asyncio.create_task(beat())
        async for block in both.ring.ablocks(max_frames=3, timeout=PATIENCE):
            seen += numbers_of(block)
            if len(seen) == 11:
                break
        heart.cancel()
        # The loop went on while the ring was waited for.
        assert beats >= 55
        return seen

    assert asyncio.run(main()) == list(range(2, 13))
    assert account(both.ring) == (11, 0, 0)


@each_source
def test_ablocks_timeout(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main(timeout: float) -> None:
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError) as caught:
            await anext(both.ring.ablocks(timeout=timeout))
        assert time.monotonic() - began >= timeout
        assert (caught.value.stream, caught.value.timeout) == ("cam", timeout)

    for timeout in (0, 0.15):
        asyncio.run(main(timeout))
    both.feed()
    assert numbers_of(next(both.ring.blocks(timeout=0))) == [2]


@each_source
def test_cancelled_ablocks_leave_the_ring_free(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> None:
        for _ in range(3):
            waiting = asyncio.create_task(anext(both.ring.ablocks(timeout=None)))
            while not is_busy(both.ring):
                await asyncio.sleep(0.001)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            # At once: nobody is waiting any more.
            assert len(both.ring.peek(1)) == 0
            both.feed()
            assert numbers_of(both.ring.read(1, timeout=0)) == [both.number]
        # A wait that is limited by asyncio is the same.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(both.ring.ablocks(timeout=None)), 0.02)
        both.feed()
        assert numbers_of(await anext(both.ring.ablocks(timeout=0))) == [both.number]

    asyncio.run(main())
    assert account(both.ring) == (4, 0, 0)


@each_source
def test_close_ends_ablocks(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> None:
        waiting = asyncio.create_task(anext(both.ring.ablocks(timeout=None)))
        while not is_busy(both.ring):
            await asyncio.sleep(0.001)
        both.ring.close()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(waiting, PATIENCE)

    asyncio.run(main())


# --- descriptors -------------------------------------------------------------------------------


def test_descriptor_of_a_collector(make: MakeSHM) -> None:
    both = Both(make, "collector")
    fd = both.ring.fileno()
    assert both.ring.fileno() == fd
    poll = select.poll()
    poll.register(both.ring, select.POLLIN)
    assert poll.poll(0) == []
    for _ in range(3):
        both.shm.set_data(stamped(both.number + 1))
        both.number += 1
        assert poll.poll(PATIENCE * 1000) == [(fd, select.POLLIN)]
        assert numbers_of(both.ring.read(1)) == [both.number]
        assert poll.poll(0) == []
    # It stays readable for as long as something is unread.
    both.feed(3)
    for number in (5, 6, 7):
        assert poll.poll(0) == [(fd, select.POLLIN)]
        assert numbers_of(next(both.ring.blocks(1, timeout=0))) == [number]
    assert poll.poll(0) == []
    both.ring.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_descriptor_that_is_asked_for_late(make: MakeSHM) -> None:
    both = Both(make, "collector")
    both.feed(2)
    assert select.select([both.ring], [], [], 0)[0] == [both.ring]
    both.ring.skip(2)
    assert len(both.ring.peek(1)) == 0
    assert select.select([both.ring], [], [], 0)[0] == []


def test_descriptor_in_an_event_loop(make: MakeSHM) -> None:
    both = Both(make, "collector")
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def readable() -> None:
            while len(both.ring.peek(1)):
                seen.extend(numbers_of(next(both.ring.blocks(timeout=0))))
            if len(seen) == 5:
                done.set()

        loop.add_reader(both.ring.fileno(), readable)
        for _ in range(5):
            both.feed()
            await asyncio.sleep(0)
        await asyncio.wait_for(done.wait(), PATIENCE)
        loop.remove_reader(both.ring.fileno())

    asyncio.run(main())
    assert seen == [2, 3, 4, 5, 6]


@shared_sources
def test_shared_rings_have_no_descriptor(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    with pytest.raises(
        StreamUnsupportedError, match=r"'cam'.*use blocks, ablocks or wait_any"
    ) as caught:
        both.ring.fileno()
    assert type(caught.value) is StreamUnsupportedError
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, ValueError)  # both builtins, as io.UnsupportedOperation
    assert isinstance(caught.value, OSError)
    assert str(caught.value)
    assert copy.copy(caught.value).stream == "cam"


# --- wait_any ----------------------------------------------------------------------------------


@pytest.fixture
def many(make: MakeSHM) -> Iterator[tuple[list[SHM], list[Any]]]:
    """Writers, and all kinds of things to wait for: an SHM, a Stream, and three rings."""
    writers = [create(make, "collector", name=f"cam{k}") for k in range(2)]
    writers += [create(make, source, name=f"cam{k}") for k, source in enumerate(SOURCES, 2)]
    with Stream.attach("cam1") as stream:
        rings = [make(f"cam{k}").ring_reader(CAPACITY) for k in (2, 3, 4)]
        assert [ring.source for ring in rings] == list(SOURCES)
        yield writers, [make("cam0"), stream, *rings]


Many = tuple[list[SHM], list[Any]]


def test_wait_any_is_woken_by_each(many: Many) -> None:
    writers, items = many
    for number, k in enumerate([0, 1, 2, 3, 4, 3, 1], 10):
        writer = threading.Timer(0.02, writers[k].set_data, [stamped(number)])
        writer.start()
        assert wait_any(items, timeout=PATIENCE) == [k]
        writer.join()
        if k == 0:
            assert (items[0].get_data() == number).all()
        elif k > 1:
            assert (items[k].read(1).frames == number).all()


def test_wait_any_tells_of_all_that_are_ready(many: Many) -> None:
    writers, items = many
    for k in (4, 0, 2):
        writers[k].set_data(stamped(2))
    until(lambda: items[4].lag)
    for timeout in (None, 0, 5):
        assert wait_any(items, timeout=timeout) == [0, 2, 4]
    items[0].get_data()
    assert wait_any(items) == [2, 4]
    items[4].skip(1)
    assert wait_any(tuple(items)) == [2]
    items[2].read(1)
    with pytest.raises(StreamTimeoutError):
        wait_any(items, timeout=0)


def test_wait_any_timeout(many: Many) -> None:
    for items in (many[1], *([item] for item in many[1])):
        for timeout in (0, 0.05):
            began = time.monotonic()
            with pytest.raises(StreamTimeoutError, match=f"none of {len(items)} streams") as caught:
                wait_any(items, timeout=timeout)
            assert time.monotonic() - began >= timeout
            assert caught.value.timeout == timeout
            assert isinstance(caught.value, TimeoutError)


def test_wait_any_burns_no_core(many: Many) -> None:
    began, used = time.monotonic(), time.process_time()
    with pytest.raises(StreamTimeoutError):
        wait_any(many[1], timeout=0.7)
    assert time.process_time() - used < 0.4 * (time.monotonic() - began)


def test_wait_any_needs_no_gil_of_others(many: Many) -> None:
    """Another thread computes while one waits."""
    writers, items = many
    turns = 0

    def compute() -> None:
        nonlocal turns
        deadline = time.monotonic() + PATIENCE
        while turns < 200_000 and time.monotonic() < deadline:
            turns += 1
        writers[3].set_data(stamped(2))

    thread = threading.Thread(target=compute)
    thread.start()
    assert wait_any(items, timeout=2 * PATIENCE) == [3]
    thread.join()
    assert turns == 200_000


def test_wait_any_after_frames_that_were_published_before(make: MakeSHM) -> None:
    """An SHM is ready for what it has not read; a Stream waits for what is still to come."""
    writer, reader = create(make, "collector"), make("cam")
    writer.set_data(stamped(2))
    assert wait_any([reader], timeout=0) == [0]
    with Stream.attach("cam") as stream, pytest.raises(StreamTimeoutError):
        wait_any([stream], timeout=0.02)


@pytest.mark.parametrize("k", range(5))
def test_wait_any_of_a_closed_item(many: Many, k: int) -> None:
    items = many[1]
    items[k].close()
    with pytest.raises(StreamClosedError, match=f"'cam{k}'") as caught:
        wait_any(items, timeout=0)
    assert caught.value.stream == f"cam{k}"


@pytest.mark.parametrize("k", range(5))
def test_wait_any_item_is_closed_meanwhile(many: Many, k: int) -> None:
    items = many[1]
    closer = threading.Timer(0.05, items[k].close)
    closer.start()
    with pytest.raises(StreamClosedError):
        wait_any(items, timeout=PATIENCE)
    closer.join()


def test_wait_any_bad_items(many: Many) -> None:
    items = many[1]
    for bad in (
        [],
        (),
        [items[0], items[1], items[0]],
        [items[2], items[2]],
        [items[0], "cam1"],
        [None],
    ):
        with pytest.raises(StreamArgumentError) as caught:
            wait_any(bad, timeout=0)
        assert caught.value.argument == "items"
        assert caught.value.found == bad or caught.value.found in bad
    for timeout in (-1, "soon", math.nan):
        with pytest.raises(StreamArgumentError) as caught:
            wait_any(items, timeout=timeout)
        assert caught.value.argument == "timeout"


def test_wait_any_of_the_same_stream_twice(make: MakeSHM) -> None:
    """Objects are to be different; they may look at one stream."""
    writer = create(make, "fast")
    items = [make("cam"), make("cam"), make("cam").ring_reader(), make("cam").ring_reader()]
    timer = threading.Timer(0.02, writer.set_data, [stamped(2)])
    timer.start()
    assert wait_any(items, timeout=PATIENCE)
    timer.join()
    assert wait_any(items, timeout=0) == [0, 1, 2, 3]


@each_source
def test_wait_any_while_another_thread_waits(make: MakeSHM, source: str) -> None:
    """Each wait has a semaphore of its own: none takes the posts of another one."""
    both = Both(make, source)
    shm = make("cam")
    got: dict[str, Any] = {}

    def wait(name: str, call: Callable[[], Any]) -> threading.Thread:
        thread = threading.Thread(target=lambda: got.update({name: call()}))
        thread.start()
        return thread

    threads = [
        wait("get_data", lambda: shm.get_data(check=True, timeout=PATIENCE)),
        wait("any", lambda: wait_any([shm, both.ring], timeout=PATIENCE)),
        wait("any shm", lambda: wait_any([make("cam")], timeout=PATIENCE)),
    ]
    while any(thread.is_alive() for thread in threads):
        both.feed()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert 2 <= got["get_data"][0, 0] <= both.number
    assert set(got["any"]) <= {0, 1}
    assert got["any shm"] == [0]


def owners() -> list[int]:
    with Stream.attach("cam", writable=False) as stream:
        return stream.section("sem_read_pid").tolist()


# --- the end -----------------------------------------------------------------------------------


def receivers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pymilk-r")]


def test_collector_ends_with_its_reader(make: MakeSHM) -> None:
    shm = create(make, "collector")
    ring = shm.ring_reader(4)
    assert [thread.name for thread in receivers()] == ["pymilk-receiver-cam"]
    ring.close()
    ring.close()
    assert receivers() == []


@each_source
def test_forgotten_reader(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    block = next(both.ring.blocks())
    del both.ring
    gc.collect()
    # A block holds its reader: it can still be asked.
    assert block.intact()
    assert len(receivers()) == (source == "collector")
    frames = block.frames
    del block
    gc.collect()
    assert receivers() == []
    assert frames[:, 0, 0].tolist() == [2, 3, 4]
    until(lambda: not [owner for owner in owners() if owner == os.getpid()])


@each_source
def test_reader_in_a_reference_cycle(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    cycle: list[Any] = [both.ring]
    cycle.append(cycle)
    del both.ring, cycle
    gc.collect()
    assert receivers() == []


@each_source
def test_close_with_the_shm(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.shm.close()
    assert both.ring.closed
    assert receivers() == []
    with pytest.raises(StreamClosedError):
        both.ring.read(1)


@each_source
@pytest.mark.parametrize("how", ["blocks", "read", "idle", "ablocks", "thread"])
def test_exit_with_an_open_ring(
    make: MakeSHM, spawn: Callable[..., Child], source: str, how: str
) -> None:
    shm = create(make, source)
    code = """
import sys, threading
from pymilk import SHM
source, how = sys.argv[1:]
shm = SHM("cam")
ring = shm.ring_reader(7, start="newest")
assert ring.source == source
if how == "blocks":
    blocks = ring.blocks()
    block = next(blocks)
elif how == "read":
    ring.read(1)
elif how == "ablocks":
    import asyncio
    async def main():
        ring.read(1)
        try:
            await asyncio.wait_for(anext(ring.ablocks(timeout=None)), 0.05)
        except asyncio.TimeoutError:
            pass
    asyncio.run(main())
elif how == "thread":
    def wait():
        ring.read(1)
        started.set()
        ring.read(1, timeout=None)
    started = threading.Event()
    threading.Thread(target=wait, daemon=True).start()
    started.wait()
print("done")
"""
    assert spawn(code, source, how).finish() == (0, "done\n", "")
    # Its semaphores can be had again.
    shm.set_data(stamped(2))
    assert shm.semID is not None


FORK = """
import os, sys, time, warnings
import numpy as np
from pymilk import SHM
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12
shm = SHM("cam")
ring = shm.ring_reader(7)
assert ring.source == sys.argv[1]
shm.set_data(np.full((3, 4), 2, np.uint32))
assert ring.read(1).frames[0, 0, 0] == 2
child = os.fork()
if child == 0:
    # The thread stays with the parent. Nothing hangs, and a new reader works.
    code = 1
    try:
        ring.close()
        with SHM("cam") as other, other.ring_reader(7) as own:
            shm.set_data(np.full((3, 4), 3, np.uint32))
            code = 0 if own.read(1, timeout=30).frames[0, 0, 0] == 3 else 2
    finally:
        os._exit(code)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert ring.read(1, timeout=30).frames[0, 0, 0] == 3
shm.set_data(np.full((3, 4), 4, np.uint32))
assert ring.read(1, timeout=30).frames[0, 0, 0] == 4
assert ring.lost == 0
ring.close()
print("alive")
"""


@each_source
def test_fork_with_an_open_ring(make: MakeSHM, spawn: Spawn, source: str) -> None:
    create(make, source)
    assert spawn(FORK, source).finish() == (0, "alive\n", "")


# --- writing rings: the bytes ------------------------------------------------------------------


def content(shm: SHM) -> fmt.StreamFile:
    return fmt.decode(Path(shm.FILEPATH).read_bytes())


def in_ns(time: tuple[int, int]) -> int:
    return time[0] * 1_000_000_000 + time[1]


def test_bytes_of_a_fast_ring(make: MakeSHM) -> None:
    """Every ISIO program sees a plain stream, whose first frame is in slot 1."""
    shm = make("cam", stamped(1), ring=5)
    file = content(shm)
    assert (file.naxis, tuple(file.size[:2]), file.CBsize) == (2, SHAPE[::-1], 5)
    assert file.imagetype == IMAGETYPES["MATH_DATA"]
    assert (file.CBindex, file.CBcycle, file.cnt0) == (1, 0, 1)
    assert file.ring_slots[0] == bytes(4 * 12)
    for number in range(2, 13):
        shm.set_data(stamped(number))
        file = content(shm)
        assert (file.cnt0, file.CBindex, file.CBcycle) == (number, number % 5, number // 5)
        for k in range(max(1, number - 4), number + 1):
            assert file.ring_slots[k % 5] == stamped(k).tobytes()
            record = file.ring_records[k % 5]
            assert (record["cnt0"], record["cnt1"]) == (k, k % 5)
        assert (record["atime"], record["writetime"]) == (file.atime, file.writetime)
        assert in_ns(file.writetime) > 0
        assert file.pixels == stamped(number).tobytes()


def test_bytes_of_a_temporal_ring(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=5, ring_kind="temporal")
    file = content(shm)
    assert (file.naxis, tuple(file.size)) == (3, (4, 3, 5))
    assert file.imagetype == IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"] == 0x20001
    assert (file.CBsize, file.cnt0, file.cnt1) == (0, 1, 1)
    assert file.cntarray == [0, 1, 0, 0, 0]
    times = {1: file.writetime}
    for number in range(2, 13):
        shm.set_data(stamped(number))
        file = content(shm)
        times[number] = file.writetime
        assert (file.cnt0, file.cnt1) == (number, number % 5)
        cube = np.frombuffer(file.pixels, DTYPE).reshape(5, *SHAPE)
        for k in range(max(1, number - 4), number + 1):
            assert (cube[k % 5] == k).all()
            assert file.cntarray[k % 5] == k
            assert file.writetimearray[k % 5] == file.atimearray[k % 5] == times[k]


def test_shape_of_temporal_rings(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=5, ring_kind="temporal")
    for item in (shm, make("cam")):
        assert (item.shape, item.nDim, item.nptype) == (SHAPE, 2, DTYPE)
        assert item.shape_c == (4, 3, 5)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_ring_from_a_shape(make: MakeSHM, kind: str) -> None:
    shm = make("cam", (SHAPE, DTYPE), ring=3, ring_kind=kind)
    assert shm.get_counter() == 1
    assert shm.get_data().tolist() == np.zeros(SHAPE).tolist()
    assert shm.get_data().shape == SHAPE


def test_get_data_of_a_temporal_ring(make: MakeSHM) -> None:
    """The newest slice by default, the whole cube in the order of the file on request."""
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    other = make("cam")
    for number in range(2, 11):
        shm.set_data(stamped(number))
        for item in (shm, other):
            for copied in (True, False):
                frame = item.get_data(copy=copied)
                assert frame.shape == SHAPE
                assert (frame == number).all()
                assert np.shares_memory(frame, item.get_data(copy=False)) != copied
                cube = item.get_data(copy=copied, cube=True)
                assert cube.shape == (4, *SHAPE)
                assert cube[number % 4, 0, 0] == number
                assert np.shares_memory(cube, item.get_data(copy=False)) != copied
    assert sorted(cube[:, 0, 0].tolist()) == [7, 8, 9, 10]
    # Plain streams have nothing else to give.
    plain = make("plain", stamped(5))
    assert plain.get_data(cube=True).shape == SHAPE


@pytest.mark.parametrize("symcode", range(8))
def test_cube_is_oriented_as_its_frames(make: MakeSHM, symcode: int) -> None:
    frame = np.arange(12, dtype=DTYPE).reshape(SHAPE)
    shm = make("cam", frame, ring=3, ring_kind="temporal", symcode=symcode)
    np.testing.assert_array_equal(shm.get_data(), frame)
    np.testing.assert_array_equal(shm.get_data(copy=False), frame)
    np.testing.assert_array_equal(shm.get_data(cube=True)[1], frame)


def test_waiting_for_a_slice(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    reader = make("cam")
    writer = threading.Timer(0.02, shm.set_data, [stamped(2)])
    writer.start()
    assert (reader.get_data(check=True, timeout=PATIENCE) == 2).all()
    writer.join()


# --- claim -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
@pytest.mark.parametrize("symcode", [0, 2, 4, 5])
def test_claim(make: MakeSHM, kind: str, symcode: int) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", ((3, 4), DTYPE), symcode=symcode, **options)
    for number in range(2, 8):
        frame = np.arange(12, dtype=DTYPE).reshape(SHAPE) + 100 * number
        with shm.claim(atime_ns=number) as pixels:
            assert pixels.shape == SHAPE
            pixels[:] = frame
            assert shm.get_counter() == number - 1
        assert shm.get_counter() == number
        np.testing.assert_array_equal(shm.get_data(), frame)
        file = content(shm)
        assert in_ns(file.atime) == number
        if kind == "temporal":
            assert (file.cnt1, file.cntarray[number % 4]) == (number % 4, number)
            assert in_ns(file.atimearray[number % 4]) == number
            assert np.shares_memory(pixels, shm.get_data(cube=True, copy=False)[number % 4])
        elif kind == "fast":
            assert file.ring_slots[number % 4] == file.pixels
            assert in_ns(file.ring_records[number % 4]["atime"]) == number


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_exception_abandons_a_claim(make: MakeSHM, kind: str) -> None:
    both = Both(make, kind)
    before = content(both.shm)
    with pytest.raises(ZeroDivisionError), both.shm.claim() as pixels:  # noqa: PT012
        pixels[:] = 99
        raise ZeroDivisionError
    after = content(both.shm)
    for field in (
        "cnt0",
        "cnt1",
        "CBindex",
        "CBcycle",
        "cntarray",
        "ring_slots",
        "ring_records",
        "write",
    ):
        assert getattr(after, field) == getattr(before, field)
    assert both.ring.lag == 0
    if kind == "temporal":
        assert (both.shm.get_data() == 1).all()  # only the next slice was touched
    both.feed(2)
    assert numbers_of(both.ring.read(2)) == [2, 3]


def test_claims_do_not_nest(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    with shm.claim() as pixels:
        pixels[:] = 2
        with pytest.raises(StreamBusyError) as caught, shm.claim():
            pass
        assert caught.value.stream == "cam"
        with pytest.raises(StreamBusyError):
            shm.set_data(stamped(3))
        with pytest.raises(StreamBusyError):
            shm.set_many(stamped(3)[None])
    assert (shm.get_data() == 2).all()


# --- set_many ----------------------------------------------------------------------------------


@each_source
def test_set_many(make: MakeSHM, source: str) -> None:
    both = Both(make, source, capacity=20)
    frames = np.stack([stamped(number) for number in range(2, 12)])
    assert both.shm.set_many(frames) == both.shm.get_counter() == 11
    both.number = 11
    if source == "collector":
        # As fast as possible: some may be gone before they could be copied, and count as lost.
        both.settle()
        numbers = numbers_of(both.ring.read(both.ring.lag))
        assert numbers[-1] == 11
        assert account(both.ring) == (len(numbers), 10 - len(numbers), 0)
    else:
        assert numbers_of(both.ring.read(10, timeout=0)) == list(range(2, 12))
    assert (both.shm.get_data() == 11).all()


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_with_times(make: MakeSHM, kind: str) -> None:
    options = {} if kind == "plain" else {"ring": 6, "ring_kind": kind}
    shm = make("cam", stamped(1), **options)
    for times in (
        np.array([11, 12, 13]),
        [21, 22, 23],
        np.array([31, 32, 33], np.uint32),
        np.array([41, 0, 42, 0, 43], np.int64)[::2],
    ):
        counter = shm.set_many([stamped(2), stamped(3), stamped(4)], times)
        file = content(shm)
        assert in_ns(file.atime) == times[-1]
        for back, expected in zip((2, 1, 0), times, strict=True):
            slot = (counter - back) % 6
            if kind == "fast":
                assert in_ns(file.ring_records[slot]["atime"]) == expected
                assert in_ns(file.ring_records[slot]["writetime"]) > 10**18
            elif kind == "temporal":
                assert in_ns(file.atimearray[slot]) == expected
                assert in_ns(file.writetimearray[slot]) > 10**18


@each_source
def test_set_many_at_a_rate(make: MakeSHM, source: str) -> None:
    both = Both(make, source, capacity=20)
    began = time.monotonic()
    both.shm.set_many(np.stack([stamped(number) for number in range(2, 12)]), rate=200)
    # Frames are never early: 9 intervals lie between 10 of them.
    assert time.monotonic() - began >= 9 / 200
    both.number = 11
    both.settle()
    capture = both.ring.dump()
    assert numbers_of(capture)[-1] == 11
    assert (np.diff(capture.info["writetime_ns"].astype(np.int64)) > 0).all()


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_turns_frames(make: MakeSHM, kind: str, symcode: int) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", (SHAPE, DTYPE), symcode=symcode, **options)
    frames = np.arange(36, dtype=DTYPE).reshape(3, *SHAPE)
    for given_frames in (
        frames,
        np.asfortranarray(frames),
        frames[::-1],
        frames.tolist(),
        frames.astype(">u4"),
    ):
        shm.set_many(given_frames)
        np.testing.assert_array_equal(shm.get_data(), np.asarray(given_frames)[-1])


def test_set_many_of_other_shapes(make: MakeSHM) -> None:
    line = make("line", (5, np.float32), ring=3)
    assert line.set_many(np.arange(10, dtype=np.float32).reshape(2, 5)) == 3
    assert line.get_data().tolist() == [5, 6, 7, 8, 9]
    cube = make("cube", ((2, 3, 4), np.int16), ring=3)
    assert cube.set_many(np.arange(48, dtype=np.int16).reshape(2, 2, 3, 4)) == 3
    assert cube.get_data().ravel().tolist() == list(range(24, 48))


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_that_does_not_fit(make: MakeSHM, kind: str) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", stamped(1), **options)
    before = Path(shm.FILEPATH).read_bytes()
    fits = np.zeros((2, *SHAPE), DTYPE)
    for frames, field in (
        (fits[0], "shape"),
        (fits[:0], "shape"),
        (np.zeros((2, 4, 3), DTYPE), "shape"),
        (np.zeros((2, 1, *SHAPE), DTYPE), "shape"),
        (5, "shape"),
        (fits.astype(np.float32), "dtype"),
        ((fits - 1.5).tolist(), "dtype"),
        (["text"], "dtype"),
        (None, "dtype"),
    ):
        with pytest.raises(FrameMismatchError, match="'cam'") as caught:
            shm.set_many(frames)
        error = caught.value
        assert (error.stream, error.field) == ("cam", field)
        assert error.expected == (SHAPE if field == "shape" else DTYPE)
    for rate in (0, -1, "fast", math.nan, math.inf, 1e10):
        with pytest.raises(StreamArgumentError, match="frames per second") as argument:
            shm.set_many(fits, rate=rate)
        assert argument.value.argument == "rate"
        assert argument.value.found is rate
    for atimes in ([1], [1, 2, 3], [1.5, 2.5], 7, "now", [[1, 2]], [None, None]):
        with pytest.raises(StreamArgumentError, match="2 integer nanoseconds") as argument:
            shm.set_many(fits, atimes)
        assert argument.value.argument == "atimes"
        assert argument.value.found is atimes
    assert Path(shm.FILEPATH).read_bytes() == before


def test_writing_into_a_replaced_file(make: MakeSHM) -> None:
    old = make("cam", stamped(1), ring=4)
    new = make("cam", stamped(1), ring=8)
    frames = np.stack([stamped(2), stamped(3)])
    with pytest.raises(StreamReplacedError, match="autorelink_if_need"):
        old.set_many(frames)
    with pytest.raises(StreamReplacedError), old.claim():
        pass
    assert new.get_counter() == 1
    assert old.set_many(frames, autorelink_if_need=True) == 3
    with old.claim(autorelink_if_need=True) as pixels:
        pixels[:] = 4
    assert (new.get_data() == 4).all()


# --- captures of rings -------------------------------------------------------------------------


@shared_sources
def test_capture_in_the_background(make: MakeSHM, source: str) -> None:
    """The ring keeps what comes while the receiver is not looking."""
    shm = create(make, source, capacity=40)
    capture = make("cam").capture(30, background=True)
    shm.set_many(np.stack([stamped(number) for number in range(2, 32)]))
    capture.join()
    assert numbers_of(capture) == list(range(2, 32))
    assert (capture.report.received, capture.report.lost) == (30, 0)
    assert (capture.info["flags"] == FLAG_VERIFIED | FLAG_FROM_RING).all()
    assert capture.info["cnt1"].tolist() == [number % 41 for number in range(2, 32)]


@each_source
@pytest.mark.parametrize("how", ["capture", "list", "cube"])
def test_capture(make: MakeSHM, source: str, how: str) -> None:
    shm = create(make, source, capacity=100)
    reader = make("cam")
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count(2):
            if stop.wait(0.0005):
                return
            shm.set_data(stamped(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        if how == "capture":
            capture = reader.capture(30, timeout=PATIENCE)
            got = capture.frames
        else:
            got = reader.multi_recv_data(30, how == "cube", timeout=PATIENCE)
    finally:
        stop.set()
        writer.join()
    assert isinstance(got, list) == (how == "list")
    assert len(got) == 30
    assert all(frame.shape == SHAPE and (frame == frame[0, 0]).all() for frame in got)
    values = [int(frame[0, 0]) for frame in got]
    assert values == sorted(set(values))
    if source != "collector":
        assert values == list(range(values[0], values[0] + 30))
    if how == "capture":
        assert numbers_of(capture) == values
        assert capture.info["lost"][1:].tolist() == (np.diff(values) - 1).tolist()


@shared_sources
def test_receive_from_a_ring(make: MakeSHM, source: str) -> None:
    """Frames published between two receives are in the ring, and not lost."""
    shm = create(make, source)
    with Stream.attach("cam") as stream:
        assert stream.frame_shape == SHAPE
        out, info = np.zeros((3, *SHAPE), DTYPE), np.zeros(3, FRAME_ROW)
        reader = stream.reader()
        after = reader.arm()
        for first in (2, 5, 8):
            for number in range(first, first + 3):
                shm.set_data(stamped(number))
            assert reader.receive(out, info, after=after, timeout=0) == 3
            after = reader.last
            assert out[:, 0, 0].tolist() == [first, first + 1, first + 2]
            assert info["cnt0"].tolist() == [first, first + 1, first + 2]
            assert info["lost"].tolist() == [0, 0, 0]
            assert info["flags"].tolist() == [FLAG_VERIFIED | FLAG_FROM_RING] * 3
        # More than the ring keeps: the oldest are lost.
        for number in range(11, 31):
            shm.set_data(stamped(number))
        assert reader.receive(out, info, after=after, timeout=0) == 3
        oldest = 30 - CAPACITY + 1
        assert info["cnt0"].tolist() == [oldest, oldest + 1, oldest + 2]
        assert info["lost"].tolist() == [oldest - 11, 0, 0]


def test_receive_where_the_writer_leaves_the_ring_out(make: MakeSHM) -> None:
    """The newest frame is delivered, in the ring or not, as from a plain stream."""
    with Stream.create("cam", SHAPE, DTYPE, cb_size=4) as stream:
        reader = stream.reader()
        after = reader.arm()
        path = Path(stream.path)
        stream.view(writable=True)[...] = 7
        with path.open("r+b") as file:
            data = bytearray(path.read_bytes())
            fmt.patch(data, "cnt0", 1)
            file.write(data)
        out, info = np.zeros((1, *SHAPE), DTYPE), np.zeros(1, FRAME_ROW)
        assert reader.receive(out, info, after=after, timeout=0.2) == 1
        assert (out == 7).all()
        assert (info["cnt0"][0], info["lost"][0], info["flags"][0]) == (1, 0, FLAG_VERIFIED)


# --- bad input ---------------------------------------------------------------------------------


def refused(argument: str, found: Any, call: Callable[[], object]) -> StreamArgumentError:
    with pytest.raises(StreamArgumentError) as caught:
        call()
    error = caught.value
    assert type(error) is StreamArgumentError
    assert isinstance(error, ValueError)
    assert error.argument == argument
    assert error.found is found or error.found == found
    assert argument in str(error)
    return error


@each_source
@pytest.mark.parametrize("depth", [0, -1, 1.5, "x", 2**62, math.nan, [4]])
def test_bad_depth(make: MakeSHM, source: str, depth: Any) -> None:
    shm = create(make, source)
    error = refused("depth", depth, lambda: shm.ring_reader(depth))
    assert repr(depth) in str(error)
    assert receivers() == []


@pytest.mark.parametrize("depth", [2**40, 2**61, 2**62 - 1])
def test_depth_too_large_for_memory(make: MakeSHM, depth: int) -> None:
    shm = create(make, "collector")
    for call in (lambda: shm.ring_reader(depth), lambda: RingReader("cam", depth=depth)):
        with pytest.raises(CaptureMemoryError, match="'cam'") as caught:
            call()
        error = caught.value
        assert isinstance(error, MemoryError)
        assert error.stream == "cam"
        assert error.needed >= depth * 48
        assert 0 < error.available < error.needed
        for number in (depth, error.needed, error.available, error.available // 96):
            assert str(number) in str(error)
    assert receivers() == []


@each_source
@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (argument, found)
        for argument in ("policy", "start", "on_lost", "source", "wait")
        for found in ("", "all", "EVERY", None, 1, ["every"])
    ],
)
def test_bad_choice(make: MakeSHM, source: str, argument: str, found: Any) -> None:
    shm = create(make, source)
    error = refused(argument, found, lambda: shm.ring_reader(**{argument: found}))
    assert repr(found) in str(error)
    refused(argument, found, lambda: RingReader("cam", **{argument: found}))
    assert receivers() == []


@each_source
@pytest.mark.parametrize("cpu", [-1, 4096, "0", 1.5])
def test_bad_cpu(make: MakeSHM, source: str, cpu: Any) -> None:
    shm = create(make, source)
    error = refused("cpu", cpu, lambda: shm.ring_reader(4, source="collector", cpu=cpu))
    assert str(sorted(os.sched_getaffinity(0))) in str(error)
    assert receivers() == []


@each_source
@pytest.mark.parametrize("priority", [0, -1, 100, "high", 1.5])
def test_bad_priority(make: MakeSHM, source: str, priority: Any) -> None:
    shm = create(make, source)
    refused("priority", priority, lambda: shm.ring_reader(4, source="collector", priority=priority))
    assert receivers() == []


def test_cpu_of_the_collector(make: MakeSHM) -> None:
    shm = create(make, "collector")
    cpu = max(os.sched_getaffinity(0))
    with shm.ring_reader(4, cpu=cpu):
        (thread,) = receivers()
        assert os.sched_getaffinity(thread.native_id) == {cpu}
    assert cpu in os.sched_getaffinity(0)


def test_priority_that_is_not_permitted(make: MakeSHM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def refuse(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append((pid, policy, param.sched_priority))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    shm = create(make, "collector")
    for call in (
        lambda: shm.ring_reader(4, priority=20),
        lambda: RingReader("cam", depth=4, priority=20),
    ):
        with pytest.warns(SchedulingWarning, match=r"SCHED_FIFO priority 20.*ulimit -r") as caught:
            ring = call()
        assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
        # It runs all the same.
        with ring:
            shm.set_data(stamped(2))
            assert len(ring.read(1, timeout=PATIENCE).frames) == 1
    assert asked == [(0, os.SCHED_FIFO, 20)] * 2


def test_priority_that_is_permitted(make: MakeSHM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, policy, param: asked.append(param.sched_priority)
    )
    shm = create(make, "collector")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with shm.ring_reader(4, priority=1):
            pass
    assert (asked, caught) == ([1], [])


def test_scheduling_warning_that_is_an_error(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps running if the warning is turned into an exception."""

    def refuse(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    shm = create(make, "collector")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchedulingWarning):
            shm.ring_reader(4, priority=1)
    assert receivers() == []


@pytest.mark.parametrize("ring", [0, -1, 2**32, 1.5, "8", [8]])
def test_bad_ring(make: MakeSHM, shm_dir: Path, ring: Any) -> None:
    for kind in ("fast", "temporal"):
        error = refused(
            "ring", ring, lambda kind=kind: make("cam", stamped(1), ring=ring, ring_kind=kind)
        )
        assert (error.stream, repr(ring) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("kind", ["", "slow", None, 1])
def test_bad_ring_kind(make: MakeSHM, shm_dir: Path, kind: Any) -> None:
    for ring in (None, 8):
        error = refused(
            "ring_kind", kind, lambda ring=ring: make("cam", stamped(1), ring=ring, ring_kind=kind)
        )
        assert (error.stream, repr(kind) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


def test_ring_of_an_attached_stream(make: MakeSHM) -> None:
    create(make, "fast")
    error = refused("ring", 8, lambda: make("cam", ring=8))
    assert "attached, not created" in str(error)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_temporal_ring_of_other_frames(
    make: MakeSHM, shm_dir: Path, shape: tuple[int, ...]
) -> None:
    for data in ((shape, DTYPE), np.zeros(shape, DTYPE)):
        error = refused(
            "ring_kind",
            "temporal",
            lambda data=data: make("cam", data, ring=4, ring_kind="temporal"),
        )
        assert (error.stream, str(shape) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


@each_source
def test_bad_numbers_of_frames(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    ring = both.ring
    for argument, least, call in (
        ("n", 1, lambda n: ring.read(n)),
        ("max_frames", 1, lambda n: next(ring.blocks(max_frames=n))),
        ("max_frames", 1, lambda n: asyncio.run(anext(ring.ablocks(max_frames=n)))),
        ("k", 1, lambda n: ring.peek(n)),
        ("k", 0, lambda n: ring.skip(n)),
        ("k", 0, lambda n: ring.rewind(n)),
        ("frames", 0, lambda n: ring.dump(frames=n)),
    ):
        for found in (least - 1, -(2**70), 1.5, "2", [2]):
            error = refused(argument, found, lambda call=call, found=found: call(found))
            assert error.stream == "cam"
            assert repr(found) in str(error)
            assert f"{least} or more" in str(error)
    assert (ring.lag, account(ring)) == (2, (0, 0, 0))
    # Whatever counts as an integer is one.
    assert numbers_of(ring.read(np.int64(1))) == [2]


@each_source
def test_bad_timeouts(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed()
    for timeout in (-1, -0.001, math.nan, "soon", [1]):
        for call in (
            lambda timeout=timeout: next(both.ring.blocks(timeout=timeout)),
            lambda timeout=timeout: both.ring.read(1, timeout=timeout),
            lambda timeout=timeout: asyncio.run(anext(both.ring.ablocks(timeout=timeout))),
        ):
            assert refused("timeout", timeout, call).stream == "cam"
    assert both.ring.lag == 1


@each_source
def test_bad_dump(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    error = refused("seconds", 1.0, lambda: both.ring.dump(seconds=1.0, frames=2))
    assert (error.stream, "not both" in str(error)) == ("cam", True)
    for seconds in (-1, math.nan, "soon", [1]):
        with pytest.raises(StreamArgumentError) as caught:
            both.ring.dump(seconds=seconds)
        assert caught.value.stream == "cam"
        assert caught.value.found is seconds


@each_source
def test_read_of_too_many_frames(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    with pytest.raises(CaptureMemoryError) as caught:
        both.ring.read(2**50)
    assert caught.value.needed >= 2**50 * 48
    assert 0 < caught.value.available < caught.value.needed
    both.feed()
    assert numbers_of(both.ring.read(1)) == [2]


@each_source
def test_reader_after_close(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    ring = both.ring
    waiting = ring.blocks()
    block = next(waiting)
    empty = ring.peek(1)
    ring.close()
    uses: dict[str, Callable[[], object]] = {
        "blocks": lambda: next(ring.blocks()),
        "the same blocks": lambda: next(waiting),
        "ablocks": lambda: asyncio.run(anext(ring.ablocks())),
        "read": lambda: ring.read(1),
        "peek": lambda: ring.peek(1),
        "latest": lambda: ring.latest(),
        "skip": lambda: ring.skip(1),
        "rewind": lambda: ring.rewind(1),
        "dump": lambda: ring.dump(),
        "fileno": lambda: ring.fileno(),
        "with": lambda: ring.__enter__(),
        "wait_any": lambda: wait_any([ring], timeout=0),
        "intact": lambda: block.intact(),
        "overwritten": lambda: block.overwritten,
        "empty": lambda: empty.intact(),
    }
    for name, use in uses.items():
        with pytest.raises(StreamClosedError) as caught:
            use()
        assert type(caught.value) is StreamClosedError, name
        assert caught.value.stream == "cam"
        assert isinstance(caught.value, ValueError)
        assert "closed" in str(caught.value)
    with pytest.raises(StreamClosedError, match="frames 2 to 3"):
        block.intact()
    public = {name for name in dir(RingReader) if not name.startswith("_")}
    state = {"close", "closed", "depth", "lag", "level", "lost", "report", "source", "stream"}
    assert public - set(uses) == state
    # What it did can still be asked.
    assert (ring.closed, ring.source, account(ring)) == (True, source, (2, 0, 0))
    for name in state - {"close"}:
        getattr(ring, name)
    assert numbers_of(block) == [2, 3]
    ring.close()


def test_stream_on_a_gpu(make_stream: Callable[..., Stream]) -> None:
    stream = make_stream("gpu", SHAPE, DTYPE, location=0)
    for call in (lambda: RingReader(stream, depth=4), lambda: RingReader("gpu", depth=4)):
        with pytest.raises(StreamFormatError, match="pixels are on GPU 0") as caught:
            call()
        error = caught.value
        assert (error.stream, error.field, error.expected, error.found) == (
            "gpu",
            "location",
            -1,
            0,
        )
    assert receivers() == []


def test_stream_that_does_not_exist() -> None:
    with pytest.raises(StreamNotFoundError):
        RingReader("missing")


def test_public_names() -> None:
    for name in ("Block", "RingReader", "RingReport", "wait_any"):
        assert name in pymilk.__all__
        assert getattr(pymilk, name).__doc__


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_in_front_of_lost_ones_come_with_the_error(kind: str) -> None:
    """Read, and then an error: the frames are consumed, so the error has to bring them."""
    with SHM("lossy", ((2, 3), np.uint32), ring=8, ring_kind=kind) as shm:
        with shm.ring_reader(on_lost="raise") as ring:
            shm.set_many(np.full((3, 2, 3), 5, np.uint32))
            stream = shm._stream
            assert stream is not None
            # A gap in the numbers, as a relay leaves it for frames that it lost.
            md = np.memmap(shm.FILEPATH, np.uint64, "r+", 264, (1,))
            md[0] += 4
            shm.set_many(np.full((2, 2, 3), 6, np.uint32))
            with pytest.raises(FrameLostError) as caught:
                ring.read(5, timeout=0)
            assert caught.value.capture.info["cnt0"].tolist() == [2, 3, 4]
            assert (caught.value.seq, caught.value.lost, caught.value.oldest) == (5, 4, 9)
            assert ring.read(2, timeout=0).info["cnt0"].tolist() == [9, 10]
            assert ring.lost == 4
        shm.destroy()
