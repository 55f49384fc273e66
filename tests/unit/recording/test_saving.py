"""Captures saved as recordings."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pymilk import SHM, Capture, Recorder, load, save
from pymilk.errors import (
    StreamArgumentError,
    StreamExistsError,
    StreamNotFoundError,
    StreamTimeoutError,
)

LIBRARIES = {"npy": "numpy", "fits": "astropy", "h5": "h5py", "zarr": "zarr"}


def captured(shm: SHM, count: int) -> Capture:
    """Capture `count` frames that this thread publishes, each after the one before was received."""
    capture = shm.capture(count, background=True, timeout=10)
    for number in range(count):
        shm.set_data(np.arange(shm.get_data().size, dtype=np.uint16).reshape(shm.shape) + number)
        while capture.received <= number:
            assert not capture.wait_end(0.001) or capture.received > number
    return capture.join()


@pytest.mark.parametrize("suffix", LIBRARIES)
@pytest.mark.parametrize("symcode", [0, 4, 5])
def test_save_and_load(make, tmp_path, suffix, symcode):
    pytest.importorskip(LIBRARIES[suffix])
    shm = make("cam", ((6, 5), np.uint16), symcode=symcode)
    shm.set_keywords({"GAIN": (2.5, "as set")})
    capture = captured(shm, 7)
    path = tmp_path / f"out.{suffix}"
    keywords = [(name, *each) for name, each in shm.get_keywords(comments=True).items()]
    assert save(capture, path, keywords=keywords) == str(path)
    with load(path) as saved:
        np.testing.assert_array_equal(np.asarray(saved.frames), capture.frames)
        assert saved.info.tobytes() == capture.info.tobytes()
        header = saved.header
        assert saved.complete
    assert (header["stream"], header["symcode"], header["ended"]) == ("cam", symcode, "complete")
    assert (header["frames"], header["keywords"]) == (7, [["GAIN", 2.5, "as set"]])
    assert header["started_ns"] <= capture.info["arrival_ns"][0]


def test_header_is_that_of_a_recorder(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16), symcode=1, ring=8)  # nothing is lost, however late the recorder is
    with Recorder(shm, tmp_path / "recorded.npy", frames=3) as recorder:
        capture = captured(shm, 3)
        recorder.wait()
    save(capture, tmp_path / "saved.npy")
    with load(tmp_path / "recorded.npy") as one, load(tmp_path / "saved.npy") as other:
        np.testing.assert_array_equal(one.frames, other.frames)
        differing = {key for key in one.header if one.header[key] != other.header.get(key)}
        assert one.header.keys() == other.header.keys()
    assert differing <= {"started_ns"}


def test_captures_of_rings_and_out_of_pickles(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16), ring=8, symcode=2)
    with shm.ring_reader() as ring:
        for number in range(4):
            shm.set_data(np.arange(30, dtype=np.uint16).reshape(shm.shape) + number)
        read = ring.read(4, timeout=5)
        dumped = ring.dump(frames=2)
    for at, capture in enumerate((read, dumped, pickle.loads(pickle.dumps(read)))):
        save(capture, tmp_path / f"{at}.npy")
        with load(tmp_path / f"{at}.npy") as saved:
            np.testing.assert_array_equal(saved.frames, capture.frames)
            assert saved.header["symcode"] == 2
            assert saved.header["started_ns"] > 0


def test_what_cannot_be_saved(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16))
    capture = captured(shm, 2)
    path = tmp_path / "out.npy"
    save(capture, path)
    before = path.read_bytes()
    with pytest.raises(StreamExistsError, match="exists already"):
        save(capture, path)
    assert path.read_bytes() == before
    save(captured(shm, 3), path, force=True)
    with load(path) as saved:
        assert len(saved) == 3
    with pytest.raises(StreamNotFoundError, match="no directory"):
        save(capture, tmp_path / "none" / "out.npy")
    with pytest.raises(StreamArgumentError, match="suffix"):
        save(capture, tmp_path / "out.txt")
    with pytest.raises(StreamArgumentError, match="compress"):
        save(capture, tmp_path / "two.npy", compress=True)
    empty = shm.capture(1, background=True)
    with pytest.raises(StreamArgumentError, match="no frame to save"):
        save(empty, tmp_path / "two.npy")
    empty.stop()
    empty.join()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.info.json", "out.info.npy", "out.npy"]


def test_a_series_of_that_name_is_in_the_way(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16))
    capture = captured(shm, 1)
    save(capture, tmp_path / "out_000000.npy")
    with pytest.raises(StreamExistsError):
        save(capture, tmp_path / "out.npy")
    save(capture, tmp_path / "out.npy", force=True)
    assert not (tmp_path / "out_000000.npy").exists()


def test_progress_is_told(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16))
    capture = captured(shm, 5)
    told: list[int] = []
    save(capture, tmp_path / "out.npy", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 5


@pytest.mark.parametrize("capture", [None, 5, np.zeros((2, 3, 4))])
def test_what_is_no_capture_is_not_saved(tmp_path, capture):
    with pytest.raises(StreamArgumentError, match="takes a Capture"):
        save(capture, tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == []


def test_header_tells_of_an_error(make, tmp_path):
    shm = make("cam", ((6, 5), np.uint16))
    capture = shm.capture(5, background=True, timeout=0.2)
    shm.set_data(np.zeros((6, 5), np.uint16))
    with pytest.raises(StreamTimeoutError):
        capture.join()
    save(capture, tmp_path / "out.npy")
    with load(tmp_path / "out.npy") as saved:
        assert (len(saved), saved.header["ended"]) == (1, "error")
