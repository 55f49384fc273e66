"""Whether "complete" is true, in every format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, play
from pymilk.errors import RecordingIncompleteError, StreamFormatError, StreamTimeoutError
from support.recordings import EACH_FORMAT, format_parameters, images, recorded

h5py = pytest.importorskip("h5py")


def files_of(folder: Path, part: str) -> list[Path]:
    return [each for each in folder.iterdir() if part in each.name]


def delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def make_series(cam: SHM, folder: Path, suffix: str) -> np.ndarray:
    frames = images(40)
    with Recorder(cam, folder / f"q.{suffix}", frames=40, max_frames_per_file=10) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
    return frames


@EACH_FORMAT
@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_series_without_a_file(suffix: str, part: int, cam: SHM, tmp_path: Path) -> None:
    frames = make_series(cam, tmp_path, suffix)
    with load(tmp_path / f"q.{suffix}", strict=True) as whole:
        assert (whole.complete, whole.missing, len(whole.gaps)) == (True, "", 0)
    for each in files_of(tmp_path, f"q_00000{part}"):
        delete(each)
    with load(tmp_path / f"q.{suffix}") as found:
        assert not found.complete
        assert not found.header["complete"]
        assert "file" in found.missing
        np.testing.assert_array_equal(
            np.asarray(found.frames), np.delete(frames, np.s_[10 * part : 10 * part + 10], 0)
        )
        if part in (1, 2):
            [gap] = found.gaps
            assert gap.tolist() == (10 * part, 10, 10 * part + 1, 10 * part + 12)
            assert found.header["lost"] == 10
        assert "not complete" in repr(found)
    with pytest.raises(RecordingIncompleteError, match="not complete"):
        load(tmp_path / f"q.{suffix}", strict=True)


@EACH_FORMAT
def test_lists_of_files(suffix: str, cam: SHM, tmp_path: Path) -> None:
    make_series(cam, tmp_path, suffix)
    parts = [tmp_path / f"q_00000{part}.{suffix}" for part in range(4)]
    for given, complete in (
        (parts, True),
        ([parts[0], parts[2], parts[1], parts[3]], False),
        ([parts[0], parts[1], parts[1], parts[2], parts[3]], False),
        (parts[1:], False),
        (parts[:3], False),
        ([parts[0], parts[3]], False),
    ):
        with load(given) as found:
            assert found.complete == complete, given
            assert bool(found.missing) != complete
    with load(parts[1]) as one:  # asked for alone, it is what was asked for
        assert one.complete


@EACH_FORMAT
def test_end_by_an_error_is_not_complete(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(cam, path, timeout=1.0).start()
    cam.set_many(images(4))
    with pytest.raises(StreamTimeoutError):
        recorder.wait(60)
    assert recorder.report.streams["cam"].ended == "error"
    with load(path) as found:
        assert (len(found), found.complete, found.header["ended"]) == (4, False, "error")
        assert "error" in found.missing
        np.testing.assert_array_equal(np.asarray(found.frames), images(4))


@EACH_FORMAT
@pytest.mark.parametrize("options", [{"seconds": 0.2}, {"timeout": 0.2}])
def test_recording_without_frames_leaves_no_file(
    suffix: str, options: dict[str, float], cam: SHM, tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(cam, path, **options).start()  # type: ignore[arg-type]
    try:
        recorder.wait(60)
    except StreamTimeoutError:
        assert "timeout" in options
    report = recorder.report.streams["cam"]
    assert (report.paths, report.recorded, list(tmp_path.iterdir())) == ([], 0, [])
    assert report.rate != report.rate  # NaN
    loaded, _ = recorded(cam, path, images(3))
    with loaded:
        assert loaded.complete


def test_npy_rows_and_header_that_disagree(cam: SHM, tmp_path: Path) -> None:
    path, rows, header = (tmp_path / f"cam{end}" for end in (".npy", ".info.npy", ".info.json"))
    recorded(cam, path, images(20))
    info, text = np.load(rows), header.read_text()
    np.save(rows, info[:15])
    assert (len(load(path)), load(path).complete) == (15, False)
    np.save(rows, info)
    header.write_text(json.dumps({**json.loads(text), "frames": 21}))
    assert "21 frames" in load(path).missing
    header.unlink()
    assert "no header" in load(path).missing


@pytest.mark.parametrize("suffix", format_parameters("zarr"))
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("how", ["deleted", "cut"])
def test_zarr_chunk_that_is_missing(
    suffix: str, compress: bool, how: str, make: Callable[..., SHM], tmp_path: Path
) -> None:
    """4 MB are a chunk: 4 frames of 1 MB."""
    shm = make("cam", ((512, 1024), np.uint16), ring=16)
    frames = images(14, (512, 1024))
    path = tmp_path / "cam.zarr"
    recorded(shm, path, frames, compress=compress)[0].close()
    chunk = path / "frames" / "c.1.0.0"
    if how == "deleted":
        chunk.unlink()
    else:
        chunk.write_bytes(chunk.read_bytes()[:-8])
    with load(path) as found:
        assert not found.complete
        assert "chunk" in found.missing
        if how == "cut":
            with pytest.raises(StreamFormatError, match="frames 4 to 4 cannot be read"):
                found.frames[4]
            np.testing.assert_array_equal(found.frames[8:], frames[8:])
            return
        np.testing.assert_array_equal(np.asarray(found.frames), np.delete(frames, np.s_[4:8], 0))
        np.testing.assert_array_equal(found.frames[3:6], frames[[3, 8, 9]])
        assert found.gaps.tolist() == [(4, 4, 5, 10)]


@pytest.mark.parametrize("suffix", format_parameters("h5"))
def test_hdf5_chunk_that_is_missing(suffix: str, cam: SHM, tmp_path: Path) -> None:
    """The library makes zeros of a chunk that was never written."""
    path, other = tmp_path / "cam.h5", tmp_path / "other.h5"
    frames = images(40)
    recorded(cam, path, frames)[0].close()
    with h5py.File(path) as old, h5py.File(other, "w") as new:
        for name in ("info", "header"):
            old.copy(name, new)
        made = new.create_dataset("frames", (40, 5, 7), np.uint16, chunks=(10, 5, 7), maxshape=(None, 5, 7))
        for first in (0, 20, 30):
            made[first : first + 10] = frames[first : first + 10]
    with load(other) as found:
        assert not found.complete
        np.testing.assert_array_equal(np.asarray(found.frames), np.delete(frames, np.s_[10:20], 0))
        assert found.gaps.tolist() == [(10, 10, 11, 22)]


def test_play_says_that_a_recording_is_not_complete(cam: SHM, tmp_path: Path) -> None:
    from pymilk.playback import open_footage

    make_series(cam, tmp_path, "npy")
    for each in files_of(tmp_path, "q_000001"):
        delete(each)
    footage = open_footage(tmp_path / "q.npy")
    assert "not complete" in footage.notes[0]
    footage.close()
    assert play(tmp_path / "q.npy", "again", rate=0).published == 30


def test_strict_refuses_a_recording_at_work(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "cam.npy"):
        cam.set_many(images(3))
        with pytest.raises(RecordingIncompleteError, match="being recorded"):
            load(tmp_path / "cam.npy", strict=True)
    assert load(tmp_path / "cam.npy", strict=True).complete
    with pytest.raises(StreamFormatError):
        raise RecordingIncompleteError("x", path="y", field="complete", expected=True, found=False)


def test_series_whose_middle_file_has_no_frame_yet(cam: SHM, tmp_path: Path) -> None:
    """The gap is counted across it."""
    make_series(cam, tmp_path, "npy")
    for end in (".npy", ".info.npy"):
        path = tmp_path / f"q_000001{end}"
        np.save(path, np.load(path)[:0])
    with load(tmp_path / "q.npy") as found:
        assert not found.complete
        assert [gap.tolist() for gap in found.gaps] == [(10, 10, 11, 22)]


#: The words of docs/recording.md.
ENDED = {"running", "complete", "time", "stopped", "error"}


@EACH_FORMAT
def test_how_a_recording_ended_is_one_word_everywhere(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    for word, options, frames in (
        ("complete", {"frames": 3}, 3), ("time", {"seconds": 0.05}, 3), ("stopped", {}, 3),
        ("error", {"timeout": 0.05}, 3), ("time", {"seconds": 0.05}, 0),
    ):  # fmt: skip
        recorder = Recorder(cam, path, force=True, **options).start()  # type: ignore[arg-type]
        if not {"seconds", "timeout"} & options.keys():  # whose time may be over by now
            assert recorder.report.streams["cam"].ended == "running"
        if frames:
            cam.set_many(images(frames))
        if word == "stopped":
            recorder.stop()
        try:
            recorder.wait(60)
        except StreamTimeoutError:
            assert word == "error"
        report = recorder.report.streams["cam"]
        assert report.ended == word
        assert word in ENDED
        assert not report.rate < 0
        assert f"{report.to_dict()['ended']}" == word
        if frames:
            with load(path) as found:
                assert found.header["ended"] == word
                assert found.complete == (word != "error")


@pytest.mark.parametrize("end", [".npy", ".info.npy", ".info.json"])
def test_files_of_two_recordings(end: str, cam: SHM, tmp_path: Path) -> None:
    """Somebody copied one of three files over that of another recording of as many frames."""
    for name in ("one", "two"):
        with Recorder(cam, tmp_path / f"{name}.npy", frames=5) as recorder:
            cam.set_many(images(5))
            recorder.wait(60)
    shutil.copy(tmp_path / f"two{end}", tmp_path / f"one{end}")
    with load(tmp_path / "one.npy") as found:
        # Frames alone have nothing that tells.
        assert found.complete == (end == ".npy")
        assert ("two recordings" in found.missing) == (end != ".npy")


def test_a_single_number_is_no_recording(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.float32(3))
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["frames"] = np.float32(3)
    for name in ("one.npy", "one.h5"):
        for read in (load, play):
            with pytest.raises(StreamFormatError, match=r"single number|no recording"):
                read(tmp_path / name)
