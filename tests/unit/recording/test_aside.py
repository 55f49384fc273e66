"""A recording that is replaced stays until the new one has frames: a full disk takes neither away."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder, load
from pymilk.errors import StreamStorageError
from pymilk.recording.sinks import sink_of
from support.descriptors import descriptors_left
from support.recordings import EACH_FORMAT, images, recorded
from support.waiting import until

for library in ("astropy", "h5py", "zarr"):
    pytest.importorskip(library)

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=64)


def listed(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def old_is_there(path: Path, files: list[str]) -> None:
    assert [each for each in listed(path.parent) if not each.startswith(".pymilk")] == files
    with load(path, strict=True) as found:
        np.testing.assert_array_equal(found.frames[:], images(5))
        assert len(found.info) == 5


def captured(cam: SHM) -> Any:
    capture = cam.capture(3, background=True)
    cam.set_many(images(3))
    return capture.join()


def recorder(cam: SHM, path: Path) -> None:
    with Recorder(cam, path, frames=3, force=True) as made:
        cam.set_many(images(3))
        made.wait(60)


def saved(cam: SHM, path: Path) -> None:
    pymilk.save(captured(cam), path, force=True)


def interrupted(count: int) -> None:
    raise KeyboardInterrupt


WAYS = pytest.mark.parametrize("way", [recorder, saved])


@WAYS
@EACH_FORMAT
@pytest.mark.parametrize("fails", ["commit", "room", "finish"])
def test_the_disk_is_full(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, way: Any, fails: str
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    files = listed(tmp_path)

    def fail(*_: Any, **__: Any) -> Any:
        raise FULL

    kind = sink_of(str(path))
    with monkeypatch.context() as patched:
        patched.setattr(kind, "commit" if fails == "finish" else fails, fail)
        with pytest.raises(StreamStorageError, match="No space left on device"):
            way(cam, path)
    old_is_there(path, files)
    way(cam, path)
    assert listed(tmp_path) == files or suffix == "zarr"
    with load(path) as found:
        np.testing.assert_array_equal(found.frames[:], images(3))
    assert not list(tmp_path.glob(".pymilk*"))


@WAYS
@EACH_FORMAT
@pytest.mark.parametrize("left", range(6))
def test_there_are_no_file_descriptors(
    cam: SHM, tmp_path: Path, suffix: str, way: Any, left: int
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    files = listed(tmp_path)
    try:
        with descriptors_left(left):
            way(cam, path)
    except StreamStorageError as error:
        assert "no file descriptors left" in str(error)
        old_is_there(path, files)
    else:
        assert left
        with load(path) as found:
            np.testing.assert_array_equal(found.frames[:], images(3))
    # A folder is not deleted without descriptors; a later recording does so.
    assert suffix == "zarr" or not list(tmp_path.glob(".pymilk*"))


@WAYS
@EACH_FORMAT
def test_second_names_cannot_be_made(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, way: Any
) -> None:
    """Without room for them nothing is replaced; on file systems that have none all goes on."""
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    files = listed(tmp_path)
    link = os.link

    def failing(error: int) -> Callable[..., None]:
        def fail(source: Any, target: Any, **_: Any) -> None:
            if Path(source).name.startswith("."):
                link(source, target)
            else:
                raise OSError(error, os.strerror(error))

        return fail

    if suffix != "zarr":
        monkeypatch.setattr("pymilk.recording.aside.os.link", failing(errno.ENOSPC))
        with pytest.raises(StreamStorageError, match="No space left"):
            way(cam, path)
        old_is_there(path, files)
    monkeypatch.setattr("pymilk.recording.aside.os.link", failing(errno.EPERM))
    way(cam, path)
    with load(path) as found:
        np.testing.assert_array_equal(found.frames[:], images(3))


def test_an_older_series_stays_too(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cam.npy"
    recorded(cam, path, images(5), max_frames_per_file=2)[0].close()
    files = listed(tmp_path)
    kind = sink_of(str(path))

    def fail(*_: Any) -> Any:
        raise FULL

    with monkeypatch.context() as patched:
        patched.setattr(kind, "commit", fail)
        with pytest.raises(StreamStorageError):
            recorder(cam, path)
    assert listed(tmp_path) == files
    recorder(cam, path)
    assert listed(tmp_path) == ["cam.info.json", "cam.info.npy", "cam.npy"]


@EACH_FORMAT
@pytest.mark.parametrize("most", [None, 2])
def test_save_is_interrupted(cam: SHM, tmp_path: Path, suffix: str, most: int | None) -> None:
    """An unfinished file of the name of a series would hide it."""
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5), max_frames_per_file=most)[0].close()
    files = listed(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pymilk.save(captured(cam), path, force=True, progress=interrupted)
    old_is_there(path, files)


@EACH_FORMAT
def test_an_interrupted_save_leaves_no_file_without_frames(cam: SHM, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cam.{suffix}"
    with pytest.raises(KeyboardInterrupt):
        pymilk.save(captured(cam), path, progress=interrupted)
    if listed(tmp_path):
        with load(path) as found:
            np.testing.assert_array_equal(found.frames[:], images(3))
            assert not found.complete


@EACH_FORMAT
@pytest.mark.parametrize("fails", ["flush", "verify"])
@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_the_last_frames_cannot_be_written(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, fails: str, error: type[Exception]
) -> None:
    """There is the old recording or the new one, and the report says which."""
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()

    def fail(*_: Any) -> Any:
        raise error

    made = Recorder(cam, path, frames=3, force=True)
    with monkeypatch.context() as patched:
        patched.setattr(sink_of(str(path)), fails, fail)
        made.start()
        cam.set_many(images(3))
        with pytest.raises(error):
            made.wait(60)
    report = made.report.streams["cam"]
    assert (report.recorded, report.unwritten) in ((3, 0), (0, 3))
    with load(path) as found:
        np.testing.assert_array_equal(found.frames[:], images(report.recorded or 5))
        assert found.complete is (report.recorded == 0)
    assert not list(tmp_path.glob(".pymilk*"))


@EACH_FORMAT
def test_the_old_one_goes_though_no_further_frame_comes(cam: SHM, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    with Recorder(cam, path, force=True) as made:
        cam.set_many(images(1))
        until(lambda: made.report.recorded == 1 and not list(tmp_path.glob(".pymilk*")))
        with load(path) as found:
            np.testing.assert_array_equal(found.frames[:], images(1))
        made.stop()
