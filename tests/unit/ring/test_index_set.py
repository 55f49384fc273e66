"""Another program sets the index of a ring back, and the writer fills slots that a reader still has."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from support.isio_format import OFFSETS
from support.rings import MakeSHM, create, stamped

DEPTH = 4


class Misled:
    """A writer of a ring whose index is set by another program."""

    def __init__(self, make: MakeSHM, kind: str, stores: bool) -> None:
        self.shm: SHM = create(make, kind, DEPTH - 1)
        self.number = 1
        stream = self.shm.live_source()[0]
        raw = np.memmap(stream.path, np.uint8, "r+")
        place = OFFSETS["default"]
        name, nbytes = ("CBindex", 4) if kind == "fast" else ("cnt1", 8)
        self.index = raw[place[name] : place[name] + nbytes].view(f"<u{nbytes}")
        self.counter = raw[place["cnt0"] : place["cnt0"] + 8].view("<u8")
        if kind == "fast":
            self.numbers = stream.section("ring_records", writable=True)["cnt0"]
        else:
            self.numbers = stream.section("slice_cnt0", writable=True)
        self.stores = stores

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.shm.set_data(stamped(self.number))
            if not self.stores:  # as other writers leave it
                self.numbers[:] = 0


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize("lead", range(1, 2 * DEPTH))
@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_that_were_overwritten_out_of_turn_are_not_intact(
    make: MakeSHM, kind: str, lead: int, stores: bool
) -> None:
    for back in range(1, DEPTH):
        for more in range(1, 2 * DEPTH + 1):
            writer = Misled(make, kind, stores)
            with writer.shm, writer.shm.ring_reader() as ring:
                writer.publish(lead)
                block = ring.peek(DEPTH)
                kept = block.frames.copy()
                assert block.intact()
                writer.index[0] = (int(writer.index[0]) - back) % DEPTH
                writer.publish(more)  # the reader does not look meanwhile
                gone = block.overwritten
                np.testing.assert_array_equal(block.frames[gone:], kept[gone:], str((back, more)))
                writer.shm.destroy()


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_stay_intact_where_only_the_counter_is_set(make: MakeSHM, kind: str) -> None:
    """The numbers that the writer stores with the slots tell it from an index that was set."""
    writer = Misled(make, kind, True)
    with writer.shm.ring_reader() as ring:
        writer.publish(2)
        block = ring.peek(DEPTH)
        writer.counter[0] += 1000
        assert (len(block), block.overwritten) == (2, 0)
        writer.publish(1)
        assert block.overwritten == 0
