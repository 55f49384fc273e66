"""A recording that goes on after its stream was made anew with another shape or dtype."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, record
from pymilk.errors import (
    StreamChangedError,
    StreamNotReadyError,
    StreamShapeChangedError,
    StreamUnsupportedError,
)
from pymilk.recording import restarting
from support.recordings import EACH_FORMAT, images

LIMIT = 20.0


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not met():
        assert time.monotonic() < end
        time.sleep(0.001)


@EACH_FORMAT
def test_another_shape_goes_into_another_file(
    suffix: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    first = make("cam", ((5, 7), np.uint16), ring=64)
    path = tmp_path / f"cam.{suffix}"
    with Recorder("cam", path, restart=True) as recorder:
        first.set_many(images(10))
        until(lambda: recorder.report.recorded == 10)
        second = make("cam", ((4, 6), np.float32), ring=64)
        second.set_many(images(6, (4, 6)).astype(np.float32))
        until(lambda: recorder.report.recorded == 17)  # the first of a new stream is its zeros
        assert recorder.running
        third = make("cam", ((3,), np.uint8), ring=64)
        until(lambda: recorder.report.recorded == 18)
        third.set_data(np.ones(3, np.uint8))
        until(lambda: recorder.report.recorded == 19)
    report = recorder.report.streams["cam"]
    names = [f"cam.{suffix}", f"cam_restart001.{suffix}", f"cam_restart002.{suffix}"]
    assert [Path(each).name for each in report.paths] == names
    assert (report.lost, report.unwritten, report.ended, report.error) == (0, 0, "stopped", None)
    assert report.complete
    for name, shape, count in zip(names, ((5, 7), (4, 6), (3,)), (10, 7, 2), strict=True):
        with load(tmp_path / name) as loaded:
            assert loaded.complete, loaded.missing
            assert np.asarray(loaded.frames).shape == (count, *shape)
            assert loaded.header["ended"] == "stopped"


def test_frames_that_went_before_the_new_stream_was_attached(
    make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are lost, and counted."""
    first = make("cam", ((5, 7), np.uint16), ring=64)
    going = threading.Event()
    from pymilk.recording.restarting import Restarting

    attached = Restarting._attached
    monkeypatch.setattr(
        Restarting, "_attached", lambda self, *given: going.wait(LIMIT) and attached(self, *given)
    )
    with Recorder("cam", tmp_path / "cam.npy", restart=True) as recorder:
        first.set_many(images(10))
        until(lambda: recorder.report.recorded == 10)
        second = make("cam", ((4, 6), np.uint16), ring=8)
        second.set_many(images(30, (4, 6)))  # 31 with its zeros; its ring has 8
        going.set()
        until(lambda: recorder.report.recorded > 10)
        second.set_many(images(1, (4, 6)))
        until(lambda: recorder.report.recorded + recorder.report.lost == 10 + 32)
    with load(tmp_path / "cam_restart001.npy") as loaded:
        assert loaded.info is not None
        assert int(loaded.info["lost"].sum()) == recorder.report.lost > 0
        assert len(loaded) + recorder.report.lost == 32


def test_frames_over_all_files(make: Callable[..., SHM], tmp_path: Path) -> None:
    first = make("cam", ((5, 7), np.uint16), ring=64)
    with Recorder("cam", tmp_path / "cam.npy", frames=14, restart=True) as recorder:
        first.set_many(images(10))
        until(lambda: recorder.report.recorded == 10)
        make("cam", ((4, 6), np.uint16), ring=64).set_many(images(20, (4, 6)))
        report = recorder.wait(LIMIT).streams["cam"]
    assert (report.recorded, report.requested, report.ended) == (14, 14, "complete")
    with load(tmp_path / "cam_restart001.npy") as loaded:
        assert (len(loaded), loaded.header["ended"]) == (4, "complete")


