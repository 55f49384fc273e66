"""Writers that leave the ring out, and readers that may not write."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, RingReader
from pymilk._core import FRAME_ROW, Stream
from pymilk.errors import StreamTimeoutError
from support import isio_format
from support.foreign_writer import create_foreign
from support.ring_writers import MODES, MOMENT, SHAPE, check_block, check_rows, read_blocks
from support.waiting import PATIENCE, until


def test_receive_and_capture_of_a_writer_that_leaves_the_ring_out(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    with SHM("cam") as shm:
        capture = shm.capture(8, timeout=PATIENCE, background=True)
        for number in range(1, 9):
            assert writer.publish() == number
            until(lambda number=number: capture.received == number)
        capture.join()
        assert capture.info["cnt0"].tolist() == list(range(1, 9))
        assert capture.frames[:, 0, 0].tolist() == list(range(1, 9))
        assert capture.report.lost == 0
    stream = Stream.attach("cam")
    out, info = np.empty((1, *SHAPE), np.uint64), np.zeros(1, FRAME_ROW)
    for number in range(9, 17):
        assert writer.publish() == number
        assert stream.receive(out, info, timeout=PATIENCE, after=number - 1) == 1
        assert info["cnt0"].tolist() == [number]
        assert (out == number).all()
    stream.close()


def test_receive_of_a_writer_that_fills_the_ring_now_and_then(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    filling, leaving = start_writer("w"), start_writer("wp")
    turns = [filling, leaving, leaving, filling, filling, filling, filling, filling, filling, leaving] * 2
    with SHM("cam") as shm:
        capture = shm.capture(len(turns), timeout=PATIENCE, background=True)
        counts = {filling: 0, leaving: 0}
        shown = []
        for number, writer in enumerate(turns, 1):
            assert writer.publish() == number
            counts[writer] += 1
            shown.append(counts[writer])
            until(lambda number=number: capture.received == number)
        capture.join()
        assert capture.info["cnt0"].tolist() == list(range(1, len(turns) + 1))
        assert capture.frames[:, 0, 0].tolist() == shown
        assert (capture.frames == capture.frames[:, :1, :1]).all()
        assert capture.report.lost == 0


@pytest.mark.parametrize("begun", [False, True])
def test_ring_reader_of_a_writer_that_leaves_the_ring_out(shm_dir, start_writer, begun):
    """With frames before the reader comes it is seen at once, otherwise from the frames."""
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    last = writer.publish(3) if begun else 0
    with RingReader("cam", depth=16) as reader:
        assert reader.source == ("collector" if begun else "fast")
        infos = []
        for _ in range(12):
            last = writer.publish()
            with contextlib.suppress(StreamTimeoutError):
                block = next(reader.blocks(timeout=1 if infos else MOMENT))
                check_block(block)
                infos.append(block.info)
        assert reader.source == "collector"
        info = np.concatenate(infos)
        check_rows(info, 3 if begun else int(info["cnt0"][0]) - 1 - int(info["lost"][0]))
        assert info["cnt0"][-1] == last
        assert reader.report.received + reader.report.lost == 12
        if begun:
            assert reader.lost == 0


def test_ring_reader_of_a_writer_that_runs_and_leaves_the_ring_out(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    with RingReader("cam", depth=64) as reader:
        writer.run(1000, 300)
        rows = read_blocks(reader, 1000)
        assert writer.ran() == 1000
        assert reader.source == "collector"
        assert reader.report.received == len(rows)
        assert reader.report.received + reader.report.lost == 1000


@pytest.mark.parametrize("mode", MODES)
def test_read_only_stream(shm_dir, make_ring, mode):
    """No semaphore can be taken then; the counter is watched."""
    writer = make_ring(mode, 64)
    writer.publish()
    path = shm_dir / "cam.im.shm"
    path.chmod(0o444)
    stream = Stream.attach("cam", writable=False)
    assert not stream.writable
    semaphores = semaphore_owners(path)
    with RingReader(stream) as reader:
        assert reader.source == MODES[mode][0]
        for last in range(31, 332, 30):
            writer.run(30, 200)
            rows = read_blocks(reader, last)
            assert rows["lost"].sum() == 0
            assert writer.ran() == last
            assert rows["cnt0"].tolist() == list(range(last - 29, last + 1))
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=MOMENT))
        assert semaphore_owners(path) == semaphores
    stream.close()


def semaphore_owners(path: Path) -> list[int]:
    return isio_format.decode(path.read_bytes(), check_padding=False).semReadPID
