"""Several readers of one ring."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pymilk import RingReader
from support.ring_writers import CLEAR_MODES, read_blocks, read_copies
from support.waiting import wait_for_state


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_two_readers_in_one_process(make_ring, mode):
    writer = make_ring(mode, 32)
    writer.publish()
    with RingReader("cam") as one, RingReader("cam") as two:
        rows_one, rows_two = [], []
        for last in range(26, 252, 25):
            writer.run(25, 100)
            rows_one.append(read_blocks(one, last))
            assert writer.ran() == last
            rows_two.append(read_copies(two, last - 25, last, 25))
        for rows in (rows_one, rows_two):
            info = np.concatenate(rows)
            assert info["cnt0"].tolist() == list(range(2, 252))
            assert info["lost"].sum() == 0
        assert one.lost == two.lost == 0


#: Told the number up to which it is to read; "end" ends it.
READING_CHILD = """
import sys
import numpy as np
from pymilk import RingReader
with RingReader("cam") as reader:
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "end\\n":
            break
        first, lost, count, right = 0, 0, 0, True
        for block in reader.blocks(timeout=30):
            numbers = block.info["cnt0"]
            whole = (block.frames == numbers[:, None, None]).all(axis=(1, 2))
            gone = block.overwritten
            right = right and bool(whole[gone:].all())
            first = first or int(numbers[0])
            count += len(block)
            lost += int(block.info["lost"].sum())
            if numbers[-1] >= int(line):
                break
        print(first, int(numbers[-1]), count, lost, right, flush=True)
"""


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_readers_in_four_processes(spawn, make_ring, mode):
    writer = make_ring(mode, 128)
    writer.publish()
    readers = [spawn(READING_CHILD) for _ in range(4)]
    for reader in readers:
        reader.expect("ready")
    for last in range(101, 1002, 100):
        for reader in readers:
            reader.tell(last)
        writer.run(100, 100)
        for reader in readers:
            reader.expect(f"{last - 99} {last} 100 0 True")
        assert writer.ran() == last
    for reader in readers:
        reader.tell("end")
    for reader in readers:
        assert reader.finish() == (0, "", "")


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_stopped_reader_holds_nobody_up(spawn, make_ring, mode):
    writer = make_ring(mode, 128)
    writer.publish()
    stopped, other = spawn(READING_CHILD), spawn(READING_CHILD)
    stopped.expect("ready")
    other.expect("ready")
    # Once while it waits for a frame, and once while it waits for its turn.
    stopped.tell(901)
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        wait_for_state(stopped.pid, "T")
        for last in range(101, 902, 100):
            other.tell(last)
            writer.run(100, 50)
            other.expect(f"{last - 99} {last} 100 0 True")
            assert writer.ran() == last
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    first, last, count, lost, right = stopped.hear().split()
    assert (last, right) == ("901", "True")
    assert int(count) + int(lost) == 900
    assert int(first) >= 775
    for reader in (stopped, other):
        reader.tell("end")
        assert reader.finish() == (0, "", "")
