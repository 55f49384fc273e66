"""Recorders that refuse: the right exception, and no file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder, load, record
from pymilk.errors import (
    NotStartedError,
    StreamArgumentError,
    StreamExistsError,
    StreamNotFoundError,
    StreamPermissionError,
    StreamTimeoutError,
)
from pymilk.recording.sinks import sink_of
from support.recordings import EACH_FORMAT, images, recorded


@EACH_FORMAT
def test_existing_files_are_not_replaced(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    with pytest.raises(StreamExistsError, match="force") as caught:
        Recorder(cam, path, frames=1)
    assert isinstance(caught.value, FileExistsError)
    assert caught.value.path == str(path)
    with load(path) as loaded:
        assert len(loaded) == 5
    loaded, _ = recorded(cam, path, images(3), force=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(3))


@EACH_FORMAT
def test_what_is_replaced_stays_until_the_first_frame(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(5))[0].close()
    recorder = Recorder(cam, path, frames=3, force=True).start()
    assert recorder.report.streams["cam"].paths == []
    with load(path) as old:
        np.testing.assert_array_equal(np.asarray(old.frames), images(5))
    cam.set_many(images(1))
    while not recorder.report.recorded:
        time.sleep(0.001)
    with load(path) as new:
        assert not new.complete
        assert len(new) <= 1
    cam.set_many(images(3)[1:])
    report = recorder.wait(60)
    with load(path) as new:
        np.testing.assert_array_equal(np.asarray(new.frames), [*images(1), *images(3)[1:]])
        assert new.complete
        assert new.header["started_ns"] < new.header["first_ns"]
    assert report.streams["cam"].paths == [str(path)]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@EACH_FORMAT
@pytest.mark.parametrize("part", [None, 2])
def test_what_is_replaced_stays_if_no_frame_comes(
    suffix: str, part: int | None, cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    with Recorder(cam, path, frames=5, max_frames_per_file=part) as recorder:
        cam.set_many(images(5))
        recorder.wait(60)
    before = sorted(tmp_path.rglob("*"))
    report = record(cam, path, seconds=0.01, force=True)
    assert (report.recorded, report.complete, report.streams["cam"].paths) == (0, True, [])
    assert "what was there stays" in str(report)
    with pytest.raises(StreamTimeoutError):
        record(cam, path, frames=1, timeout=0.01, force=True)
    assert sorted(tmp_path.rglob("*")) == before
    with load(path) as old:
        np.testing.assert_array_equal(np.asarray(old.frames), images(5))
        assert old.complete


@EACH_FORMAT
@pytest.mark.parametrize(("old", "new"), [(None, 2), (2, None), (1, 2)])
def test_series_and_single_files_replace_each_other(
    suffix: str, old: int | None, new: int | None, cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    for count, part in ((5, old), (4, new)):
        with Recorder(cam, path, frames=count, max_frames_per_file=part, force=True) as recorder:
            cam.set_many(images(count))
            recorder.wait(60)
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), images(4))
    names = [f"cam.{suffix}"] if new is None else [f"cam_{number:06d}.{suffix}" for number in (0, 1)]
    assert sorted(each.name for each in tmp_path.glob(f"cam*.{suffix}") if "info" not in each.name) == names


@EACH_FORMAT
def test_sink_that_cannot_be_made_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    """Somebody else has made the file a moment before."""
    path = tmp_path / f"cam.{suffix}"
    path.mkdir() if suffix == "zarr" else path.write_text("of others")
    header = {"pymilk": "0", "stream": "any", "dtype": "float32", "shape": [4], "stream_shape": [4]}
    header |= {"axes": "", "symcode": 4, "tri_dim": 0, "squeeze": False, "clock": "", "tai_offset": 0}
    header |= {"started_ns": 1, "first_ns": 1, "frames": 0, "lost": 0, "ended": "", "part": None}
    header |= {"keywords": [], "complete": False}
    with pytest.raises(FileExistsError):
        sink_of(str(path))(str(path), (4,), np.dtype(np.float32), header)
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_dir() or path.read_text() == "of others"


def test_two_that_begin_at_once_do_not_share_a_header(cam: SHM, tmp_path: Path) -> None:
    first, second = (Recorder(cam, tmp_path / "cam.npy", frames=2) for _ in range(2))
    with first:
        before = (tmp_path / "cam.info.json").read_text()
        with pytest.raises(StreamExistsError):
            second.start()
        assert (tmp_path / "cam.info.json").read_text() == before
        cam.set_many(images(2))
        first.wait(60)
    np.testing.assert_array_equal(load(tmp_path / "cam.npy").frames, images(2))


def test_files_beside_the_frames_are_not_replaced_either(cam: SHM, tmp_path: Path) -> None:
    (tmp_path / "cam.info.npy").write_text("precious")
    with pytest.raises(StreamExistsError, match=r"cam\.info\.npy"):
        Recorder(cam, tmp_path / "cam.npy", frames=1)
    assert (tmp_path / "cam.info.npy").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        ("cam.tif", {}, StreamArgumentError, "suffix"),
        ("no/such/cam.npy", {}, StreamNotFoundError, "no directory"),
        ("cam.npy", {"frames": 0}, StreamArgumentError, "frames"),
        ("cam.npy", {"frames": 2.5}, StreamArgumentError, "frames"),
        ("cam.npy", {"max_frames_per_file": -1}, StreamArgumentError, "max_frames_per_file"),
        ("cam.npy", {"depth": "deep"}, StreamArgumentError, "depth"),
        ("cam.npy", {"start": "now"}, StreamArgumentError, "start"),
        ("cam.npy", {"wait": "long"}, StreamArgumentError, "wait"),
        ("cam.npy", {"seconds": -1}, StreamArgumentError, "seconds"),
        ("cam.npy", {"cpu": 10_000}, StreamArgumentError, "cpu"),
        (7, {}, StreamArgumentError, "path"),
        (None, {}, StreamArgumentError, "where to"),
    ],
)
def test_wrong_arguments(
    path: Any, options: dict[str, Any], error: type[Exception], words: str, cam: SHM, tmp_path: Path
) -> None:
    target = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(error, match=words):
        Recorder(cam, target, **options)
    assert list(tmp_path.iterdir()) == []


def test_wrong_sources(cam: SHM, make: Callable[..., SHM], tmp_path: Path) -> None:
    for source in (7, [], [7], {}):
        with pytest.raises(StreamArgumentError):
            Recorder(source, None if isinstance(source, dict) else tmp_path / "{stream}.npy")
    with pytest.raises(StreamArgumentError, match="twice"):
        Recorder(["cam", cam], tmp_path)
    with pytest.raises(StreamArgumentError, match="one file for 2 streams"):
        Recorder(["cam", "dm"], tmp_path / "both.npy")
    make("dm", ((3, 3), np.uint16))
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.npy", "dm": tmp_path / "x.npy"})
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.npy", "dm": f"{tmp_path}/./x.npy"}, force=True)
    with pytest.raises(StreamArgumentError, match="one file"):
        Recorder({"cam": tmp_path / "x.info.npy", "dm": tmp_path / "x.npy"})
    for options in ({"force": True}, {"max_frames_per_file": 9}):
        with pytest.raises(StreamArgumentError, match="of a series"):
            Recorder({"cam": tmp_path / "x_000001.npy", "dm": tmp_path / "x.npy"}, **options)
    with pytest.raises(StreamArgumentError, match="mapping has the paths"):
        Recorder({"cam": tmp_path / "x.npy"}, tmp_path)
    with pytest.raises(StreamNotFoundError):
        Recorder("none", tmp_path / "x.npy")
    with pytest.raises(StreamArgumentError, match="frames"):
        record(cam, tmp_path / "x.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_recorder_starts_once(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder("cam", tmp_path / "cam.npy")
    assert not recorder.running
    assert "not started" in repr(recorder)
    with pytest.raises(NotStartedError):
        recorder.stop()
    with pytest.raises(StreamArgumentError, match="starts once"):
        recorder.start()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_that_is_not_writable(cam: SHM, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StreamPermissionError):
            Recorder(cam, tmp_path / "cam.npy", frames=1)
    finally:
        tmp_path.chmod(0o700)


def test_a_start_that_fails_leaves_nothing(
    make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ring of one of two cannot be allocated: no file stays, and what was there does."""
    first = make("a", ((5, 7), np.uint16), ring=16)
    make("b", ((5, 7), np.uint16))
    recorder = Recorder(["a", "b"], tmp_path, depth=2**40)
    with pytest.raises(pymilk.errors.CaptureMemoryError, match="depth"):
        recorder.start()
    assert not recorder.running
    assert list(tmp_path.iterdir()) == []
    assert recorder.report.streams["a"].paths == []
    assert recorder.report.duration < 60
    recorded(first, tmp_path / "a.npy", images(5))
    with pytest.raises(pymilk.errors.CaptureMemoryError, match="depth"):
        Recorder(["a", "b"], tmp_path, depth=2**40, force=True).start()
    np.testing.assert_array_equal(load(tmp_path / "a.npy").frames, images(5))
