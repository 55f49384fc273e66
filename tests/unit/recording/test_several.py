"""`open_mfrecording`: many files, chosen by a pattern, as one recording."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, load, open_mfrecording
from pymilk.errors import (
    RecordingIncompleteError,
    StreamArgumentError,
    StreamFormatError,
    StreamNotFoundError,
)
from pymilk.recording.sinks import sink_of
from support.recordings import EACH_FORMAT, images, recorded


@EACH_FORMAT
def test_files_of_a_series(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(23)
    recorded(cam, tmp_path / f"x.{suffix}", frames, max_frames_per_file=2)[0].close()
    for pattern in (f"x_*.{suffix}", "x_*", f"**/x_0000*.{suffix}"):
        with open_mfrecording(tmp_path / pattern, strict=True) as night:
            assert len(night.paths) == 12
            np.testing.assert_array_equal(night, frames)
            np.testing.assert_array_equal(np.diff(night.info["cnt0"]), 1)
    with open_mfrecording(tmp_path / f"x_00000[1-3].{suffix}") as part:
        np.testing.assert_array_equal(part, frames[2:8])
        assert not part.complete


def test_numbers_count_as_numbers_and_gaps_are_told(cam: SHM, tmp_path: Path) -> None:
    frames = images(9)
    for at, name in enumerate(("c_2", "c_10", "c_101")):
        recorded(cam, tmp_path / f"{name}.npy", frames[3 * at : 3 * at + 3])[0].close()
        cam.set_data(frames[0])  # not recorded
    with open_mfrecording(str(tmp_path / "c_*.npy")) as night:
        np.testing.assert_array_equal(night, frames)
        assert night.gaps["lost"].tolist() == [1, 1]
    given = [tmp_path / "c_10*", tmp_path / "c_2.npy"]
    with open_mfrecording(given) as other:
        assert [Path(path).stem for path in other.paths] == ["c_10", "c_101", "c_2"]
        assert not other.complete


def test_what_does_not_belong_together_is_told(make: Any, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / "n_1.npy", images(3))[0].close()
    other = make("other", ((5, 7), np.uint16), ring=16)
    recorded(other, tmp_path / "n_2.npy", images(3))[0].close()
    with pytest.raises(RecordingIncompleteError, match="another stream"):
        open_mfrecording(tmp_path / "n_*", strict=True)
    np.save(tmp_path / "n_3.npy", images(3, (2, 2)))
    with pytest.raises(StreamFormatError, match="load them one by one"):
        open_mfrecording(tmp_path / "n_*")


@EACH_FORMAT
@pytest.mark.parametrize("left", [0, 1, 2])
def test_one_file_that_is_left_of_a_series(suffix: str, left: int, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / f"x.{suffix}", images(6), max_frames_per_file=2)[0].close()
    (tmp_path / "other").mkdir()
    for path in list(tmp_path.glob("x_*")):
        if f"_00000{left}" not in path.name:
            path.rename(tmp_path / "other" / path.name)
    words = ["it says that the series goes on", "file 0 of the series", "file 0 of the series"][left]
    with open_mfrecording(tmp_path / "x_*") as found:
        assert (len(found), found.complete) == (2, False)
        assert words in found.missing
    with open_mfrecording(tmp_path / f"x_00000{left}.{suffix}") as alone:
        assert alone.complete


@EACH_FORMAT
def test_a_file_of_no_series_among_those_of_one(suffix: str, cam: SHM, tmp_path: Path) -> None:
    recorded(cam, tmp_path / f"x.{suffix}", images(6), max_frames_per_file=2)[0].close()
    recorded(cam, tmp_path / f"y.{suffix}", images(2))[0].close()
    kind = sink_of(f"x.{suffix}")
    kind.remove(str(tmp_path / f"x_000001.{suffix}"))
    pairs = zip(*(kind.files(str(tmp_path / f"{name}.{suffix}")) for name in ("y", "x_000001")), strict=True)
    for source, target in pairs:
        if Path(source).exists():
            Path(source).rename(target)
    with load(tmp_path / f"x.{suffix}") as found:
        assert not found.complete
        assert re.search(r"file 1 of the series .*: .*x_000001.* is no file of a series", found.missing)


def test_nothing_that_matches(tmp_path: Path) -> None:
    with pytest.raises(StreamNotFoundError, match=r"no recording .*x_\*"):
        open_mfrecording(tmp_path / "x_*.fits")
    for wrong in (5, [5], None):
        with pytest.raises(StreamArgumentError, match="wildcards"):
            open_mfrecording(wrong)  # type: ignore[arg-type]
    with pytest.raises(StreamArgumentError):
        open_mfrecording([])


def test_public_name() -> None:
    assert "open_mfrecording" in dir(pymilk)
