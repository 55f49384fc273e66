"""Recordings as arrays of dask: many files as one, and computed where their files are not open."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, open_mfrecording
from pymilk.errors import StreamFormatError
from support.recordings import EACH_FORMAT, images, recorded


@pytest.fixture(autouse=True)
def dask() -> Any:
    dask: Any = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        yield dask


def of_parts(cam: SHM, tmp_path: Path, suffix: str, frames: np.ndarray, each: int) -> Any:
    """Record frames into files of so many."""
    with Recorder(cam, tmp_path / f"x.{suffix}", frames=len(frames), max_frames_per_file=each) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
    return open_mfrecording(tmp_path / f"x_*.{suffix}")


@EACH_FORMAT
def test_many_files_as_one(suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilk.streams.labelled._CHUNK_NBYTES", 3 * 5 * 7 * 2)
    frames = images(10)
    with of_parts(cam, tmp_path, suffix, frames, 4) as night:
        lazy = night.to_dask()
    assert lazy.chunks[0] == (3, 1, 3, 1, 2)  # none over the end of a file
    np.testing.assert_array_equal(lazy.compute(), frames)
    np.testing.assert_array_equal(lazy[1:9:3, 2:4].compute(), frames[1:9:3, 2:4])
    np.testing.assert_array_equal(lazy.rechunk((10, 2, 7)).compute(), frames)


@EACH_FORMAT
def test_goes_to_other_processes(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    """What is pickled are paths: some bytes, however large the files are."""
    frames = images(10, (40, 50))
    big = make("big", ((40, 50), np.uint16), ring=64)
    with recorded(big, tmp_path / f"x.{suffix}", frames)[0] as recording:
        source, _ = recording._frames_for_dask()
    packed = pickle.dumps(source)
    assert len(packed) < 1000 < frames.nbytes
    there = pickle.loads(packed)
    np.testing.assert_array_equal(there[2:5, :, 10:20], frames[2:5, :, 10:20])
    assert there[5:5].shape == (0, 40, 50)


def test_turned_frames(make: Any, tmp_path: Path) -> None:
    cam = make("cam", ((5, 7), np.uint16), ring=64, symcode=1)
    frames = images(6, cam.shape)
    with recorded(cam, tmp_path / "x.npy", frames)[0] as recording:
        np.testing.assert_array_equal(recording.to_dask().compute(), frames)


@pytest.mark.parametrize("axes", [None, 2, 3])
def test_arrays_of_others(axes: int | None, tmp_path: Path) -> None:
    frames = images(6)
    np.save(tmp_path / "x.npy", frames)
    with load(tmp_path / "x.npy", frame_axes=axes) as recording:
        np.testing.assert_array_equal(recording.to_dask().compute(), np.asarray(recording))


def test_one_image_of_a_file(tmp_path: Path) -> None:
    fits: Any = pytest.importorskip("astropy.io.fits")
    first, second = images(3), images(4)
    fits.HDUList([fits.PrimaryHDU(first), fits.ImageHDU(second, name="SCI")]).writeto(tmp_path / "x.fits")
    with load(f"{tmp_path}/x.fits[SCI]") as recording:
        np.testing.assert_array_equal(recording.to_dask().compute(), second)


def test_file_that_was_replaced(cam: SHM, tmp_path: Path) -> None:
    with recorded(cam, tmp_path / "x.npy", images(9))[0] as recording:
        lazy = recording.to_dask()
    recorded(cam, tmp_path / "x.npy", images(3), force=True)
    with pytest.raises(StreamFormatError, match="has changed"):
        lazy.compute()


def test_labelled_frames_of_many_files(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    frames = images(10)
    with of_parts(cam, tmp_path, "npy", frames, 4) as night:
        cube = night.to_xarray(chunks={})
        utc = night.utc()
    np.testing.assert_array_equal(cube.sel(time=slice(utc[2], utc[6])).values, frames[2:7])
