"""Ring readers at each phase of the ring and at each step of its writer."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest

from pymilk import RingReader
from pymilk.errors import StreamTimeoutError
from support.ring_writers import MODES, Writer, check_block, drain

# -- the writers --------------------------------------------------------------------------------------

FAST_STEPS = ["open", "fill", "half", "copy", "cycle", "index", "stamp", "count", "close", "post"]
TEMPORAL_STEPS = ["open", "half", "fill", "record", "index", "stamp", "count", "close", "post"]


# -- each phase and each step -------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_each_phase_of_the_wrap(make_ring, mode, depth):
    """Readers that began at any frame, seen after any number of further ones."""
    writer = make_ring(mode, depth)
    with contextlib.ExitStack() as stack:
        writer.publish()  # a ring that was never filled is not read
        follower = stack.enter_context(RingReader("cam"))
        readers: list[tuple[int, RingReader]] = []
        for number in range(2, 3 * depth + 2):
            readers.append((number, stack.enter_context(RingReader("cam"))))
            assert writer.publish() == number
            rows, values = drain(follower)
            assert (rows["cnt0"].tolist(), rows["lost"].tolist()) == ([number], [0])
            assert values.tolist() == [number]
            oldest = max(1, number + 2 - depth)
            for first, reader in readers:
                begin = max(first, oldest)
                assert reader.lag == number + 1 - begin
                block = reader.peek(512)
                assert check_block(block) == len(block) >= 1
                assert block.info["cnt0"].tolist() == list(range(begin, begin + len(block)))
                assert block.info["lost"].tolist() == [begin - first] + [0] * (len(block) - 1)
            if mode == "temporal-before" and oldest == 1:
                oldest = 2  # the first frame has count 0 stored, as if its slice were not filled
            for start, begin in (("oldest", oldest), ("newest", number), ("next", number + 1)):
                with RingReader("cam", start=start) as reader:
                    rows, values = drain(reader)
                    assert rows["cnt0"].tolist() == values.tolist() == list(range(begin, number + 1))
                    assert rows["lost"].tolist() == [0] * len(rows)


def look_at_each_step(writer: Writer, mode: str, depth: int, moments: list[float]) -> None:
    """Step through frames, and look between any two steps; notes when each step was begun."""
    steps = TEMPORAL_STEPS if mode.startswith("temporal") else FAST_STEPS
    with contextlib.ExitStack() as stack:
        writer.publish()
        follower = stack.enter_context(RingReader("cam"))
        slow = stack.enter_context(RingReader("cam", start="oldest"))
        held = [next(slow.blocks(1, timeout=0))]
        taken: list[int] = [1]
        for number in range(2, 2 * depth + 3):
            for step in steps:
                moments.append(time.monotonic())
                writer.step(step)
                for block in held:
                    # Untouched until the writer begins to fill the same slot.
                    gone = number - int(block.info["cnt0"][0]) >= depth
                    touched = step not in (["open"] if steps is TEMPORAL_STEPS else ["open", "fill"])
                    if gone and touched:
                        assert not block.intact()
                    check_block(block)
                try:
                    check_block(slow.latest(block=True))
                except StreamTimeoutError:
                    # The one frame that two slots keep is not counted yet.
                    assert depth == 2
                    assert step in ("index", "stamp")
                check_block(slow.peek(512))
                rows, values = drain(follower)
                assert rows["cnt0"].tolist() == values.tolist()
                assert rows["lost"].tolist() == [0] * len(rows)
                taken += values.tolist()
            assert taken == list(range(1, number + 1))
            held.append(next(slow.blocks(1, timeout=0)))
        # A frame is called whole for as long as it is certain, not less.
        assert [block.intact() for block in held[-(depth - 1) :]] == [True] * (depth - 1)


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_each_step_of_the_writer(make_ring, shm_dir, mode, depth):
    """Whatever the writer is in the middle of: what is called intact is right, and comes once."""
    for _ in range(20):
        moments: list[float] = []
        writer = make_ring(mode, depth)
        try:
            look_at_each_step(writer, mode, depth, moments)
            return
        except (AssertionError, StreamTimeoutError):
            # A writer without `write` that does not go on within 20 ms, as this holds it up, looks dead.
            if not mode.endswith("no-write") or np.diff([*moments, time.monotonic()]).max() < 0.015:
                raise
        writer.kill()
        (shm_dir / "cam.im.shm").unlink()
    pytest.fail("held up in each attempt")


# With the count before its increment, the newest slice looks between index and count as if it were counted.
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", ["fast", "temporal"])
def test_attached_at_each_step_of_the_writer(make_ring, mode, depth):
    writer = make_ring(mode, depth)
    steps = TEMPORAL_STEPS if mode.startswith("temporal") else FAST_STEPS
    writer.publish()
    for number in range(2, 2 * depth + 2):
        late: list[RingReader] = []
        for step in steps:
            writer.step(step)
            counted = number if step in ("count", "close", "post") else number - 1
            with RingReader("cam", start="oldest") as reader:
                if reader.source == "collector":
                    # No other ring than one that began this very lap looks unused.
                    assert mode == "fast"
                    assert number <= depth
                    continue
                rows, values = drain(reader)
                assert rows["cnt0"].tolist() == values.tolist()
                assert rows["lost"].tolist() == [0] * len(rows)
                assert len(values) == 0 or values[-1] in (counted, number)
            late.append(RingReader("cam"))
        for reader in late:
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == values.tolist()
            assert values.tolist() in ([], [number])
            reader.close()
