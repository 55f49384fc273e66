"""Ring writers that are killed at each step, and at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from pymilk import RingReader
from pymilk.errors import StreamTimeoutError
from support.ring_writers import MODES, MOMENT, check_block, drain, read_blocks, watching
from support.waiting import PATIENCE


@pytest.mark.parametrize("lead", [5, 6, 7, 8])
@pytest.mark.parametrize(
    ("mode", "step"),
    [
        *[("fast", step) for step in ["open", "fill", "copy", "cycle", "index", "stamp", "count", "close"]],
        *[("fast-no-write", step) for step in ["copy", "cycle", "index", "stamp", "count"]],
        *[("temporal", step) for step in ["open", "fill", "record", "index", "stamp", "count", "close"]],
        *[("temporal-bare", step) for step in ["fill", "index", "stamp", "count"]],
    ],
)
def test_writer_killed_at_a_step(make_ring, start_writer, mode, step, lead):
    """The next writer goes on in the same file; its frames are found at once, under their numbers."""
    writer = make_ring(mode, 4)
    writer.publish(lead)
    with RingReader("cam") as reader:
        writer.publish()
        rows, values = drain(reader)
        assert values.tolist() == [lead + 1]
        writer.halt(step, 1)
        writer.run(1)
        writer.wait_stopped()
        before, _ = drain(reader)
        assert before["cnt0"].tolist() in ([], [lead + 2])
        writer.kill()
        # Time enough to see that the frame is not in the making any more.
        with contextlib.suppress(StreamTimeoutError):
            block = next(reader.blocks(timeout=MOMENT))
            assert len(before) == 0
            assert block.info["cnt0"].tolist() == [lead + 2]
            assert check_block(block) == 1
            before = block.info
        successor = start_writer(MODES[mode][1], tag=9)
        for _ in range(9):
            number = successor.publish()
            rows, values = drain(reader)
            assert values.size, f"frame {number} is not found"
            assert int(values[-1]) == 9 << 32 | number
            assert rows["cnt0"][-1] == number
            # The frame that the dead one left may have been seen; no other.
            dead = values[:-1].tolist()
            assert dead in ([], [lead + 2])
            assert len(before) + len(dead) <= 1
        with RingReader("cam", start="oldest") as late:
            rows, values = drain(late)
            assert (values & 0xFFFFFFFF).tolist() == rows["cnt0"].tolist() == [number - 2, number - 1, number]
        assert reader.lost == 0


@pytest.mark.parametrize("mode", MODES)
def test_writers_killed_at_any_moment(make_ring, start_writer, mode):
    writer = make_ring(mode, 4, (64, 64))
    writer.publish()
    dice = random.Random()
    with watching() as stream, RingReader("cam") as reader:
        for tag in range(1, 7):
            writer.run(10**9, dice.choice([0, 20, 200]))
            many = stream.counter + dice.randrange(50, 300)
            while stream.counter < many:
                check_block(next(reader.blocks(timeout=PATIENCE)), tag=None)
            writer.kill()
            # A look while nobody writes: of writers that never raise `write`, a slot that stays uncounted
            # for a while is the only sign that one died before it counted.
            assert reader.lag >= 0
            time.sleep(0.03)
            writer = start_writer(MODES[mode][1], tag)
        last = writer.publish(5)
        rows = read_blocks(reader, last, tag=None)
        assert rows["cnt0"][-1] == last
        assert reader.lag == 0


def taken(reader: RingReader) -> tuple[int, int]:
    """Take what is there beside the writer; returns frames in the account, and rows that are wrong."""
    told = wrong = 0
    with contextlib.suppress(StreamTimeoutError):
        for block in reader.blocks(512, timeout=0):
            shown = block.frames.reshape(len(block), -1)[:, 0].copy()
            gone = block.overwritten
            wrong += int((shown[gone:] != block.info["cnt0"][gone:]).sum())
            told += len(block) + int(block.info["lost"].sum())
    return told, wrong


@pytest.mark.parametrize("mode", ["fast-no-write", "temporal-bare-no-write", "fast"])
def test_a_slot_that_is_ahead_again_after_a_while(make_ring, mode):
    """Two looks in the instant between index and count, and none between, do not make a dead writer."""
    writer = make_ring(mode, 8)
    told = number = writer.publish()
    rounds, shifted = 12, 0
    with RingReader("cam") as reader:
        for _ in range(rounds):
            for looked in (True, False):
                writer.halt("index", 1)
                writer.run(1)
                writer.wait_stopped()
                if looked:
                    assert taken(reader) == (0, 0)
                    os.kill(writer.pid, signal.SIGCONT)
                    assert writer.ran() == number + 1
            time.sleep(0.025)
            # It counts while this looks; or before, where this has to wait for a processor.
            with subprocess.Popen(["/bin/sh", "-c", f"sleep 0.003; kill -CONT {writer.pid}"]):
                some, wrong = taken(reader)
            number = writer.ran()
            more, later = taken(reader)
            shifted += (wrong or later) > 0
            told += some + more
        # One that was out for 20 ms, with `write` at 0, is left out, and counted with the next one.
        number = writer.publish()
        assert told + taken(reader)[0] == number
    # A writer that gets no processor for 20 ms at just this step looks dead.
    assert shifted <= rounds // 4


def test_dead_writer_is_a_timeout(make_ring):
    writer = make_ring("fast", 4)
    writer.publish(2)
    with RingReader("cam") as reader:
        writer.publish()
        writer.kill()
        assert len(next(reader.blocks(timeout=0))) == 1
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError) as caught:
            next(reader.blocks(timeout=MOMENT))
        assert time.monotonic() - began >= MOMENT
        assert caught.value.stream == "cam"
        with pytest.raises(StreamTimeoutError) as caught:
            reader.read(2, timeout=MOMENT)
        assert caught.value.capture.received == 0
