"""Recordings and captures for pandas, xarray and dask: times in UTC, numbers, headers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Recorder, load
from pymilk.errors import LibraryMissingError, StreamArgumentError, StreamFormatError
from pymilk.recording import LazyFrames, headers
from pymilk.times import frame_times, tai_offset
from support.recordings import EACH_FORMAT, images, recorded

ATIMES = 1_700_000_037_000_000_000 + np.arange(6) * 1_000_000
UTC = np.datetime64(1_700_000_000_000_000_000, "ns") + np.arange(6) * np.timedelta64(1, "ms")


@pytest.fixture(autouse=True)
def _no_threads_of_dask() -> Iterator[None]:
    """They stay for the rest of the process."""
    if importlib.util.find_spec("dask") is None:
        yield
        return
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def far(cam: SHM, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes recordings of a machine whose clock was told that TAI is 37 s ahead."""

    def record(path: Path) -> Any:
        monkeypatch.setattr(headers, "tai_offset", lambda: 37)
        cam["EXPTIME"] = 0.25
        cam["TARGET"] = "HD 1"
        frames = images(6)
        with Recorder(cam, path, frames=6) as recorder:
            cam.set_many(frames, ATIMES)
            recorder.wait(60)
        return load(path), frames

    return record


@EACH_FORMAT
def test_times_are_those_of_the_machine_that_recorded(suffix: str, far: Any, tmp_path: Path) -> None:
    with far(tmp_path / f"x.{suffix}")[0] as recording:
        assert tai_offset() != 37  # else this test says nothing
        np.testing.assert_array_equal(recording.utc(), UTC)
        np.testing.assert_array_equal(recording.utc(0), UTC + np.timedelta64(37, "s"))


def test_times_of_rows_without_a_date() -> None:
    info = np.zeros(4, FRAME_ROW)
    info["arrival_ns"] = 40, 41, 42, 43
    info["writetime_ns"] = 30, 31, 0, 2**63 - 1
    info["atime_ns"] = 20, 0, -5, 2**63 - 1
    assert frame_times(info).tolist() == [20, 31, 42, 43]
    assert [headers.first_time(info[at:]) for at in range(4)] == [20, 31, 42, 43]


def test_header_without_offset_is_asked_for(far: Any, tmp_path: Path) -> None:
    with far(tmp_path / "x.npy")[0] as recording:
        for damaged in (None, "37", True, 10**12):
            recording.header["tai_offset"] = damaged
            with pytest.raises(StreamArgumentError, match="tai_offset=37"):
                recording.utc()
        np.testing.assert_array_equal(recording.utc(37), UTC)


def test_foreign_frames_have_no_times(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(3))
    with load(tmp_path / "x.npy") as recording, pytest.raises(StreamFormatError, match="have no rows"):
        recording.utc()


