"""The logger ``pymilk``: silent, without cost, and what it says of the background."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pymilk import SHM, Recorder
from pymilk.ring import Relay, RingReader
from pymilk.system import journal, locks
from support.recordings import images

LIMIT = 20.0


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "pymilk")
    return lambda: [f"{each.levelname} {each.getMessage()}" for each in caplog.records]


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not met():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_silent_without_a_listener(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(logging.getLogger("pymilk"), "handlers", [])
    journal.warn("gap of %d", 3)
    assert capfd.readouterr() == ("", "")
    monkeypatch.delitem(sys.modules, "logging")
    journal.warn("gap of %d", 3)
    assert "logging" not in sys.modules


def test_gaps_are_told_once_a_second(
    said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(journal.time, "monotonic", lambda: now)
    gaps = journal.GapTeller("cam")
    gaps.tend(0)
    for lost in (2, 5, 9):
        gaps.tend(lost)
    assert said() == ["WARNING stream 'cam': gap of 2 frames, 2 in all"]
    now += 1.5
    gaps.tend(9)
    gaps.tend(10)
    assert said()[1:] == ["WARNING stream 'cam': gap of 7 frames, 9 in all"]
    gaps.tend(10, last=True)
    gaps.tend(10, last=True)
    assert said()[2:] == ["WARNING stream 'cam': gap of 1 frames, 10 in all"]


def test_recorder(said: Callable[[], list[str]], make: Callable[..., SHM], tmp_path: Path) -> None:
    make("cam", ((5, 7), np.uint16), ring=64).set_many(images(3))
    options = {"start": "oldest", "max_frames_per_file": 4, "restart": True}
    with Recorder("cam", tmp_path / "cam.npy", **options) as recorder:
        until(lambda: recorder.report.recorded == 4)
        second = make("cam", ((5, 7), np.uint16), ring=64)
        until(lambda: recorder.report.recorded == 5)
        job = recorder._jobs["cam"].first
        job._watch_ring(0.85)
        job._watch_ring(0.9)
        job._watch_ring(0.4)
        job._watch_ring(0.81)
        second.set_many(images(2))
        until(lambda: recorder.report.recorded == 7)
        make("cam", ((4,), np.uint16), ring=64)
        until(lambda: recorder.report.recorded == 8)
    told = said()
    done = f"INFO stream 'cam': file {tmp_path}/cam"
    for wanted in (
        f"{done}_000000.npy is finished, with 4 frames, 0 lost (next file)",
        "INFO stream 'cam': its writer made it anew; the recording goes on",
        f"{done}_000001.npy is finished, with 3 frames, 0 lost (stopped)",
        "INFO stream 'cam': it has another shape or dtype; the recording goes on in "
        f"{tmp_path}/cam_restart001.npy",
        f"{done}_restart001_000000.npy is finished, with 1 frames, 0 lost (stopped)",
    ):
        assert wanted in told
    full = [each for each in told if "full" in each]
    assert full == [
        f"WARNING stream 'cam': the ring of its recorder is {share} % full" for share in (85, 81)
    ]


def test_frames_that_a_recorder_lost(
    said: Callable[[], list[str]], make: Callable[..., SHM], tmp_path: Path
) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=8)
    recorder = Recorder(shm, tmp_path / "cam.npy")
    job = recorder._jobs["cam"]
    job.prepare()
    shm.set_many(images(30))
    recorder._started = True
    job.begin(None)
    until(lambda: recorder.report.recorded > 0)
    lost = recorder.stop().lost
    assert f"WARNING stream 'cam': gap of {lost} frames, {lost} in all" in said()


@pytest.mark.parametrize("what", ["relay", "collector"])
def test_stream_made_anew(what: str, said: Callable[[], list[str]], make: Callable[..., SHM]) -> None:
    make("cam", ((5, 7), np.uint16))
    made = Relay("cam", "copy", 8) if what == "relay" else RingReader("cam", depth=8)
    with made:
        make("cam", ((5, 7), np.uint16))
        until(lambda: f"INFO stream 'cam': its writer made it anew; the {what} goes on" in said())


def test_frames_that_a_relay_lost(
    said: Callable[[], list[str]], make: Callable[..., SHM], monkeypatch: pytest.MonkeyPatch
) -> None:
    make("cam", ((5, 7), np.uint16))
    with Relay("cam", "copy", 8) as relay:
        relay.tend()
        monkeypatch.setattr(Relay, "report", SimpleNamespace(lost=3))
        relay.tend()
    assert said() == ["WARNING stream 'cam': gap of 3 frames, 3 in all"]


def test_capture_of_a_stream_made_anew(said: Callable[[], list[str]], make: Callable[..., SHM]) -> None:
    shm = make("cam", ((5, 7), np.uint16))
    capture = shm.capture(100, timeout=5, background=True)
    capture.armed()
    make("cam", ((5, 7), np.uint16))
    until(lambda: "INFO stream 'cam': its writer made it anew; the capture goes on" in said())
    capture.stop()


def test_lock_that_was_waited_for(said: Callable[[], list[str]], tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    looker = os.open(path, os.O_RDWR | os.O_CREAT)
    locks.take_lock(looker, reading=True)
    timer = threading.Timer(0.02, lambda: locks.unlock(looker))
    timer.start()
    lock = locks.lock_writer(os.open(path, os.O_RDWR), "cam", path)
    lock.release()
    assert said() == ["INFO stream 'cam': waited for the lock of its writer"]
    timer.join()
    os.close(looker)
