"""Files whose parts contradict each other: header, rows and frames, and the files of a series."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Recorder, load
from pymilk.errors import RecordingIncompleteError, StreamFormatError
from pymilk.recording.details import recording_details
from support.recordings import EACH_FORMAT, format_parameters, images, recorded
from support.waiting import until

EACH_JSON = pytest.mark.parametrize("suffix", format_parameters("npy", "h5", "zarr"))


def change_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a recording, as an editor would."""
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r+") as h5:
            header = json.loads(h5["header"][()])
            change(header)
            del h5["header"]
            h5["header"] = np.bytes_(json.dumps(header))
        return
    file = path / "zarr.json" if path.suffix == ".zarr" else path.with_suffix(".info.json")
    content = json.loads(file.read_text())
    change(content["attributes"] if path.suffix == ".zarr" else content)
    file.write_text(json.dumps(content))


def change_rows(path: Path, change: Callable[[np.ndarray], object]) -> None:
    """Change the rows of a recording."""
    names = FRAME_ROW.names or ()
    if path.suffix == ".npy":
        rows = np.load(path.with_suffix(".info.npy"))
        change(rows)
        np.save(path.with_suffix(".info.npy"), rows)
    elif path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r+") as h5:
            rows = h5["info"][:]
            change(rows)
            h5["info"][:] = rows
    elif path.suffix == ".zarr":
        import zarr

        table = zarr.open_group(str(path), mode="r+")["info"]
        rows = np.zeros(table.shape[0], FRAME_ROW)
        for at, name in enumerate(names):
            rows[name] = table[:, at]
        change(rows)
        table[:] = np.stack([rows[name].astype(np.int64) for name in names], 1)
    else:
        from astropy.io import fits

        with fits.open(path, mode="update") as hdus:
            table = hdus["INFO"].data
            rows = np.zeros(len(table), FRAME_ROW)
            for name in names:
                rows[name] = table[name]
            change(rows)
            for name in names:
                table[name] = rows[name].astype(table[name].dtype)


def assert_not_complete(path: Path, words: str) -> None:
    with load(path) as found:
        assert not found.complete
        assert words in found.missing
    with pytest.raises(RecordingIncompleteError, match="not complete"):
        load(path, strict=True)
    assert recording_details(path)["missing"]


def series(make: Callable[..., SHM], folder: Path, suffix: str) -> None:
    """Record a series of a stream that begins to count anew."""
    folder.mkdir()
    shm = make("cam", images(1)[0], ring=64)
    with Recorder(shm, folder / f"q.{suffix}", frames=12, max_frames_per_file=4) as recorder:
        shm.set_many(images(12))
        recorder.wait(60)
    shm.destroy()


@EACH_FORMAT
@pytest.mark.parametrize("part", [1, 2])
def test_a_file_of_another_recording_in_a_series(
    suffix: str, part: int, make: Callable[..., SHM], tmp_path: Path
) -> None:
    """A camera program that was started anew counts from the same number: nothing but the header tells."""
    for folder in ("one", "two"):
        series(make, tmp_path / folder, suffix)
    with load(tmp_path / "one" / f"q.{suffix}", strict=True) as whole:
        assert whole.header["series_ns"] is not None
    for each in (tmp_path / "two").iterdir():
        if f"q_00000{part}" in each.name:
            target = tmp_path / "one" / each.name
            if each.is_dir():
                shutil.rmtree(target)
                shutil.copytree(each, target)
            else:
                shutil.copy(each, target)
    assert_not_complete(tmp_path / "one" / f"q.{suffix}", f"q_00000{part}.{suffix} is of another recording")


@EACH_JSON
@pytest.mark.parametrize(
    "change",
    [
        {"complete": "false"}, {"complete": 1}, {"ended": None}, {"ended": "bogus"}, {"lost": 5},
        {"first_ns": None}, {"dtype": "int16"},
    ],
    ids=str,
)  # fmt: skip
def test_header_that_says_something_else(
    suffix: str, change: dict[str, Any], cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(12))[0].close()
    change_header(path, lambda header: header.update(change))
    assert_not_complete(path, "cam")


@EACH_JSON
@pytest.mark.parametrize(
    "change",
    [
        {"keywords": {"a": 1}}, {"keywords": None}, {"keywords": [["a"]]}, {"keywords": 5},
        {"keywords": [["a", {}, ""]]}, {"keywords": [[1, 2, 3]]}, {"tai_offset": "x"},
        {"tai_offset": 10**300}, {"stream": ["a"]}, {"stream": {}}, {"started_ns": 2**63}, {"lost": "many"},
        {"part": 0.5}, {"ended": ["error"]}, {"frames": 12.0},
    ],
    ids=lambda change: str(change)[:30],
)  # fmt: skip
def test_header_that_no_recorder_writes(
    suffix: str, change: dict[str, Any], cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(3))[0].close()
    change_header(path, lambda header: header.update(change))
    with pytest.raises(StreamFormatError, match=f"damaged: {next(iter(change))} (is|are not)"):
        recording_details(path)