def test_stop_while_no_new_stream_is_there(make: Callable[..., SHM], tmp_path: Path) -> None:
    make("cam", ((5, 7), np.uint16), ring=64).set_many(images(3))
    recorder = Recorder("cam", tmp_path / "cam.npy", restart=True, start="oldest").start()
    until(lambda: recorder.report.recorded >= 3)
    began = time.monotonic()
    report = recorder.stop()
    assert time.monotonic() - began < 2
    assert (report.complete, report.streams["cam"].ended) == (True, "stopped")


def test_time_is_that_of_all_files(make: Callable[..., SHM], tmp_path: Path) -> None:
    make("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", seconds=0.3, restart=True).start()
    make("cam", ((4, 6), np.uint16), ring=64)
    report = recorder.wait(LIMIT).streams["cam"]
    assert report.ended == "time"
    assert not recorder.running


def test_time_is_over_before_the_new_stream_is_complete(
    make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(name: str, *_: object) -> None:
        raise StreamNotReadyError(f"stream {name!r} is not complete yet", stream=name)

    make("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", seconds=1, restart=True).start()
    monkeypatch.setattr(restarting, "Job", begun)
    make("cam", ((4, 6), np.uint16), ring=64)
    report = recorder.wait(LIMIT).streams["cam"]
    assert (report.ended, report.error) == ("time", None)
    assert not recorder.running


def test_what_cannot_be_recorded_ends_it(make: Callable[..., SHM], tmp_path: Path) -> None:
    first = make("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.fits", restart=True).start()
    first.set_many(images(3))
    until(lambda: recorder.report.recorded == 3)
    make("cam", ((5, 7), np.complex64), ring=64)
    with pytest.raises(StreamUnsupportedError):
        recorder.wait(LIMIT)
    report = recorder.report.streams["cam"]
    assert (report.ended, report.recorded) == ("error", 3)
    with load(tmp_path / "cam.fits") as loaded:
        assert (len(loaded), loaded.complete) == (3, True)


def test_without_restart_it_is_an_error(make: Callable[..., SHM], tmp_path: Path) -> None:
    make("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy").start()
    make("cam", ((4, 6), np.uint16), ring=64)
    with pytest.raises(StreamChangedError):
        recorder.wait(LIMIT)


def test_names_are_free_ones(make: Callable[..., SHM], tmp_path: Path) -> None:
    (tmp_path / "cam_restart001.npy").write_text("of others")
    first = make("cam", ((5, 7), np.uint16), ring=64)
    first.set_many(images(1))
    for number in range(2):
        with Recorder("cam", tmp_path / "cam.npy", restart=True, force=True, start="oldest") as recorder:
            until(lambda: recorder.report.recorded > 0)
            before = recorder.report.recorded
            first = make("cam", ((5 + number, 6), np.uint16), ring=64)
            until(lambda before=before: recorder.report.recorded > before)
        assert recorder.report.streams["cam"].paths[-1] == str(tmp_path / f"cam_restart00{2 + number}.npy")
    assert (tmp_path / "cam_restart001.npy").read_text() == "of others"
    record("cam", tmp_path / "other.npy", frames=1, restart=True, start="oldest")


def test_new_stream_that_is_gone_at_once_ends_it_in_time(
    make: Callable[..., SHM], shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make("cam", ((5, 7), np.uint16), ring=64)
    from pymilk.recording.restarting import Restarting

    attached = Restarting._attached

    def attached_too_late(self: Restarting, *given: Any) -> Any:
        os.unlink(shm_dir / "cam.im.shm")
        return attached(self, *given)

    monkeypatch.setattr(Restarting, "_attached", attached_too_late)
    recorder = Recorder("cam", tmp_path / "cam.npy", restart=True, timeout=2.0).start()
    first.set_data(np.ones((5, 7), np.uint16))
    until(lambda: recorder.report.recorded == 1)
    make("cam", ((4, 6), np.uint16), ring=64)
    with pytest.raises(StreamShapeChangedError, match="another shape"):
        recorder.wait(LIMIT)
    report = recorder.report.streams["cam"]
    assert (report.recorded, report.ended) == (1, "error")
    with load(tmp_path / "cam.npy") as loaded:
        assert loaded.complete, loaded.missing
