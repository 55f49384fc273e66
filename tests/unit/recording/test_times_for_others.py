"""Where programs without pymilk find the time of each frame: it is where ``pymilk info`` says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.cli.describing import recording_report
from pymilk.recording.details import recording_details
from support.recordings import EACH_FORMAT, format_parameters, images, recorded

WORDS = {
    "npy": ("rows beside it", "rows beside it"),
    "fits": ("column TIME", "rows beside it"),
    "h5": ("coordinate time", "coordinate time"),
    "zarr": ("coordinate time", "no coordinates until it is finished"),
}


def copied_at_work(cam: SHM, path: Path, frames: np.ndarray) -> Path:
    """Copy a recording as a kill would leave it: everything of these frames is on the disk, and no end."""
    copy = path.parent / "killed" / path.name
    with Recorder(cam, path) as recorder:
        cam.set_many(frames)
        while not path.exists() or len(load(path)) < len(frames):
            assert recorder.running
        shutil.copytree(path.parent, copy.parent, ignore=shutil.ignore_patterns("killed", ".pymilk.*"))
    return copy


@EACH_FORMAT
def test_finished(suffix: str, cam: SHM, tmp_path: Path) -> None:
    with recorded(cam, tmp_path / f"x.{suffix}", images(9))[0] as recording:
        utc = recording.utc()
    details = recording_details(tmp_path / f"x.{suffix}")
    assert details["times"] == [str(utc[0]), str(utc[-1])]
    assert WORDS[suffix][0] in details["times_in"]
    lines = recording_report(details, lambda table: [])
    assert f"times       {utc[0]} to {utc[-1]} UTC" in lines


@pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "zarr"))
def test_killed(suffix: str, cam: SHM, tmp_path: Path) -> None:
    killed = copied_at_work(cam, tmp_path / f"x.{suffix}", images(5))
    details = recording_details(killed)
    assert not details["complete"]
    assert WORDS[suffix][1] in details["times_in"]
    with load(killed) as recording:
        assert details["times"] == [str(recording.utc()[0]), str(recording.utc()[-1])]


def test_arrays_of_others_have_none(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(3))
    details = recording_details(tmp_path / "x.npy")
    assert details["times"] is details["times_in"] is None
    assert not [each for each in recording_report(details, lambda table: []) if "times" in each]


def test_killed_zarr_as_labelled_frames(cam: SHM, tmp_path: Path) -> None:
    """The coordinates come from the rows, with pymilk or, as docs/recording.md has it, without."""
    pytest.importorskip("xarray")
    zarr: Any = pytest.importorskip("zarr")
    killed = copied_at_work(cam, tmp_path / "x.zarr", images(5))
    with load(killed) as recording:
        cube = recording.to_xarray()
        assert sorted(cube.coords) == ["cnt0", "time"]
        np.testing.assert_array_equal(cube["time"].values, recording.utc())
        np.testing.assert_array_equal(cube.values, images(5))
        utc, offset = recording.utc(), recording.header["tai_offset"]
    group = zarr.open_group(killed, mode="r")
    assert "time" not in group
    at = group["info"].attrs["columns"].index("atime_ns")
    nanoseconds = group["info"][:, at] - group.attrs["tai_offset"] * 10**9
    assert group.attrs["tai_offset"] == offset
    np.testing.assert_array_equal(nanoseconds.astype("datetime64[ns]"), utc)


def test_npy_joined_with_its_rows(cam: SHM, tmp_path: Path) -> None:
    """The recipe of docs/recording.md."""
    import json

    with recorded(cam, tmp_path / "cam.npy", images(9))[0] as recording:
        expected = recording.utc()
    base = tmp_path / "cam"
    frames, rows = np.load(f"{base}.npy", mmap_mode="r"), np.load(f"{base}.info.npy")
    offset = json.loads(Path(f"{base}.info.json").read_text())["tai_offset"]
    utc = (rows["atime_ns"] - offset * 10**9).astype("datetime64[ns]")
    np.testing.assert_array_equal(utc, expected)
    assert len(frames) == len(utc)
