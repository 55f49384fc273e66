"""Memory and disk of the machine that receives are full: what is said, and that nothing half-made stays."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.bridge import Receiver, Sender, fetch
from pymilk.errors import StreamStorageError
from support.waiting import until


@contextlib.contextmanager
def files_of_at_most(nbytes):
    """Let this process write no larger files for a block, as if there were no more room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def capture(shm_dir):
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as shm, shm.ring_reader() as ring:
        for number in range(40):
            shm.set_data(np.full(shm.shape, number, np.uint16))
        yield ring.read(40)


def test_no_memory_for_the_stream(wires, capture, shm_dir):
    with Sender(("wfs",), host="rtc", engine=wires):
        until(lambda: wires.here)
        with files_of_at_most(1000), Receiver("rtc/wfs", name="far", engine=wires) as receiver:
            with pytest.raises(StreamStorageError, match="far"):
                receiver.wait(60)
            assert "far" in str(receiver.report)
        assert [path.name for path in shm_dir.iterdir()] == ["wfs.im.shm"]


def test_no_room_for_what_is_fetched(wires, capture, tmp_path, monkeypatch):
    """What came stays, and the same call goes on there when there is room."""
    monkeypatch.setattr("pymilk.bridge.shelf._PIECE_NBYTES", 5 * 48)
    monkeypatch.setattr(sys.modules["pymilk.bridge.fetch"], "_AGAIN_SECONDS", 0.002)
    served, path = tmp_path / "served", tmp_path / "out.npy"
    served.mkdir()
    pymilk.save(capture, served / "a.npy")
    with Sender(("wfs",), host="rtc", serve=served, engine=wires):
        until(lambda: wires.here)
        with files_of_at_most(1000), pytest.raises(StreamStorageError, match=r"out\.npy") as caught:
            fetch("rtc/wfs", path, engine=wires)
        assert isinstance(caught.value, OSError)
        assert sorted(os.listdir(tmp_path)) == ["out.npy.part", "served"]
        report = fetch("rtc/wfs", path, engine=wires)
        assert report.frames == 40
        assert 0 < report.resumed < 40
    with pymilk.load(path) as found:
        np.testing.assert_array_equal(found.frames, capture.frames)
