"""Series of files, and frames that are read on demand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import StreamExistsError, StreamFormatError
from pymilk.recording import LazyFrames
from support.recordings import EACH_FORMAT, format_parameters, images, recorded

# -- frames that are read on demand ---------------------------------------------------------------


@pytest.mark.parametrize("suffix", format_parameters("fits", "h5", "zarr"))
def test_lazy_frames_are_indexed_like_an_array(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(50)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, frames=50, max_frames_per_file=16) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
    with load(base) as loaded:
        lazy = loaded.frames
        assert isinstance(lazy, LazyFrames)
        assert (lazy.shape, lazy.ndim, lazy.size, lazy.nbytes) == (
            frames.shape, 3, frames.size, frames.nbytes,
        )  # fmt: skip
        mask = frames[:, 0, 0] > 30000
        for key in (
            0, -1, np.int64(17), slice(None), slice(10, 40), slice(3, 45, 7), slice(None, None, -3),
            slice(40, 10), slice(-5, None), (20, 3), (slice(15, 18), 2, slice(1, 4)), [1, 30, 2],
            np.array([49, 0]), mask, ([1, 20], slice(None), 0), Ellipsis, (Ellipsis, 0), [],
        ):  # fmt: skip
            got = lazy[key]
            want = frames[np.array(key, int) if isinstance(key, list) and not key else key]
            np.testing.assert_array_equal(got, want, err_msg=str(key))
        assert sum(1 for _ in lazy) == 50
        for wrong in (50, -51):
            with pytest.raises(IndexError):
                lazy[wrong]
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # before, copy=False could copy
            with pytest.raises(ValueError, match="copy"):
                np.array(lazy, copy=False)
        assert np.asarray(lazy, np.float32).dtype == np.float32


# -- series --------------------------------------------------------------------------------------


@EACH_FORMAT
def test_series(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(25)
    base = tmp_path / f"cam.{suffix}"
    with Recorder(cam, base, frames=25, max_frames_per_file=10) as recorder:
        cam.set_many(frames)
        report = recorder.wait(60)
    names = [f"cam_{part:06d}.{suffix}" for part in range(3)]
    assert [Path(path).name for path in report.streams["cam"].paths] == names
    assert not base.exists()
    with load(tmp_path / names[1]) as one:
        np.testing.assert_array_equal(np.asarray(one.frames), frames[10:20])
        assert (one.header["part"], one.header["frames"]) == (1, 10)
        assert one.header["ended"] == "next file"
    paths = [tmp_path / name for name in names]
    for given in (base, paths):
        with load(given) as whole:
            np.testing.assert_array_equal(np.asarray(whole.frames), frames)
            assert whole.info is not None
            assert whole.info["cnt0"].tolist() == list(range(2, 27))
            assert whole.complete
            assert (whole.header["frames"], whole.header["ended"]) == (25, "complete")
            assert "and 2 more" in repr(whole)
    # A new recording of that name does not mix with the files of the old one.
    with pytest.raises(StreamExistsError):
        Recorder(cam, base, frames=5, max_frames_per_file=10)
    with pytest.raises(StreamExistsError):
        Recorder(cam, base, frames=5)
    with Recorder(cam, base, frames=5, max_frames_per_file=10, force=True) as recorder:
        cam.set_many(frames[:5])
        recorder.wait(60)
    with load(base) as whole:
        assert len(whole) == 5


def test_series_ends_with_a_full_file(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "cam.npy", frames=20, max_frames_per_file=10) as recorder:
        cam.set_many(images(20))
        report = recorder.wait(60)
    assert len(report.streams["cam"].paths) == 2
    assert len(list(tmp_path.glob("cam_??????.npy"))) == 2


def test_series_that_is_stopped_with_a_full_file(cam: SHM, tmp_path: Path) -> None:
    """There is no empty file behind it."""
    with Recorder(cam, tmp_path / "cam.npy", max_frames_per_file=10) as recorder:
        cam.set_many(images(20))
        while recorder.report.recorded < 20:
            time.sleep(0.001)
    assert len(recorder.report.streams["cam"].paths) == 2
    with load(tmp_path / "cam.npy") as loaded:
        assert (len(loaded.paths), len(loaded), loaded.complete) == (2, 20, True)
        assert loaded.header["ended"] == "stopped"


@EACH_FORMAT
def test_next_file_of_a_series_is_there_already(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path, other = tmp_path / f"cam.{suffix}", tmp_path / f"cam_000001.{suffix}"
    recorder = Recorder(cam, path, max_frames_per_file=2).start()
    other.write_text("of others")
    cam.set_many(images(5))
    with pytest.raises(StreamExistsError) as caught:
        recorder.wait(60)
    assert caught.value.path == str(other)
    assert other.read_text() == "of others"
    report = recorder.report.streams["cam"]
    assert (report.recorded, report.unwritten, report.complete, report.ended) == (2, 3, True, "error")
    with load(report.paths[0]) as loaded:
        assert (len(loaded), loaded.complete) == (2, True)
    assert len([each for each in tmp_path.iterdir() if "000001" in each.name]) == 1


@EACH_FORMAT
def test_files_of_a_list_are_seen_as_each_was(
    suffix: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    for name, symcode in (("a", 4), ("b", 1)):
        shm = make(name, ((5, 7), np.uint16), ring=16, symcode=symcode)
        recorded(shm, tmp_path / f"{name}.{suffix}", images(3))[0].close()
    with load([tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"]) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), [*images(3), *images(3)])


def test_files_that_do_not_belong_together(make: Callable[..., SHM], tmp_path: Path) -> None:
    for name, shape in (("a", (4, 5)), ("b", (4, 6))):
        shm = make(name, (shape, np.uint16), ring=16)
        recorded(shm, tmp_path / f"{name}.npy", images(3, shape))
    with pytest.raises(StreamFormatError, match="load them one by one"):
        load([tmp_path / "a.npy", tmp_path / "b.npy"])
