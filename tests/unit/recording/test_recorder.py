"""Recorders: begin, end, several streams, reports."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, record
from pymilk._core import FLAG_NEW_FILE
from pymilk.errors import RecordError, StreamChangedError, StreamClosedError, StreamTimeoutError
from support.recordings import EACH_FORMAT, images, recorded, stall_first_commit

# -- begin and end ---------------------------------------------------------------------------------


@EACH_FORMAT
def test_stop_does_not_wait_for_a_frame(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(cam, path).start()
    cam.set_many(images(3))
    began = time.monotonic()
    report = recorder.stop()
    assert time.monotonic() - began < 10  # less than one second on an idle machine
    assert not recorder.running
    assert report.streams["cam"].ended == "stopped"
    assert recorder.stop().recorded == recorder.wait().recorded == report.recorded == 3
    with load(path) as loaded:
        assert (len(loaded), loaded.complete, loaded.header["ended"]) == (3, True, "stopped")


@EACH_FORMAT
def test_script_that_changes_its_directory(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Recorder(cam, f"cam.{suffix}", frames=4, max_frames_per_file=2) as recorder:
        monkeypatch.chdir(tmp_path / "elsewhere")
        cam.set_many(images(4))
        report = recorder.wait(60)
    assert report.streams["cam"].paths == [f"cam_{part:06d}.{suffix}" for part in (0, 1)]
    with load(tmp_path / f"cam.{suffix}") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(4))
        assert loaded.complete
    assert list((tmp_path / "elsewhere").iterdir()) == []


@EACH_FORMAT
@pytest.mark.parametrize("stamp", [-5, 2**63 - 1, -(2**63)])
def test_stamps_without_a_date(suffix: str, stamp: int, cam: SHM, tmp_path: Path) -> None:
    """Writers may stamp frames with anything; DATE-OBS is made of a time that has a date."""
    path = tmp_path / f"cam.{suffix}"
    with Recorder(cam, path, frames=1) as recorder:
        cam._stream.publish(images(1)[0], atime_ns=stamp)
        recorder.wait(60)
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(1))
        assert loaded.info is not None
        assert loaded.info["atime_ns"][0] == stamp
        assert loaded.header["first_ns"] == loaded.info["writetime_ns"][0]


@EACH_FORMAT
def test_no_frame_at_all(suffix: str, cam: SHM, tmp_path: Path) -> None:
    report = record(cam, tmp_path / f"cam.{suffix}", seconds=0.01)
    assert (report.recorded, report.streams["cam"].ended) == (0, "time")
    assert report.streams["cam"].last_age is None
    assert (report.streams["cam"].paths, list(tmp_path.iterdir())) == ([], [])


def test_time_is_over(cam: SHM, tmp_path: Path) -> None:
    began = time.monotonic()
    with Recorder(cam, tmp_path / "cam.npy", seconds=0.5) as recorder:
        cam.set_many(images(20))
        report = recorder.wait()
    assert time.monotonic() - began >= 0.5
    assert (report.recorded, report.streams["cam"].ended) == (20, "time")


def test_begins_in_the_past(cam: SHM, tmp_path: Path) -> None:
    frames = images(50)
    cam.set_many(frames)
    report = record(cam, tmp_path / "cam.npy", frames=50, start="oldest")
    assert report.recorded == 50
    loaded = load(tmp_path / "cam.npy")
    assert loaded.info is not None
    assert loaded.info["cnt0"].tolist() == list(range(1, 51))  # the first frame is the one of the creation
    np.testing.assert_array_equal(loaded.frames[1:], frames[:-1])


def test_unwritten_frames_are_told(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilk.recording.job._STOP_SECONDS", -1.0)  # no time at all
    recorder = Recorder(cam, tmp_path / "cam.npy")
    stalled, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stalled, go)
    recorder.start()
    cam.set_many(images(5))
    assert stalled.wait(30)
    written = 1  # the frames that the disk stands still with
    cam.set_many(images(100))
    next(iter(recorder._jobs.values())).stop()
    go.set()
    report = recorder.stop()
    assert written <= report.recorded <= 5
    assert report.recorded + report.unwritten == 105
    assert "in the ring at the end" in str(report)
    assert len(load(tmp_path / "cam.npy")) == report.recorded


def test_silence_is_an_error_only_if_asked(cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamTimeoutError, match=r"no new frame .* within 0\.05 s") as caught:
        record(cam, tmp_path / "cam.npy", frames=5, timeout=0.05)
    assert caught.value.timeout == 0.05
    assert caught.value.report.recorded == 0
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_restarts_is_followed(tmp_path: Path) -> None:
    frames = images(6)
    first = SHM("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", frames=12)
    with recorder:
        first.set_many(frames)
        while recorder.report.recorded < 6:
            time.sleep(0.001)
        first.close()
        with SHM("cam", ((5, 7), np.uint16), ring=64) as second:
            second.set_many(frames[::-1])
            report = recorder.wait(60)
            second.destroy()
    assert (report.recorded, report.streams["cam"].new_files) == (12, 1)
    loaded = load(tmp_path / "cam.npy")
    assert loaded.info is not None
    new = np.flatnonzero(loaded.info["flags"] & FLAG_NEW_FILE)
    assert new.tolist() == [6]
    np.testing.assert_array_equal(loaded.frames[:6], frames)
    # Of the new file, everything: its first frame is the zeros that it was made with.
    assert loaded.info["cnt0"][6:].tolist() == list(range(1, 7))
    np.testing.assert_array_equal(loaded.frames[7:], frames[::-1][:5])


@pytest.mark.parametrize("ring", [None, 64])
def test_keywords_of_each_file_are_those_of_its_stream(
    ring: int | None, make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pymilk.recording.job._HOLD_SECONDS", 0.1)  # for the order of a first frame

    def wait(count: int) -> None:
        while recorder.report.recorded < count:
            assert recorder.running
            time.sleep(0.001)

    camera = make("cam", ((5, 7), np.uint16), ring=ring)
    camera.set_keywords({"GAIN": (1, "")})
    with Recorder("cam", tmp_path / "cam.npy", frames=4, max_frames_per_file=2) as recorder:
        camera.set_data(images(1)[0])
        wait(1)
        camera.close()
        camera = make("cam", ((5, 7), np.uint16), ring=ring)  # it restarts, with a first frame
        wait(2)
        camera.set_keywords({"GAIN": (2, "")})
        for count in (3, 4):
            camera.set_data(images(1)[0])
            wait(count) if count < 4 else recorder.wait(60)
    for part, gain in enumerate((1, 2)):
        with load(tmp_path / f"cam_{part:06d}.npy") as loaded:
            assert loaded.header["keywords"] == [["GAIN", gain, ""]]


def test_another_shape_ends_it_with_a_finished_file(tmp_path: Path) -> None:
    first = SHM("cam", ((5, 7), np.uint16), ring=64)
    recorder = Recorder("cam", tmp_path / "cam.npy", frames=12).start()
    first.set_many(images(6))
    while recorder.report.recorded < 6:
        time.sleep(0.001)
    first.close()
    with SHM("cam", ((5, 8), np.uint16)) as second:
        second.set_data(np.ones((5, 8), np.uint16))
        with pytest.raises(StreamChangedError) as caught:
            recorder.wait(60)
        second.destroy()
    assert caught.value.report.streams["cam"].ended == "error"
    loaded = load(tmp_path / "cam.npy")
    assert (len(loaded), loaded.complete, loaded.header["ended"]) == (6, False, "error")


def test_closing_the_stream_ends_it(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder(cam, tmp_path / "cam.npy").start()
    cam.set_many(images(4))
    while recorder.report.recorded < 4:
        time.sleep(0.001)
    cam.close()
    with pytest.raises(StreamClosedError):
        recorder.wait(60)
    assert (len(load(tmp_path / "cam.npy")), load(tmp_path / "cam.npy").complete) == (4, False)


def test_a_block_that_raises_still_finishes_the_file(cam: SHM, tmp_path: Path) -> None:
    def observe() -> None:
        with Recorder(cam, tmp_path / "cam.npy"):
            cam.set_many(images(4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe()
    assert (len(load(tmp_path / "cam.npy")), load(tmp_path / "cam.npy").complete) == (4, True)


def test_a_file_can_be_read_while_it_grows(cam: SHM, tmp_path: Path) -> None:
    frames = images(10)
    with Recorder(cam, tmp_path / "cam.npy") as recorder:
        cam.set_many(frames)
        while recorder.report.recorded < 10:
            time.sleep(0.001)
        growing = load(tmp_path / "cam.npy")
        assert not growing.complete
        np.testing.assert_array_equal(growing.frames, frames)
        assert "not complete" in repr(growing)


# -- several streams -------------------------------------------------------------------------------


def test_two_streams(make: Callable[..., SHM], tmp_path: Path) -> None:
    wfs = make("wfs", ((5, 7), np.uint16), ring=512)
    dm = make("dm", ((12,), np.float32), ring=512)
    with Recorder({"wfs": tmp_path / "wfs.npy", dm: tmp_path / "dm.npy"}, frames=200) as recorder:
        wfs.set_many(images(200))
        dm.set_many(images(200, (12,), np.float32))
        report = recorder.wait(60)
    assert (report.recorded, report.lost) == (400, 0)
    assert set(report.streams) == {"wfs", "dm"}
    np.testing.assert_array_equal(load(tmp_path / "wfs.npy").frames, images(200))
    np.testing.assert_array_equal(load(tmp_path / "dm.npy").frames, images(200, (12,), np.float32))


def test_several_streams_into_a_directory_or_template(make: Callable[..., SHM], tmp_path: Path) -> None:
    shms = [make(name, ((5, 7), np.uint16), ring=64) for name in ("a", "b")]
    for path in (tmp_path, tmp_path / "night_{stream}.npy"):
        with Recorder(["a", "b"], path, frames=3) as recorder:
            for shm in shms:
                shm.set_many(images(3))
            recorder.wait(60)
    found = {path.name for path in tmp_path.glob("*.npy") if "info" not in path.name}
    assert found == {"a.npy", "b.npy", "night_a.npy", "night_b.npy"}


def test_one_of_two_fails(make: Callable[..., SHM], tmp_path: Path) -> None:
    good = make("good", ((5, 7), np.uint16), ring=64)
    bad = make("bad", ((5, 7), np.uint16), ring=64)
    recorder = Recorder({good: tmp_path / "good.npy", bad: tmp_path / "bad.npy"}, frames=5).start()
    bad.close()
    good.set_many(images(5))
    with pytest.raises(RecordError, match="1 of 2") as caught:
        recorder.wait(60)
    assert set(caught.value.errors) == {"bad"}
    assert caught.value.report.streams["good"].ended == "complete"
    assert load(tmp_path / "good.npy").complete
    assert not (tmp_path / "bad.npy").exists()  # no frame was recorded


# -- reports ---------------------------------------------------------------------------------------


def test_numbers_of_numpy_are_plain_ones(cam: SHM, tmp_path: Path) -> None:
    counts = {"max_frames_per_file": np.int64(2), "depth": np.uint16(8)}
    report = record(cam, tmp_path / "cam.npy", frames=np.int64(1), start="oldest", **counts)
    assert json.loads(json.dumps(report.to_dict()))["streams"]["cam"]["requested"] == 1


def test_report(cam: SHM, tmp_path: Path) -> None:
    _, report = recorded(cam, tmp_path / "cam.npy", images(50))
    one = report.streams["cam"]
    assert (one.stream, one.requested, one.recorded, one.lost, one.torn) == ("cam", 50, 50, 0, 0)
    assert one.nbytes == report.nbytes == 50 * 70
    assert (one.source, one.ended, one.error, one.complete) == ("fast", "complete", None, True)
    assert one.rate > 0
    assert one.duration == report.duration > 0
    assert json.loads(json.dumps(report.to_dict()))["streams"]["cam"]["paths"] == [str(tmp_path / "cam.npy")]
    for words in ("50 of 50", "Recording of stream 'cam'", "complete", "cam.npy"):
        assert words in str(report)
    assert "50 recorded" in repr(report)
    assert "50 recorded" in repr(one)