def test_pandas(far: Any, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    with far(tmp_path / "x.npy")[0] as recording:
        table = recording.to_pandas()
        assert list(table.columns) == list(FRAME_ROW.names or ())
        assert str(table.index.tz) == "UTC"
        np.testing.assert_array_equal(table.index.tz_localize(None).to_numpy(), UTC)
        for name in table.columns:
            np.testing.assert_array_equal(table[name].to_numpy(), recording.info[name])
            assert table[name].dtype == FRAME_ROW[name]
        table["cnt0"] = 0
        assert recording.info["cnt0"].all()


@EACH_FORMAT
@pytest.mark.parametrize("chunks", [None, {}, {0: 2}])
def test_xarray(suffix: str, chunks: Any, far: Any, tmp_path: Path) -> None:
    xarray: Any = pytest.importorskip("xarray")
    if chunks is not None:
        pytest.importorskip("dask.array")
    recording, frames = far(tmp_path / f"x.{suffix}")
    with recording:
        cube = recording.to_xarray(chunks)
        assert isinstance(cube, xarray.DataArray)
        assert (cube.dims, cube.shape, cube.dtype) == (("time", "y", "x"), frames.shape, frames.dtype)
        assert cube.name == "cam"
        np.testing.assert_array_equal(cube["time"].values, UTC)
        np.testing.assert_array_equal(cube["cnt0"].values, recording.info["cnt0"])
        assert cube.attrs["EXPTIME"] == 0.25
        assert cube.attrs["TARGET"] == "HD 1"
        assert cube.attrs["tai_offset"] == 37
        assert cube.chunks == (None if chunks is None else ((6,) if chunks == {} else (2, 2, 2), (5,), (7,)))
        np.testing.assert_array_equal(cube.values, frames)
        np.testing.assert_array_equal(cube[1:4, ::2, -1].values, frames[1:4, ::2, -1])
        np.testing.assert_array_equal(cube.isel(time=[4, 0], y=2).values, frames[[4, 0], 2])
        at = cube.sel(time=UTC[3])
        np.testing.assert_array_equal(at.values, frames[3])


@EACH_FORMAT
def test_xarray_reads_only_what_is_indexed(
    suffix: str, far: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xarray")
    if suffix == "npy":
        with far(tmp_path / "x.npy")[0] as recording:
            assert np.shares_memory(recording.to_xarray().values, recording.frames)
        return
    asked: list[tuple[int, int]] = []
    read = LazyFrames._read

    def seen(self: LazyFrames, start: int, stop: int, step: int) -> np.ndarray:
        asked.append((start, stop))
        return read(self, start, stop, step)

    monkeypatch.setattr(LazyFrames, "_read", seen)
    with far(tmp_path / f"x.{suffix}")[0] as recording:
        cube = recording.to_xarray()
        assert asked == []
        assert cube[2, 1].values.shape == (7,)
        assert asked == [(2, 3)]


def test_xarray_goes_to_netcdf(far: Any, tmp_path: Path) -> None:
    xarray: Any = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    recording, frames = far(tmp_path / "x.fits")
    with recording:
        recording.to_xarray().to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with xarray.open_dataarray(tmp_path / "x.nc", engine="h5netcdf") as again:
        np.testing.assert_array_equal(again.values, frames)
        np.testing.assert_array_equal(again["time"].values, UTC)
        assert again.attrs["stream"] == "cam"


@EACH_FORMAT
def test_dask(suffix: str, far: Any, tmp_path: Path) -> None:
    pytest.importorskip("dask.array")
    recording, frames = far(tmp_path / f"x.{suffix}")
    with recording:
        lazy = recording.to_dask()
        assert (lazy.shape, lazy.dtype, lazy.chunks) == (frames.shape, frames.dtype, ((6,), (5,), (7,)))
        made = recording.to_dask((2, 5, 7)).mean(axis=0).compute(scheduler="synchronous")
        np.testing.assert_allclose(made, frames.mean(axis=0))


def test_capture(cam: SHM) -> None:
    pytest.importorskip("xarray")
    frames = images(6)
    capture = cam.capture(6, background=True)
    cam.set_many(frames, ATIMES)
    capture.join()
    wanted = UTC + np.timedelta64(37 - tai_offset(), "s")
    np.testing.assert_array_equal(capture.utc(), wanted)
    cube = capture.to_xarray()
    np.testing.assert_array_equal(cube["time"].values, wanted)
    assert np.shares_memory(cube.values, capture.frames)
    assert capture.to_pandas().shape == (6, 7)


@pytest.mark.parametrize(
    ("shape", "axes"), [((7,), "x"), ((5, 7), "yx"), ((2, 3, 4), "zyx"), ((1, 2, 3, 4), ["axis_1", *"zyx"])]
)
def test_names_of_axes(shape: tuple[int, ...], axes: Any, tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    np.save(tmp_path / "x.npy", images(3, shape))
    with load(tmp_path / "x.npy") as recording:
        cube = recording.to_xarray()
        assert cube.dims == ("time", *axes)
        assert cube.name == "frames"
        assert list(cube.coords) == []


@pytest.mark.parametrize("name", ["pandas", "xarray", "dask"])
def test_library_that_is_missing(
    name: str, far: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.array", None)
    with far(tmp_path / "x.npy")[0] as recording, pytest.raises(LibraryMissingError, match=name) as caught:
        getattr(recording, f"to_{name}")()
    assert caught.value.extra == name


def test_first_time_is_that_of_the_header(cam: SHM, tmp_path: Path) -> None:
    with recorded(cam, tmp_path / "x.npy", images(4))[0] as recording:
        assert recording.utc()[0] == np.datetime64(recording.header["first_ns"], "ns") - np.timedelta64(
            recording.header["tai_offset"], "s"
        )
