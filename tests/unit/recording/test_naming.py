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

WHEN = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def test_fields_are_filled_in(tmp_path: Path) -> None:
    path = expanded(f"{tmp_path}/n/{{date}}/{{stream}}_{{utc}}_{{stream}}_{{seq:04d}}.fits", "cam", WHEN)
    assert path == f"{tmp_path}/n/2027-01-15/cam_20270115T080000_cam_0000.fits"
    assert Path(path).parent.is_dir()
    assert expanded("a{stream}.npy", "cam", WHEN) == "acam.npy"
    assert not has_fields("a{stream}.npy")
    assert expanded(f"{tmp_path}/{{seq}}.npy", "cam", WHEN) == f"{tmp_path}/0.npy"


@pytest.mark.parametrize("suffix", ["npy", "fits", "h5", "zarr"])
def test_number_is_the_first_free_one(suffix: str, tmp_path: Path) -> None:
    wanted = f"{tmp_path}/cam_{{seq:03d}}.{suffix}"
    (tmp_path / f"cam_000.{suffix}").touch()
    (tmp_path / f"cam_001_000000.{suffix}").touch()  # a series
    assert expanded(wanted, "cam", WHEN) == f"{tmp_path}/cam_002.{suffix}"


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
