"""Files that other programs change while they are recorded, and two recorders of one output."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pymilk import SHM, Capture, Recorder, load, save
from pymilk.errors import NotStartedError, OutputChangedError, RecordingInUseError
from support.recordings import EACH_FORMAT, images

pytest.importorskip("astropy")
pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have recorders look at their files more often than each second."""
    monkeypatch.setattr("pymilk.recording.sinks.base.Sink.flush_seconds", 0.05)


def recording(cam: SHM, path: Path) -> Recorder:
    """Begin, and wait until frames are there."""
    recorder = Recorder(cam, path).start()
    cam.set_many(images(5))
    deadline = time.monotonic() + 30
    while recorder.report.recorded < 5:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return recorder


def feed_until_over(recorder: Recorder, cam: SHM) -> None:
    while recorder.running:
        cam.set_many(images(1))
        recorder.wait(0.05)
    recorder.wait(60)


def changed(path: Path, how: str) -> None:
    if how == "deleted":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif how == "renamed":
        path.rename(path.with_name("other"))
    else:
        path.rename(path.with_name("other"))
        if path.with_name("other").is_dir():
            path.mkdir()
            (path / "keep").write_text("of others")
        else:
            path.write_text("of others")


@EACH_FORMAT
@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
@pytest.mark.parametrize("at", ["end", "work"])
def test_output_that_is_not_there_any_more(
    suffix: str, how: str, at: str, cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorder = recording(cam, path)
    changed(path, how)
    if at == "end":
        recorder.stop()
    with pytest.raises(OutputChangedError, match="by another program") as caught:
        feed_until_over(recorder, cam)
    report = recorder.report.streams["cam"]
    assert (report.ended, report.recorded, report.complete, report.paths) == ("error", 0, False, [])
    assert report.unwritten >= 5
    assert report.rate != report.rate
    assert caught.value.report.recorded == 0
    if how == "replaced":
        kept = path / "keep" if path.is_dir() else path
        assert kept.read_text() == "of others"
    if how != "deleted":
        assert not load_other(tmp_path, suffix)


def load_other(folder: Path, suffix: str) -> bool:
    """Tell whether what was renamed says that it is complete."""
    other = folder / f"other.{suffix}"
    (folder / "other").rename(other)
    for end in (".info.npy", ".info.json"):
        if suffix == "npy":
            shutil.copy(folder / f"cam{end}", folder / f"other{end}")
    if suffix == "fits":
        shutil.copy(folder / "cam.fits.info.npy", folder / "other.fits.info.npy")
    with load(other) as found:
        return found.complete


@pytest.mark.parametrize("name", ["cam.npy", "cam.info.npy", "cam.fits", "cam.fits.info.npy", "cam.h5"])
@pytest.mark.parametrize("length", [0, 200])
def test_output_that_is_cut(name: str, length: int, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / name.replace(".info.npy", "" if "fits" in name else ".npy")
    recorder = recording(cam, path)
    os.truncate(tmp_path / name, length)
    with pytest.raises(OutputChangedError, match="cut by another program"):
        feed_until_over(recorder, cam)
    report = recorder.report.streams["cam"]
    assert (report.ended, report.recorded, report.complete) == ("error", 0, False)
    if name != "cam.h5":  # which its library closes
        assert os.path.getsize(tmp_path / name) == length


@pytest.mark.parametrize("name", ["cam.info.npy", "cam.info.json", "cam.fits.info.npy"])
def test_file_beside_that_is_replaced(name: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / ("cam.fits" if "fits" in name else "cam.npy")
    recorder = recording(cam, path)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text("of others")
    recorder.stop()
    with pytest.raises(OutputChangedError, match=name):
        recorder.wait(60)
    assert (tmp_path / name).read_text() == "of others"


@EACH_FORMAT
def test_output_has_one_recorder(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    first = recording(cam, path)
    for force in (False, True):
        with pytest.raises(RecordingInUseError, match="another recorder of this process") as caught:
            Recorder(cam, path, force=force)
        assert (caught.value.pids, caught.value.path) == ([os.getpid()], str(path))
    with pytest.raises(RecordingInUseError):
        save(_capture(cam), path, force=True)
    with pytest.raises(FileExistsError):
        Recorder(cam, path)
    cam.set_many(images(2))
    assert first.stop().recorded == 8
    with Recorder(cam, path, force=True):
        cam.set_many(images(1))
    with load(path) as found:
        assert (len(found), found.complete) == (1, True)


def _capture(cam: SHM) -> Capture:
    capture = cam.capture(1, background=True)
    cam.set_many(images(1))
    return capture.join()


@EACH_FORMAT
def test_series_that_is_recorded_is_not_replaced(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    first = Recorder(cam, path, max_frames_per_file=3).start()
    cam.set_many(images(5))
    while first.report.recorded < 5:
        time.sleep(0.001)
    with pytest.raises(RecordingInUseError, match="cam_000001"):
        Recorder(cam, path, force=True, max_frames_per_file=3)
    assert first.stop().recorded == 5
    with pytest.raises(NotStartedError):
        Recorder(cam, path, force=True, max_frames_per_file=3).stop()
