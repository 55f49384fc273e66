"""A writer and a ring reader in one thread, over all three kinds of rings."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, RingReader
from pymilk.errors import StreamBusyError, StreamTimeoutError
from support.waiting import until

SOURCES = ("fast", "temporal", "collector")
SHAPE = (3, 4)
DTYPE = np.uint32

#: Readable frames of each ring here: all slots but one, or what a collector keeps.
CAPACITY = 7
MakeSHM = Callable[..., SHM]


def stamped(number: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A frame with its number in every pixel."""
    return np.full(shape, number, DTYPE)


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
            again = next(self.ring.blocks(frames=1000, timeout=0))
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


# --- waiting -----------------------------------------------------------------------------------


def is_busy(ring: RingReader) -> bool:
    try:
        ring.peek(1)
    except StreamBusyError:
        return True
    return False


# --- the end -----------------------------------------------------------------------------------


def receivers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pymilk-r")]
