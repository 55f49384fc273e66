"""Files that xarray opens without pymilk: named axes of Zarr and HDF5, and metadata in one place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from support.recordings import images, recorded
from support.waiting import until

#: Of frames, and the axes that they are stored with. The stack axis of 3D frames comes first there.
SHAPES = {(5,): ["time", "x"], (5, 7): ["time", "y", "x"], (2, 5, 7): ["time", "z", "y", "x"]}


def as_stored(frames: np.ndarray) -> np.ndarray:
    return frames.transpose(0, 3, 1, 2) if frames.ndim == 4 else frames


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_axes_of_zarr(shape: tuple[int, ...], make: Callable[..., SHM], tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    frames = images(9, shape)
    recorded(make("named", (shape, np.uint16), ring=64), tmp_path / "x.zarr", frames)[0].close()
    group = zarr.open_group(tmp_path / "x.zarr", mode="r", use_consolidated=True)
    assert list(group["frames"].metadata.dimension_names) == SHAPES[shape]
    assert list(group["info"].metadata.dimension_names) == ["time", "column"]
    np.testing.assert_array_equal(group["frames"][:], as_stored(frames))


def test_metadata_in_one_place_is_that_of_the_arrays(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    recorded(cam, tmp_path / "x.zarr", images(9), compress=True)[0].close()
    whole = json.loads((tmp_path / "x.zarr/zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert sorted(whole) == ["cnt0", "frames", "info", "time"]
    for name in whole:
        assert whole[name] == json.loads((tmp_path / "x.zarr" / name / "zarr.json").read_text())


def test_unfinished_group_has_no_metadata_in_one_place(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    with Recorder(cam, tmp_path / "x.zarr"):
        cam.set_many(images(5))
        until((tmp_path / "x.zarr").exists)
        found = json.loads((tmp_path / "x.zarr/zarr.json").read_text())
    assert "consolidated_metadata" not in found  # shapes grow: it would be wrong
    assert "consolidated_metadata" in json.loads((tmp_path / "x.zarr/zarr.json").read_text())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_axes_of_hdf5(shape: tuple[int, ...], make: Callable[..., SHM], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    frames = images(9, shape)
    recorded(make("named", (shape, np.uint16), ring=64), tmp_path / "x.h5", frames)[0].close()
    with h5py.File(tmp_path / "x.h5") as h5:
        for axis, name in enumerate(SHAPES[shape]):
            [(label, scale)] = h5["frames"].dims[axis].items()
            assert scale.name == f"/{name}"
            assert scale.shape == (as_stored(frames).shape[axis],)
            if axis:
                assert label == "This is a netCDF dimension but not a netCDF variable."
                assert scale.id.get_storage_size() == 0
        for name in ("info", "cnt0"):
            assert [scale.name for scale in h5[name].dims[0].values()] == ["/time"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("suffix", "engine"), [("h5", "h5netcdf"), ("zarr", "zarr")])
@pytest.mark.parametrize("compress", [False, True])
def test_xarray_without_pymilk(
    suffix: str, engine: str, shape: tuple[int, ...], compress: bool, make: Callable[..., SHM], tmp_path: Path
) -> None:
    pytest.importorskip(engine)
    xarray: Any = pytest.importorskip("xarray")
    frames = images(9, shape)
    path = tmp_path / f"x.{suffix}"
    shm = make("named", (shape, np.uint16), ring=64)
    with recorded(shm, path, frames, compress=compress)[0] as recording:
        numbers = recording.info["cnt0"]
    data = (
        xarray.open_zarr(path, chunks=None)
        if engine == "zarr"
        else xarray.open_dataset(path, engine="h5netcdf")
    )
    with data:
        assert list(data["frames"].dims) == SHAPES[shape]
        assert data["frames"].dtype == np.uint16
        np.testing.assert_array_equal(data["frames"].values, as_stored(frames))
        rows = data["info"].values
        np.testing.assert_array_equal(rows["cnt0"] if suffix == "h5" else rows[:, 0], numbers)
        assert data.attrs["stream"] == "named"


def test_older_files_without_names_are_read(cam: SHM, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    frames = images(9)
    recorded(cam, tmp_path / "new.h5", frames)[0].close()
    with h5py.File(tmp_path / "new.h5") as new, h5py.File(tmp_path / "old.h5", "w") as old:
        for name in ("frames", "info", "header"):
            old.create_dataset(name, data=new[name][()], dtype=new[name].dtype)
    with load(tmp_path / "old.h5") as recording:
        assert recording.complete
        np.testing.assert_array_equal(recording, frames)