@EACH_FORMAT
@pytest.mark.parametrize("how", ["swapped", "twice", "back"])
def test_rows_in_another_order(suffix: str, how: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(12))[0].close()

    def change(rows: np.ndarray) -> None:
        if how == "swapped":
            rows[[5, 8]] = rows[[8, 5]]
        elif how == "twice":
            rows[6] = rows[5]
        else:
            rows["cnt0"][6:] -= 3

    change_rows(path, change)
    assert_not_complete(path, "rows are not in order")


@EACH_FORMAT
def test_rows_count_other_losses_than_the_header(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(12))[0].close()

    def change(rows: np.ndarray) -> None:
        rows["lost"][6] = 3

    change_rows(path, change)
    assert_not_complete(path, "the header counts 0 lost frames, and the rows 3")


@pytest.mark.parametrize("suffix", format_parameters("fits"))
@pytest.mark.parametrize("how", ["offset", "cut out", "turned"])
def test_fits_frames_that_are_others(suffix: str, how: str, cam: SHM, tmp_path: Path) -> None:
    """Without BZERO, unsigned pixels are read as signed ones; rows and counts agree."""
    from astropy.io import fits

    path, made = tmp_path / f"cam.{suffix}", tmp_path / "made.fits"
    recorded(cam, path, images(12))[0].close()
    with fits.open(path, do_not_scale_image_data=how == "offset") as hdus:
        if how == "offset":
            del hdus[0].header["BZERO"]
        elif how == "cut out":
            hdus[0].data = hdus[0].data[:, 1:3, 2:5]
        else:
            hdus[0].data = hdus[0].data.transpose(0, 2, 1)
        hdus.writeto(made)
    assert_not_complete(made, "and the recorder wrote uint16[5, 7]")
    with load(made) as found:
        assert found.info is not None


def test_npy_pixels_of_another_sign(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "cam.npy"
    recorded(cam, path, images(12))[0].close()
    np.save(path, np.load(path).view(np.int16))
    assert_not_complete(path, "its pixels are read as int16, and the recorder wrote uint16")


@pytest.mark.parametrize("suffix", format_parameters("h5", "zarr"))
@pytest.mark.parametrize("name", ["time", "cnt0"])
def test_a_coordinate_that_is_missing(suffix: str, name: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorded(cam, path, images(12))[0].close()
    if suffix == "zarr":
        shutil.rmtree(path / name)
    else:
        import h5py

        with h5py.File(path, "r+") as h5:
            del h5[name]
    assert_not_complete(path, f"the coordinate {name} is missing")


@pytest.mark.parametrize("suffix", format_parameters("h5"))
@pytest.mark.parametrize("how", ["chunks", "contiguous"])
def test_hdf5_frames_that_another_program_stored(suffix: str, how: str, cam: SHM, tmp_path: Path) -> None:
    """Of frames in several chunks each, some of which were never written; of frames in one piece, all."""
    import h5py

    path, frames = tmp_path / f"cam.{suffix}", images(12)
    recorded(cam, path, frames)[0].close()
    with h5py.File(path, "r+") as h5:
        del h5["frames"]
        if how == "chunks":
            made = h5.create_dataset("frames", frames.shape, frames.dtype, chunks=(4, 3, 4))
            made[:, :3] = frames[:, :3]
            made[:8] = frames[:8]
        else:
            h5.create_dataset("frames", frames.shape, frames.dtype)
    assert_not_complete(path, "2 of 12 chunks of frames are missing" if how == "chunks" else "never written")


@pytest.mark.parametrize("suffix", format_parameters("fits"))
def test_a_full_packed_file_whose_next_one_is_missing(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilk.recording.sinks import fits_packed

    monkeypatch.setattr(fits_packed, "_ROWS", 8)
    with Recorder(cam, tmp_path / f"cam.{suffix}", compress="fast") as recorder:
        cam.set_many(images(20))
        until(lambda: recorder.report.recorded == 20)
        paths = recorder.stop().streams["cam"].paths
    with load(paths, strict=True) as whole:
        assert len(whole) == 20
    with load(paths[:2]) as found:
        assert not found.complete
        assert "cam_000001.fits is missing, or not there yet" in found.missing
