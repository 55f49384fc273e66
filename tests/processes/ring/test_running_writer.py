"""Ring readers beside a writer that runs: fast, slow and stalled readers."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import RingReader
from pymilk.errors import FrameLostError
from support.foreign_writer import create_foreign
from support.ring_writers import (
    CLEAR_MODES,
    MODES,
    check_block,
    check_rows,
    read_blocks,
    read_copies,
    watching,
)
from support.waiting import PATIENCE, until

TOTAL = 1200


@pytest.mark.parametrize("depth", [2, 3, 4, 16, 256])
@pytest.mark.parametrize("mode", MODES)
def test_next_to_a_running_writer(make_ring, mode, depth):
    writer = make_ring(mode, depth, (40, 40))
    writer.publish()
    with RingReader("cam") as reader:
        assert (reader.source, reader.depth) == (MODES[mode][0], depth)
        writer.run(TOTAL, 250)
        rows = read_blocks(reader, TOTAL + 1)
        assert writer.ran() == TOTAL + 1
        check_rows(rows, 1)
        writer.run(TOTAL, 200)
        copied = read_copies(reader, TOTAL + 1, 2 * TOTAL + 1)
        assert writer.ran() == 2 * TOTAL + 1
        check_rows(copied, TOTAL + 1)
        report = reader.report
        assert report.received == len(rows) + len(copied)
        assert report.lost == rows["lost"].sum() + copied["lost"].sum()
        assert report.received + report.lost == 2 * TOTAL


@pytest.mark.parametrize("mode", MODES)
def test_next_to_a_writer_at_full_speed(make_ring, mode):
    writer = make_ring(mode, 4, (40, 40))
    writer.publish()
    with RingReader("cam") as reader:
        writer.run(50_000)
        rows = read_blocks(reader, 50_001)
        assert writer.ran() == 50_001
        check_rows(rows, 1)
        assert reader.report.received + reader.report.lost == 50_000


@pytest.mark.parametrize("source", [*MODES, "collector"])
def test_slow_reader(make_ring, shm_dir, start_writer, source):
    """Ten frames are published for each that is read: everything is either right or counted as lost."""
    total, shape = 6000, (64, 64)
    if source == "collector":
        create_foreign(shm_dir / "cam.im.shm", shape)
        writer = start_writer()
    else:
        writer = make_ring(source, 4, shape)
    writer.publish()
    rows, intact, overwritten = [], 0, 0
    with watching() as stream, RingReader("cam", depth=4) as reader:
        assert reader.source == ("collector" if source == "collector" else MODES[source][0])
        assert reader.depth == 4
        writer.run(total, 40)
        for block in reader.blocks(2, timeout=PATIENCE):
            last = int(block.info["cnt0"][-1])
            intact += check_block(block)
            rows.append(block.info)
            if last == total + 1:
                break
            until(lambda last=last: stream.counter >= min(total + 1, last + 10))
            check_block(block)
            if last + 10 <= total and source != "collector":
                assert block.overwritten == len(block)
            overwritten += block.overwritten
        assert writer.ran() == total + 1
        info = np.concatenate(rows)
        check_rows(info, 1)
        assert info["lost"].sum() + len(info) == total
        report = reader.report
        assert (report.received, report.lost) == (len(info), info["lost"].sum())
    assert intact > 0
    assert overwritten > 0
    assert report.lost > total // 2


@pytest.mark.parametrize("mode", MODES)
def test_slow_reader_that_copies(make_ring, mode):
    writer = make_ring(mode, 4, (64, 64))
    writer.publish()
    with watching() as stream, RingReader("cam") as reader:
        writer.run(3000, 40)
        rows, last = [], 1
        while last < 3001:
            until(lambda last=last: stream.counter >= min(3001, last + 10))
            rows.append(read_copies(reader, last, last + 1, 1))
            last = int(rows[-1]["cnt0"][-1])
        assert writer.ran() == 3001
        check_rows(np.concatenate(rows), 1)
        assert reader.report.received + reader.report.lost == 3000
        assert reader.lost > 0


@pytest.mark.parametrize("source", [*MODES, "collector"])
def test_lost_frames_are_raised_once(make_ring, shm_dir, start_writer, source):
    if source == "collector":
        create_foreign(shm_dir / "cam.im.shm")
        writer = start_writer()
    else:
        writer = make_ring(source, 4)
    kept = 4 if source == "collector" else 3
    writer.publish()
    with RingReader("cam", depth=4, on_lost="raise") as reader:
        base = 1
        for call in ("blocks", "read", "blocks", "read"):
            for number in range(base + 1, base + 11):
                assert writer.publish() == number
                # The collector has it.
                until(lambda number=number: reader.lag and newest_number(reader) == number)
            wanted = (base + 1, base + 11 - kept, base + 10, 10 - kept)
            with pytest.raises(FrameLostError) as caught:
                next(reader.blocks(timeout=0)) if call == "blocks" else reader.read(1, timeout=0)
            error = caught.value
            assert (error.seq, error.oldest, error.newest, error.lost) == wanted
            assert error.stream == "cam"
            base += 10
            if call == "blocks":
                rows = read_blocks(reader, base)
            else:
                rows = read_copies(reader, base - kept, base, kept)
            assert rows["cnt0"].tolist() == list(range(base + 1 - kept, base + 1))
            assert rows["lost"].tolist() == [10 - kept] + [0] * (kept - 1)
        assert (reader.report.received, reader.lost) == (4 * kept, 4 * (10 - kept))


def newest_number(reader: RingReader) -> int:
    return int(reader.latest(block=True).info["cnt0"][0])


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_lost_frames_are_raised_next_to_a_running_writer(make_ring, mode):
    writer = make_ring(mode, 4)
    writer.publish()
    rows: list[np.ndarray] = []
    raised, last = 0, 1
    with RingReader("cam", on_lost="raise") as reader:
        writer.run(20_000, 15)
        while last < 20_001:
            try:
                block = next(reader.blocks(timeout=PATIENCE))
            except FrameLostError as error:
                assert error.seq == last + 1
                assert error.lost >= 1
                assert error.oldest == error.seq + error.lost
                assert error.newest >= error.oldest
                raised += 1
                continue
            check_block(block)
            rows.append(block.info)
            last = int(block.info["cnt0"][-1])
        assert writer.ran() == 20_001
        info = np.concatenate(rows)
        check_rows(info, 1)
        assert raised >= np.count_nonzero(info["lost"])
        assert reader.report.received + reader.report.lost == 20_000
