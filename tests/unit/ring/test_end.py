"""The end of a ring reader."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest

from pymilk import SHM, Stream
from pymilk.errors import StreamClosedError
from support.rings import Both, create, each_source, receivers
from support.waiting import until

MakeSHM = Callable[..., SHM]


# --- wait_any ----------------------------------------------------------------------------------


def owners() -> list[int]:
    with Stream.attach("cam", writable=False) as stream:
        return stream.section("sem_read_pid").tolist()


# --- the end -----------------------------------------------------------------------------------


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
