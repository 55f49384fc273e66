"""Times and numbers of frames as coordinates of Zarr and HDF5, which others read without pymilk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk._core import FRAME_ROW
from pymilk.errors import OutputChangedError
from pymilk.recording import headers
from pymilk.recording.sinks import coordinates
from pymilk.recording.sinks import zarr as zarr_sink
from pymilk.times import frame_times
from support.recordings import format_parameters, images, recorded

NEVER = np.iinfo(np.int64).min
EPOCHS = {0: "nanoseconds since 1970-01-01 00:00:00", 37: "nanoseconds since 1969-12-31 23:59:23"}
EACH = pytest.mark.parametrize("suffix", format_parameters("h5", "zarr"))


def stored(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any], str]:
    """Return time, cnt0, the attributes of time, and what frames say of their coordinates."""
    if path.suffix == ".zarr":
        import zarr

        group: Any = zarr.open_group(path, mode="r")
        words = group["frames"].attrs["coordinates"]
        return group["time"][:], group["cnt0"][:], dict(group["time"].attrs), words
    import h5py

    with h5py.File(path) as h5:
        attributes = {name: h5["time"].attrs[name] for name in ("units", "calendar", "standard_name")}
        words = {name: text.decode() for name, text in attributes.items()}
        return h5["time"][:], h5["cnt0"][:], words, h5["frames"].attrs["coordinates"].decode()


def opened(path: Path) -> Any:
    """Open a recording as users of xarray do."""
    xarray: Any = pytest.importorskip("xarray")
    if path.suffix == ".zarr":
        return xarray.open_zarr(path, chunks=None)
    pytest.importorskip("h5netcdf")
    return xarray.open_dataset(path, engine="h5netcdf")


@EACH
@pytest.mark.parametrize("offset", EPOCHS)
def test_times_and_numbers(
    suffix: str, offset: int, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "tai_offset", lambda: offset)
    with recorded(cam, tmp_path / f"x.{suffix}", images(9))[0] as recording:
        info, utc = recording.info, recording.utc()
        assert info is not None
    times, numbers, attributes, words = stored(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(times, frame_times(info))
    np.testing.assert_array_equal(numbers, info["cnt0"])
    assert attributes["units"] == EPOCHS[offset]
    assert (attributes["calendar"], attributes["standard_name"]) == ("proleptic_gregorian", "time")
    assert words == "cnt0"
    epoch = np.datetime64(attributes["units"].removeprefix("nanoseconds since "), "ns")
    np.testing.assert_array_equal(epoch + times, utc)


@EACH
def test_leap_seconds_that_were_told_while_it_recorded(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset = 0
    monkeypatch.setattr(headers, "tai_offset", lambda: offset)
    path = tmp_path / f"x.{suffix}"
    with Recorder(cam, path) as recorder:
        cam.set_many(images(5))
        while not path.exists():
            assert recorder.running
        offset = 37
    assert stored(path)[2]["units"] == EPOCHS[37]


@EACH
def test_frames_without_a_time(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinates, "frame_times", lambda info: np.zeros(len(info), int))
    recorded(cam, tmp_path / f"x.{suffix}", images(3))[0].close()
    assert stored(tmp_path / f"x.{suffix}")[0].tolist() == [NEVER] * 3


@pytest.mark.parametrize("count", [3, 4, 5, 8, 11])
def test_chunks_of_coordinates(
    count: int, make: Callable[..., SHM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("zarr")
    monkeypatch.setattr(zarr_sink, "_CHUNK_ROWS", 4)
    monkeypatch.setattr(zarr_sink, "_CHUNK_NBYTES", 3 * 5 * 7 * 2)  # chunks of three frames
    cam = make("cam", ((5, 7), np.uint16), ring=64)
    with recorded(cam, tmp_path / "x.zarr", images(count))[0] as recording:
        assert recording.complete
        info = recording.info
    times, numbers, _, _ = stored(tmp_path / "x.zarr")
    np.testing.assert_array_equal(times, frame_times(info))
    np.testing.assert_array_equal(numbers, info["cnt0"])
    there = {each.name for each in (tmp_path / "x.zarr/time").iterdir()}
    assert there == {"zarr.json", *(f"c.{number}" for number in range(-(-count // 4)))}


def test_a_growing_group_has_no_coordinates(tmp_path: Path) -> None:
    """A library of labelled arrays refuses a group whose arrays have other lengths along one axis."""
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "x.zarr"
    header = {"pymilk": "0", "tai_offset": 37}
    sink = zarr_sink.ZarrSink(str(path), (5, 7), np.dtype(np.uint16), header)
    rows = np.zeros(5, FRAME_ROW)
    rows["arrival_ns"] = rows["cnt0"] = np.arange(1, 6)
    sink.room(5)[:] = 1
    sink.commit(rows)
    sink.flush()
    group: Any = zarr.open_group(path, mode="r")
    assert (group["frames"].shape[0], group["info"].shape[0]) == (5, 5)
    assert "time" not in group
    assert "cnt0" not in group
    sink.finish(header)
    assert stored(path)[0].tolist() == stored(path)[1].tolist() == [1, 2, 3, 4, 5]
    assert {each.name for each in path.iterdir()} == {"zarr.json", "frames", "info", "time", "cnt0"}


@EACH
@pytest.mark.parametrize("offset", EPOCHS)
def test_xarray_without_pymilk_has_times(
    suffix: str, offset: int, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xarray")
    monkeypatch.setattr(headers, "tai_offset", lambda: offset)
    path = tmp_path / f"x.{suffix}"
    with recorded(cam, path, images(9))[0] as recording:
        utc, numbers = recording.utc(), recording.info["cnt0"]  # type: ignore[index]
        mine = recording.to_xarray()
        with opened(path) as data:
            frames = data["frames"]
            assert frames.dims == ("time", "y", "x")
            assert frames["time"].dtype == "datetime64[ns]"
            np.testing.assert_array_equal(frames["time"].values, utc)
            np.testing.assert_array_equal(frames["cnt0"].values, numbers)
            assert sorted(frames.coords) == sorted(mine.coords) == ["cnt0", "time"]
            assert np.array_equal(frames.sel(time=utc[4]), mine[4])


@EACH
def test_xarray_says_that_frames_have_no_time(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinates, "frame_times", lambda info: np.where(info["cnt0"] % 2, 0, 10**18))
    path = tmp_path / f"x.{suffix}"
    recorded(cam, path, images(4))[0].close()
    with opened(path) as data:
        assert np.isnat(data["time"].values).tolist() == (data["cnt0"].values % 2 == 1).tolist()


@pytest.mark.parametrize("name", ["time", "cnt0"])
@pytest.mark.parametrize("file", ["c.0", "zarr.json"])
@pytest.mark.parametrize("how", ["deleted", "cut"])
def test_a_group_without_its_coordinates_is_not_complete(
    name: str, file: str, how: str, cam: SHM, tmp_path: Path
) -> None:
    pytest.importorskip("zarr")
    frames = images(9)
    recorded(cam, tmp_path / "x.zarr", frames)[0].close()
    victim = tmp_path / "x.zarr" / name / file
    victim.unlink() if how == "deleted" else victim.write_bytes(victim.read_bytes()[:-1])
    with load(tmp_path / "x.zarr") as recording:
        np.testing.assert_array_equal(recording, frames)
        assert not recording.complete
        assert name in recording.missing


def test_coordinates_that_are_deleted_while_it_records(cam: SHM, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    rows = np.zeros(5, FRAME_ROW)
    rows["arrival_ns"] = rows["cnt0"] = np.arange(1, 6)
    header = {"pymilk": "0", "tai_offset": 37}
    sink = zarr_sink.ZarrSink(str(tmp_path / "x.zarr"), (5, 7), np.dtype(np.uint16), header)
    sink.room(5)[:] = 1
    sink.commit(rows)
    sink.flush()
    (tmp_path / "x.zarr/time/c.0").unlink()
    with pytest.raises(OutputChangedError, match="chunks of time"):
        sink.finish(header)
    sink.close()
