"""Counters that another program sets far ahead: the account of losses stays right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import SHM, RingReader
from pymilk._core import FLAG_COUNTER_SET, FRAME_ROW
from support.foreign import SHAPE
from support.foreign_writer import Foreign
from support.waiting import until


@pytest.fixture
def foreign(make_stream):
    make_stream("cam", SHAPE, np.uint32)
    return Foreign(Path(os.environ["MILK_SHM_DIR"], "cam.im.shm"))


JUMPS = [2**40, 2**62, 2**63 - 1]


def publish(foreign: Foreign, number: int) -> None:
    foreign.publish(number % 2**32, "open fill stamp")
    foreign.publish(number, "count close post")


@pytest.mark.parametrize("jump", JUMPS)
def test_capture(foreign, jump):
    with SHM("cam") as shm:
        capture = shm.capture(4, timeout=10, background=True)
        for number in (1, 3, jump, jump + 1):
            received = capture.received
            publish(foreign, number)
            while capture.received == received:
                pass
        capture.join()
    assert capture.info["cnt0"].tolist() == [1, 3, jump, jump + 1]
    assert capture.info["lost"].tolist() == [0, 1, 0, 0]
    assert [bool(flags & FLAG_COUNTER_SET) for flags in capture.info["flags"]] == [False, False, True, False]
    assert capture.report.lost == 1
    assert capture.report.counter_set == 1
    assert "counter set by another program" in str(capture.report)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
@pytest.mark.parametrize("jump", JUMPS)
def test_rings(make_stream, jump, kind):
    stream = pymilk.create_stream("cam", SHAPE, np.uint32, ring=8, ring_kind=kind)
    shape = stream.frame_shape if hasattr(stream, "frame_shape") else SHAPE
    path = Path(os.environ["MILK_SHM_DIR"], "cam.im.shm")
    with RingReader("cam") as ring, SHM("cam") as shm:
        shm.set_data(np.full(shape, 1, np.uint32))
        shm.set_data(np.full(shape, 2, np.uint32))
        assert ring.read(2).info["lost"].tolist() == [0, 0]
        with path.open("r+b") as file:
            file.seek(264)
            file.write(jump.to_bytes(8, "little"))
        shm.set_data(np.full(shape, 3, np.uint32))
        read = ring.read(1)
        assert read.info["lost"].tolist() == [0]
        assert read.info["flags"][0] & FLAG_COUNTER_SET
        assert ring.lost == 0
        shm.set_data(np.full(shape, 4, np.uint32))
        read = ring.read(1)
        assert read.info["lost"].tolist() == [0]
        assert not read.info["flags"][0] & FLAG_COUNTER_SET


def test_later_run_of_a_reader(foreign, make_stream):
    stream = pymilk.Stream.attach("cam")
    reader = stream.reader()
    after = reader.arm()
    publish(foreign, 2**50)
    info = np.zeros(1, FRAME_ROW)
    reader.receive(np.zeros((1, *SHAPE), np.uint32), info, after=after)
    assert info["lost"][0] == 0
    assert info["flags"][0] & FLAG_COUNTER_SET
    reader.close()
    stream.close()


def test_recording(foreign, tmp_path):
    with pymilk.Recorder("cam", tmp_path / "cam.npy", frames=3) as recorder:
        for number in (1, 2**50, 2**50 + 1):
            before = recorder.report.recorded
            publish(foreign, number)
            until(lambda before=before: recorder.report.recorded > before)
        report = recorder.wait()
    each = report.streams["cam"]
    assert each.lost == 0
    assert each.counter_set == 1
    assert "counter set by another program" in str(report)
    loaded = pymilk.load(tmp_path / "cam.npy")
    assert loaded.complete
    assert int(loaded.info["lost"].sum()) == 0
