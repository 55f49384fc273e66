"""Policies, starts and losses of a ring reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pymilk import SHM, Stream
from pymilk._core import FLAG_FROM_RING
from pymilk.errors import FrameLostError
from support import isio_format as fmt
from support.rings import (
    CAPACITY,
    DTYPE,
    SHAPE,
    Both,
    account,
    create,
    each_source,
    numbers_of,
    shared_sources,
    stamped,
)
from support.waiting import until

MakeSHM = Callable[..., SHM]


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
