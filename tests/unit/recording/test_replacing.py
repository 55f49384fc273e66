"""``force`` replaces recordings, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, save
from pymilk.errors import StreamExistsError
from pymilk.recording.replacing import check_replaceable
from support.recordings import EACH_FORMAT, images, recorded


def tree(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def refused(cam: SHM, path: Path, match: str) -> None:
    """Check that nothing replaces what is there."""
    before = tree(path.parent)
    with pytest.raises(StreamExistsError, match=match) as caught:
        Recorder(cam, path, frames=1, force=True)
    assert caught.value.path is not None
    assert str(caught.value.path).startswith(str(path.parent))
    capture = cam.capture(1, timeout=5, background=True)
    cam.set_many(images(1))
    with pytest.raises(StreamExistsError, match=match):
        save(capture.join(), path, force=True)
    assert tree(path.parent) == before


def test_folder_of_a_user(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "keep.zarr"
    path.mkdir()
    (path / "thesis.txt").write_text("three years")
    refused(cam, path, r"keep\.zarr is no recording of pymilk \(a folder without")


@pytest.mark.parametrize("place", ["notes.txt", "frames/c.txt", "info/mine.npy", "dark/zarr.json"])
def test_recording_to_which_a_user_added_something(cam: SHM, tmp_path: Path, place: str) -> None:
    pytest.importorskip("zarr", reason="extra zarr")
    path = tmp_path / "cam.zarr"
    recorded(cam, path, images(3))[0].close()
    (path / place).parent.mkdir(exist_ok=True)
    (path / place).write_text("mine")
    refused(cam, path, f"it holds {place.split('/')[0] if place.startswith('dark') else place}")


def test_zarr_group_of_others(cam: SHM, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="extra zarr")
    path = tmp_path / "cam.zarr"
    zarr.open_group(str(path), mode="w").create_array("frames", shape=(3, 4, 4), dtype="u2")
    refused(cam, path, "without the header")


def test_array_of_a_user(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "dark.npy"
    np.save(path, np.zeros((3, 4, 4)))
    refused(cam, path, "frames without rows")


def test_fits_image_of_a_user(cam: SHM, tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    path = tmp_path / "dark.fits"
    fits.writeto(path, np.zeros((4, 4), np.float32))
    refused(cam, path, "frames without rows")


def test_hdf5_file_of_a_user(cam: SHM, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="extra hdf5")
    path = tmp_path / "all.h5"
    with h5py.File(path, "w") as file:
        file["night"] = np.zeros(3)
    refused(cam, path, "it has night")


@EACH_FORMAT
def test_file_of_another_kind(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"notes.{suffix}"
    path.write_text("of the night")
    refused(cam, path, "is no recording of pymilk")


@EACH_FORMAT
def test_part_of_a_series_that_is_none(suffix: str, cam: SHM, tmp_path: Path) -> None:
    """A user's own file has the name of a part."""
    (tmp_path / f"cam_000007.{suffix}").write_text("mine")
    refused(cam, tmp_path / f"cam.{suffix}", "cam_000007")


@EACH_FORMAT
def test_what_is_left_of_a_recording_is_replaced(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(3))[0].close()
    if path.is_dir():
        (path / "frames" / "c.0.0.0").unlink()
    else:
        os.truncate(path, 400)
    recorded(cam, path, images(2), force=True)[0].close()
    with load(path) as found:
        assert len(found) == 2


def test_empty_files_and_links_are_nothing_to_lose(cam: SHM, tmp_path: Path) -> None:
    (tmp_path / "cam.npy").touch()
    (tmp_path / "cam.zarr").mkdir()
    (tmp_path / "thesis.txt").write_text("three years")
    os.symlink(tmp_path / "thesis.txt", tmp_path / "link.npy")
    for name in ("cam.npy", "cam.zarr", "link.npy", "none.npy"):
        check_replaceable(str(tmp_path / name))
    recorded(cam, tmp_path / "link.npy", images(2), force=True)[0].close()
    assert (tmp_path / "thesis.txt").read_text() == "three years"
