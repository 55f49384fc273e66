"""Moving in a ring: peek, latest, skip, rewind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymilk import SHM, Block
from pymilk.errors import StreamTimeoutError
from support.rings import CAPACITY, SHAPE, Both, account, each_source, numbers_of

MakeSHM = Callable[..., SHM]


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
                numbers = numbers_of(next(ring.blocks(frames=count + 1, timeout=0)))
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
