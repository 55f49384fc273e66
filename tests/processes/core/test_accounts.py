"""A fast writer in another process: every frame is received, or counted as lost."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk._core import FRAME_ROW
from support.foreign import PRELUDE, SHAPE, accounted, check_account
from support.waiting import PATIENCE


@pytest.mark.parametrize("rate", [1000, 5000, 10000, 0])
def test_every_frame_is_received_or_counted_as_lost(spawn, make_stream, rate):
    accounted(spawn, make_stream, rate, 400 if rate else 4000)


def test_lost_is_exact_for_a_reader_that_is_too_slow(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    writer = spawn(
        PRELUDE
        + """
stream = Stream.attach("cam")
number = 0
for line in sys.stdin:
    for _ in range(int(line)):
        number += 1
        stream.publish(np.full((32, 32), number, np.uint32))
    say(number)
"""
    )
    frames, info = np.zeros((6, *SHAPE), np.uint32), np.zeros(6, FRAME_ROW)
    reader = stream.reader()
    after = reader.arm()
    for row, steps in enumerate([1, 2, 30, 1, 500, 11]):
        writer.tell(steps)
        writer.hear()
        reader.receive(frames[: row + 1], info, after=after, first=row, timeout=PATIENCE)
        after = reader.last
    assert info["lost"].tolist() == [0, 1, 29, 0, 499, 10]
    check_account(frames, info, 0)
    reader.close()
