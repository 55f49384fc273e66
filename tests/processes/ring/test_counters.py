"""Counters and ring indices that other programs move."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pymilk import RingReader
from pymilk._core import FLAG_COUNTER_RESET
from pymilk.errors import StreamTimeoutError
from support.ring_writers import CLEAR_MODES, MODES, MOMENT, drain
from support.waiting import PATIENCE


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_counter_that_jumps_forward(make_ring, mode, depth):
    writer = make_ring(mode, depth)
    broken_at = [4, depth + 3, 2 * depth + 4]
    number = writer.publish(2)  # of the first one alone a count before the increment would be 0
    with RingReader("cam") as reader:
        moved = 0
        for step in range(3, 3 * depth + 6):
            if step in broken_at:
                writer.set("cnt0", number + 1000)
                number += 1000
                moved += 1
                if moved > 1:  # the first time, the frame and the jump are seen at once
                    assert reader.lag == 0
            number = writer.publish()
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [step]
            assert rows["lost"].tolist() == [1000 if step in broken_at else 0]
        assert moved == 3
        assert reader.lost == 3000


@pytest.mark.parametrize("mode", MODES)
def test_counter_that_is_set_back(make_ring, mode):
    writer = make_ring(mode, 4)
    writer.publish()
    with RingReader("cam") as reader:
        writer.publish(6)
        drain(reader)
        lost = reader.lost
        writer.set("cnt0", 0)
        assert writer.publish() == 1
        rows, values = drain(reader)
        assert values[-1] == 8
        assert rows["cnt0"][-1] == 1
        assert rows["flags"][0] & FLAG_COUNTER_RESET
        assert rows["lost"].tolist() == [0] * len(rows)
        for number in range(2, 12):
            assert writer.publish() == number
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [number + 7]
            assert rows["lost"].tolist() == [0]
            assert not rows["flags"][0] & FLAG_COUNTER_RESET
        assert reader.lost == lost


@pytest.mark.parametrize("mode", MODES)
def test_counter_that_others_move_all_the_time(make_ring, start_writer, mode):
    """Numbers are what they are then; frames are whole all the same, in order, and come to no end."""
    writer = make_ring(mode, 4, (40, 40))
    writer.publish()
    broken = start_writer()
    with RingReader("cam") as reader:
        writer.run(4000, 100)
        shown, moves, enough = [], 0, 3500
        while not shown or shown[-1] < enough:
            block = next(reader.blocks(timeout=PATIENCE))
            pixels = block.frames.reshape(len(block), -1)
            whole = (pixels == pixels[:, :1]).all(axis=1)
            values = pixels[:, 0].copy()
            gone = block.overwritten
            assert whole[gone:].all()
            shown += values[gone:].tolist()
            if moves == 0 and shown and shown[-1] >= enough:
                # We were held up for nearly all of it, and saw too little.
                writer.ran()
                writer.run(4000, 100)
                enough += 4000
            if len(shown) // 100 > moves:
                moves += 1
                broken.set("cnt0", 0 if moves % 3 == 0 else int(block.info["cnt0"][-1]) + 1000)
        writer.ran()
        assert moves > 0
        if mode in CLEAR_MODES:
            assert (np.diff(shown) > 0).all()
        # It has recovered: the next frames come one by one.
        drain(reader)
        for _ in range(6):
            number = writer.publish()
            rows, _ = drain(reader)
            assert rows["cnt0"].tolist()[-1] == number


NONSENSE = {
    "index-out": [("CBindex", 1000)],
    "index-at-end": [("CBindex", 4)],
    "index-huge": [("CBindex", 2**32 - 1)],
    "index-0": [("CBindex", 0)],
    "index-3": [("CBindex", 3)],
    "cycle-0": [("CBcycle", 0)],
    "cycle-huge": [("CBcycle", 2**63 - 1)],
    "both-0": [("CBcycle", 0), ("CBindex", 0)],
    "all-0": [("CBcycle", 0), ("CBindex", 0), ("cnt0", 0)],
}


@pytest.mark.parametrize("lead", [1, 5, 6, 7, 8, 9, 10])
@pytest.mark.parametrize("what", NONSENSE)
def test_index_that_is_nonsense(make_ring, what, lead):
    writer = make_ring("fast", 4)
    writer.publish(lead)
    with RingReader("cam") as reader:
        writer.publish()
        drain(reader)
        for field, value in NONSENSE[what]:
            writer.set(field, value)
        # No frame was published: whatever came out now would have been there before.
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=MOMENT))
        reset = "cnt0" in dict(NONSENSE[what])
        base = 0 if reset else lead + 1
        for number in range(base + 1, base + 12):
            assert writer.publish() == number
            rows, values = drain(reader)
            # The new frame, and nothing that only looks new. Where the writer itself is led astray by the
            # index, a frame or two may be lost, until two steps of it agree.
            assert rows["cnt0"].tolist() in ([number], [])
            assert len(rows) == 1 or number < base + 7
            assert values.tolist() == [n + (lead + 1 if reset else 0) for n in rows["cnt0"].tolist()]


@pytest.mark.parametrize("what", NONSENSE)
def test_index_that_is_nonsense_all_the_time(make_ring, start_writer, what):
    writer = make_ring("fast", 4, (40, 40))
    writer.publish()
    broken = start_writer()
    with RingReader("cam") as reader:
        writer.run(3000, 100)
        seen, sets = 0, 0
        deadline = time.monotonic() + PATIENCE
        while reader.report.received < 1500 and (seen < 2900 or "cnt0" in dict(NONSENSE[what])):
            assert time.monotonic() < deadline
            try:
                block = next(reader.blocks(timeout=1))
            except StreamTimeoutError:
                break  # the writer is at its end
            pixels = block.frames.reshape(len(block), -1)
            whole = (pixels == pixels[:, :1]).all(axis=1)
            last = int(pixels[-1, 0])
            gone = block.overwritten
            assert whole[gone:].all()
            seen = last if gone < len(block) else seen
            if reader.report.received // 20 > sets:
                sets += 1
                for field, value in NONSENSE[what]:
                    broken.set(field, value)
        writer.ran()
        assert sets > 0
        drain(reader)
        for _ in range(10):
            number = writer.publish()
            rows, _ = drain(reader)
            assert rows["cnt0"].tolist() == [number]
