"""Fields in the names of recordings, and keywords that a user gives for their headers."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, record
from pymilk.errors import StreamArgumentError, StreamNotFoundError
from pymilk.recording.naming import expanded, has_fields
from support.recordings import EACH_FORMAT, images
from support.waiting import until

WHEN = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def test_fields_are_filled_in(tmp_path: Path) -> None:
    wanted = f"{tmp_path}/n/{{date}}/{{stream}}_{{utc}}_{{stream}}_{{seq:04d}}.fits"
    path = expanded(wanted, "cam", WHEN).first
    assert path == f"{tmp_path}/n/2027-01-15/cam_20270115T080000_cam_0000.fits"
    assert Path(path).parent.is_dir()
    assert expanded("a{stream}.npy", "cam", WHEN) == ("acam.npy", None)
    assert not has_fields("a{stream}.npy")
    assert expanded(f"{tmp_path}/{{seq}}.npy", "cam", WHEN).first == f"{tmp_path}/0.npy"


@pytest.mark.parametrize("suffix", ["npy", "fits", "h5", "zarr"])
def test_number_is_the_first_free_one(suffix: str, tmp_path: Path) -> None:
    wanted = f"{tmp_path}/cam_{{seq:03d}}.{suffix}"
    (tmp_path / f"cam_000.{suffix}").touch()
    (tmp_path / f"cam_001_000000.{suffix}").touch()  # a series
    assert expanded(wanted, "cam", WHEN).first == f"{tmp_path}/cam_002.{suffix}"


@pytest.mark.parametrize("field", ["{strem}", "{}", "{date:04d}", "{time}"])
def test_field_that_is_not_known(field: str, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match=re.escape("{seq}")):
        expanded(f"{tmp_path}/{field}.npy", "cam", WHEN)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StreamNotFoundError, match="cannot be made"):
        expanded(f"{tmp_path}/file/{{date}}/a.npy", "cam", WHEN)


def test_recordings_of_a_night(make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(name, ((4, 5), np.uint16), ring=8)
    wanted = tmp_path / "{date}" / "{stream}_{seq:02d}.npy"
    for number in range(2):
        with Recorder(["a", "b"], wanted, frames=3) as recorder:
            for name in ("a", "b"):
                with SHM(name) as shm:
                    shm.set_many(images(3, shm.shape))
            recorder.wait(60)
        today = {time.strftime("%Y-%m-%d", time.gmtime(time.time() - back)) for back in (0, 60)}
        paths = [path for each in recorder.report.streams.values() for path in each.paths]
        found = {Path(path).relative_to(tmp_path) for path in paths}
        assert {path.name for path in found} >= {f"a_{number:02d}.npy", f"b_{number:02d}.npy"}
        assert {path.parts[0] for path in found} <= today


@EACH_FORMAT
def test_keywords_for_the_header(suffix: str, cam: SHM, tmp_path: Path) -> None:
    cam.set_keywords({"GAIN": (2.5, "e-/count"), "EXPTIME": 1.0})
    given = {"TELESCOP": "Subaru", "EXPTIME": (0.5, "seconds"), "NIGHT": 3, "DARK": True}
    with Recorder(cam, tmp_path / f"cam.{suffix}", frames=2, keywords=given) as recorder:
        cam.set_many(images(2))
        recorder.wait(60)
    with load(tmp_path / f"cam.{suffix}") as found:
        assert [tuple(each) for each in found.header["keywords"]] == [
            ("GAIN", 2.5, "e-/count"), ("EXPTIME", 0.5, "seconds"), ("TELESCOP", "Subaru", ""),
            ("NIGHT", 3, ""), ("DARK", 1, ""),
        ]  # fmt: skip
    assert cam.get_keywords()["EXPTIME"] == 1.0


@pytest.mark.parametrize(
    "given",
    [["A"], {"": 1}, {"A" * 17: 1}, {1: 2}, {"A": None}, {"A": 2**63}, {"A": "a\nb"}, {"A": (1, 2)},
     {"A": (1, "b", "c")}],
)  # fmt: skip
def test_keywords_that_are_none(given: object, cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match="keywords"):
        record(cam, tmp_path / "cam.npy", frames=1, keywords=given)
    assert list(tmp_path.iterdir()) == []


@EACH_FORMAT
def test_number_counts_the_files_of_a_series(suffix: str, cam: SHM, tmp_path: Path) -> None:
    """The next number that is free, also where somebody else has taken some of them."""
    with Recorder(cam, tmp_path / f"cam_001.{suffix}", frames=1) as recorder:
        cam.set_data(images(1)[0])
        recorder.wait(60)
    frames = images(10)
    wanted = tmp_path / f"cam_{{seq:03d}}.{suffix}"
    with Recorder(cam, wanted, frames=10, max_frames_per_file=4) as recorder:
        cam.set_many(frames)
        report = recorder.wait(60).streams["cam"]
    assert report.complete
    assert [Path(each).name for each in report.paths] == [f"cam_{at:03d}.{suffix}" for at in (0, 2, 3)]
    with load(report.paths) as found:
        assert found.complete, found.missing
        assert [len(load(each)) for each in report.paths] == [4, 4, 2]
        np.testing.assert_array_equal(np.asarray(found.frames), frames)
    with load(report.paths[1]) as found:
        assert found.complete, found.missing
    assert load(tmp_path / f"cam_001.{suffix}").header["frames"] == 1  # that of the other is left alone


def test_number_of_a_folder_is_that_of_the_recording(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "run{seq}" / "cam.npy", frames=4, max_frames_per_file=2) as recorder:
        cam.set_many(images(4))
        report = recorder.wait(60).streams["cam"]
    names = [Path(each).relative_to(tmp_path).as_posix() for each in report.paths]
    assert names == ["run0/cam_000000.npy", "run0/cam_000001.npy"]


def test_number_in_another_working_directory(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with Recorder(cam, "cam_{seq}.npy", frames=4, max_frames_per_file=2) as recorder:
        monkeypatch.chdir(tmp_path / "other")
        (tmp_path / "cam_1.npy").touch()
        cam.set_many(images(4))
        report = recorder.wait(60).streams["cam"]
    assert report.paths == ["cam_0.npy", "cam_2.npy"]
    assert sorted(each.name for each in tmp_path.glob("cam_?.npy")) == ["cam_0.npy", "cam_1.npy", "cam_2.npy"]


def test_number_goes_on_after_a_restart(make, tmp_path: Path) -> None:
    first = make("cam", ((5, 7), np.uint16), ring=64)
    wanted = tmp_path / "cam_{seq}.npy"
    with Recorder("cam", wanted, frames=7, max_frames_per_file=2, restart=True) as recorder:
        first.set_many(images(3))
        until(lambda: recorder.report.recorded == 3)
        second = make("cam", ((4, 4), np.uint16), ring=64, replace=True)
        until(lambda: len(recorder._jobs["cam"]._jobs) == 2)
        second.set_many(images(4, (4, 4)))
        report = recorder.wait(60).streams["cam"]
    assert report.recorded == 7
    assert [Path(each).name for each in report.paths] == [f"cam_{at}.npy" for at in range(4)]
