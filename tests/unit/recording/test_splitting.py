"""Series by size and time, formats without a suffix, and room on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import StreamArgumentError
from pymilk.recording import room
from pymilk.recording.room import Split
from support.recordings import EACH_FORMAT, images

FRAME = 5 * 7 * 2  # bytes


@pytest.mark.parametrize(
    ("split", "most"),
    [
        (Split(), None),
        (Split(frames=3), 3),
        (Split(nbytes=100), 1),
        (Split(nbytes=99), 9),
        (Split(3, 99), 3),
        (Split(30, 99), 9),
        (Split(nbytes=1), 1),
    ],
)
def test_frames_of_a_file(split: Split, most: int | None) -> None:
    assert split.most_frames(11 if split.nbytes != 100 else 51) == most
    assert split.asked == (split != Split())


def check_series(path: Path, counts: list[int], frames: np.ndarray, lost: int = 0) -> None:
    """Verify that each frame of a series is in one file, in order."""
    with load(path) as whole:
        assert whole.complete, whole.missing
        assert [len(load(each)) for each in whole.paths] == counts
        np.testing.assert_array_equal(np.asarray(whole.frames), frames)
        assert whole.info is not None
        assert int(whole.info["lost"].sum()) == lost


@EACH_FORMAT
def test_split_by_size(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(25)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, frames=25, max_bytes_per_file=10 * FRAME + 5) as recorder:
        cam.set_many(frames)
        report = recorder.wait(60).streams["cam"]
    assert (report.recorded, report.lost, report.unwritten) == (25, 0, 0)
    check_series(base, [10, 10, 5], frames)


def test_what_comes_first_begins_the_next_file(cam: SHM, tmp_path: Path) -> None:
    frames = images(25)
    options = {"max_bytes_per_file": 10 * FRAME, "max_frames_per_file": 12, "max_seconds_per_file": 1e6}
    with Recorder(cam, tmp_path / "cam.npy", frames=25, **options) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
    check_series(tmp_path / "cam.npy", [10, 10, 5], frames)


@EACH_FORMAT
def test_split_by_time(suffix: str, cam: SHM, tmp_path: Path) -> None:
    """The first frame after that time begins the next file; none is begun without one."""
    frames = images(12)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, max_seconds_per_file=0.004) as recorder:
        for first in (0, 4, 8):
            cam.set_many(frames[first : first + 4])
            while recorder.report.recorded < first + 4:
                time.sleep(0.001)
            time.sleep(0.005)
    report = recorder.report.streams["cam"]
    assert (report.recorded, report.lost, report.ended) == (12, 0, "stopped")
    with load(base) as whole:
        assert whole.complete, whole.missing
        assert len(whole.paths) >= 3  # more if the machine was slow between frames
        np.testing.assert_array_equal(np.asarray(whole.frames), frames)


def test_frames_lost_at_the_seam_are_counted_once(make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=8)
    frames = images(40)
    recorder = Recorder(shm, tmp_path / "cam.npy", max_bytes_per_file=4 * FRAME)
    job = next(iter(recorder._jobs.values()))
    job.prepare()
    shm.set_many(frames[:4])
    job._take(job._ring, 4, 0.0)  # the file is full
    shm.set_many(frames[4:30])  # 18 of these are overwritten before the next file
    while job._ring.lag:
        job._take(job._ring, 4, 0.0)
    shm.set_many(frames[30:])
    while job._ring.lag:
        job._take(job._ring, 4, 0.0)
    job._close("stopped")
    report = job.report
    assert report.lost > 0
    assert report.recorded + report.lost == 40
    with load(tmp_path / "cam.npy") as whole:
        assert whole.complete, whole.missing
        assert sum(load(each).header["lost"] for each in whole.paths) == report.lost
        assert int(whole.info["lost"].sum()) == report.lost == whole.gaps["lost"].sum()
        assert len(whole.gaps) == 1 + (report.lost > 18)


@pytest.mark.parametrize("kind", ["npy", "fits", "hdf5", "zarr"])
def test_format_of_names_without_suffix(kind: str, cam: SHM, tmp_path: Path) -> None:
    suffix = {"hdf5": "h5"}.get(kind, kind)
    for target, found in (
        ("a.2026", f"a.2026.{suffix}"),
        ("", f"cam.{suffix}"),
        (f"b.{suffix}", f"b.{suffix}"),
        ("n/{stream}_{seq:02d}", f"n/cam_00.{suffix}"),
    ):
        with Recorder(cam, tmp_path / target, frames=2, format=kind) as recorder:
            cam.set_many(images(2))
            report = recorder.wait(60).streams["cam"]
        assert report.paths == [str(tmp_path / found)]
    with Recorder({cam: tmp_path / "mapped"}, frames=2, format=kind) as recorder:
        cam.set_many(images(2))
    with load(tmp_path / f"mapped.{suffix}") as loaded:
        assert len(loaded) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "tiff"}, "npy"),
        ({"format": "fits"}, "suffix of the format npy"),
        ({"max_bytes_per_file": 0}, "max_bytes_per_file"),
        ({"max_seconds_per_file": 0}, "max_seconds_per_file"),
        ({"max_seconds_per_file": float("nan")}, "max_seconds_per_file"),
        ({"restart": True}, "give the name"),
    ],
)
def test_refused(options: dict[str, object], words: str, cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=words):
        Recorder(cam, tmp_path / "cam.npy", **options)
    assert list(tmp_path.iterdir()) == []


def test_room_on_the_disk(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.os, "statvfs", lambda path: SimpleNamespace(f_bavail=10, f_frsize=100))
    recorder = Recorder(cam, tmp_path / "cam.npy", frames=1000 // FRAME)
    assert recorder.shortage() == ""
    recorder.start().stop()
    recorder = Recorder({cam: tmp_path / "a.npy"}, frames=1_000_000)
    assert recorder.shortage() == (
        f"the frames asked for are 0.07 GB, and {tmp_path} has room for 1e-06 GB"
    )
    recorder.start()
    cam.set_many(images(50))
    while recorder.report.recorded < 50:
        time.sleep(0.001)
    report = recorder.stop().streams["cam"]
    left = room.seconds_of_room([report])
    assert left == {"cam": pytest.approx(1000 / (report.rate * FRAME))}
    report.paths = [os.path.join(tmp_path, "not", "there.npy")]
    assert room.seconds_of_room([report]) == {}
