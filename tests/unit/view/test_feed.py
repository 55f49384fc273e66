"""Frames of a stream for a picture, and darks."""

from __future__ import annotations

import os

import numpy as np
import pytest

import pymilk.view.display
from pymilk import FRAME_ROW, Stream, save
from pymilk.axes import Orientation
from pymilk.capture import finished_capture
from pymilk.errors import StreamArgumentError, StreamDamagedError, StreamError
from pymilk.view import Display, Feed
from pymilk.view.dark import load_dark
from pymilk.view.levels import span
from support.screen import letter_f

LIBRARIES = {"npy": "numpy", "fits": "astropy", "h5": "h5py", "zarr": "zarr"}


# --- frames of a stream --------------------------------------------------------------------------


def test_feed_counts_what_it_did_not_take(make_stream):
    stream = make_stream("cam", (3, 4), "u2")
    with Feed("cam") as feed:
        assert feed.look()
        assert feed.take().sum() == 0
        assert not feed.look()
        for value in (1, 2, 3):
            stream.publish(np.full((3, 4), value, "u2"))
        assert feed.look()
        np.testing.assert_array_equal(feed.take(), np.full((3, 4), 3))
        assert (feed.counter, feed.lost, feed.torn, feed.trouble) == (3, 2, False, "")
        assert feed.written_ns == stream.write_time_ns
        assert [int(pid) for pid in stream.section("sem_read_pid") if pid > 0] == []


def test_feed_measures_the_rate(make_stream):
    stream = make_stream("cam", (2, 2), "u1")
    with Feed("cam") as feed:
        assert feed.rate is None
        feed.look()
        stream.publish(np.zeros((2, 2), "u1"))
        feed.look()
        assert feed.rate > 0


def test_feed_follows_deleted_and_recreated_streams(make_stream):
    stream = make_stream("cam", (3, 4), "u2")
    stream.publish(np.full((3, 4), 5, "u2"))
    with Feed("cam") as feed:
        feed.take()
        stream.destroy()
        feed.look()
        assert "deleted" in feed.trouble
        np.testing.assert_array_equal(feed.take(), np.full((3, 4), 5))
        other = make_stream("cam", (2, 5), "f4")
        other.publish(np.ones((2, 5), "f4"))
        assert feed.look()
        assert "recreated as 2x5 float32" in feed.trouble
        assert "deleted" not in feed.trouble
        np.testing.assert_array_equal(feed.take(), np.ones((2, 5)))
        assert (feed.shape, feed.dtype, feed.counter, feed.lost) == ((2, 5), np.float32, 1, 0)


def test_feed_goes_on_beside_a_new_file_that_is_no_stream(make_stream, shm_dir):
    stream = make_stream("cam", (3, 4), "u2")
    with Feed("cam") as feed:
        feed.take()
        stream.destroy()
        (shm_dir / "cam.im.shm").write_bytes(b"x" * 5000)
        for _ in range(2):
            feed.look()
            assert "there is a new file, but" in feed.trouble
        assert feed.take().shape == (3, 4)


def test_feed_goes_on_when_the_file_is_cut_and_made_anew_in_place(make_stream):
    stream = make_stream("cam", (64, 64), "u2")
    stream.publish(np.ones((64, 64), "u2"))
    with Feed("cam") as feed:
        assert feed.look()
        feed.take()
        with open(stream.path, "rb") as file:
            content = file.read()
        os.truncate(stream.path, 0)
        for _ in range(2):
            assert not feed.look()
            assert "cut or overwritten" in feed.trouble
            with pytest.raises(StreamDamagedError):
                feed.take()
        with open(stream.path, "r+b") as file:  # the same file, as some programs do it
            file.write(content)
        assert feed.look()
        assert "cut" not in feed.trouble
        assert feed.take().all()


def test_feed_of_a_cube_takes_the_slice_written_last(make_stream):
    stream = make_stream("cube", (4, 2, 3), "u2")
    cube = np.arange(24, dtype="u2").reshape(4, 2, 3)
    stream.publish(cube)
    stream.cnt1 = 2
    with Feed("cube") as feed:
        np.testing.assert_array_equal(feed.take(), cube[2])
        assert (feed.slices, feed.slice, feed.torn, feed.counter) == (4, 2, False, 1)
        np.testing.assert_array_equal(feed.take(3), cube[3])
        with pytest.raises(StreamArgumentError, match="slices 0 to 3, no slice 4"):
            feed.take(4)


def test_feed_of_a_temporal_ring(make):
    shm = make("ring", ((2, 3), np.uint16), ring=5, ring_kind="temporal")
    for value in range(1, 4):
        shm.set_data(np.full((2, 3), value, np.uint16))
    with Feed("ring") as feed:
        np.testing.assert_array_equal(feed.take(), np.full((2, 3), 3))
        newest = feed.slice
        np.testing.assert_array_equal(feed.take(newest - 1), np.full((2, 3), 2))
        assert (feed.slices, feed.torn) == (5, False)


@pytest.mark.parametrize(
    ("shape", "taken"), [((1, 1), (1, 1)), ((1, 7), (7,)), ((7, 1), (7,)), ((1, 3, 4), (3, 4)), ((5,), (5,))]
)
def test_feed_drops_axes_of_length_one(make_stream, shape, taken):
    make_stream("cam", shape, "f4")
    with Feed("cam") as feed:
        assert feed.take().shape == taken
        assert feed.slices == 0
        with pytest.raises(StreamArgumentError, match="no slice 1"):
            feed.take(1)


def test_feed_of_no_stream_and_of_a_gpu(make_stream):
    with pytest.raises(FileNotFoundError):
        Feed("nothing")
    make_stream("gpu", (3, 4), "f4", location=0)
    with pytest.raises(StreamError, match="GPU"):
        Feed("gpu")


# --- darks ---------------------------------------------------------------------------------------


def test_darks_of_streams_and_files(make, tmp_path):
    dark = letter_f()
    make("dark", dark)
    np.testing.assert_array_equal(load_dark("dark"), dark)
    np.save(tmp_path / "d.npy", dark)
    np.testing.assert_array_equal(load_dark(str(tmp_path / "d.npy")), dark)
    np.save(tmp_path / "cube.npy", np.stack([dark, 3 * dark]))
    np.testing.assert_array_equal(load_dark(str(tmp_path / "cube.npy")), 2 * dark)


def test_darks_of_fits_files(make, tmp_path):
    pytest.importorskip("astropy", reason="extra fits")
    from pymilk.fits import multi_write

    dark = letter_f()
    make("dark", dark).save_as_fits(str(tmp_path / "d.fits"))
    np.testing.assert_array_equal(load_dark(str(tmp_path / "d.fits")), dark)
    cube = np.stack([dark, 3 * dark])
    multi_write(tmp_path / "cube.fits", cube, tri_dim=3, upright=True)
    np.testing.assert_array_equal(load_dark(str(tmp_path / "cube.fits")), 2 * dark)


@pytest.mark.parametrize("suffix", LIBRARIES)
@pytest.mark.parametrize("symcode", [4, 1])
def test_darks_of_recordings(tmp_path, suffix, symcode):
    pytest.importorskip(LIBRARIES[suffix])
    info = np.zeros(3, FRAME_ROW)
    info["arrival_ns"] = 1 + np.arange(3)
    turn = Orientation(letter_f().shape, symcode)
    frames = np.stack([k * turn.view(letter_f()) for k in (1, 2, 6)])
    path = tmp_path / f"dark.{suffix}"
    save(finished_capture("cam", 3, frames, info, turn, 1.0), path)
    np.testing.assert_allclose(load_dark(str(path)), 3 * letter_f())


def test_darks_that_are_none(tmp_path):
    np.save(tmp_path / "four.npy", np.zeros((2, 2, 2, 2)))
    (tmp_path / "text.npy").write_text("hello")
    for name, words in (("four.npy", "no dark frame"), ("text.npy", "cannot be read")):
        with pytest.raises(StreamArgumentError, match=words):
            load_dark(str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match="no dark frame"):
        load_dark(str(tmp_path / "none.npy"))
    with pytest.raises(FileNotFoundError):
        load_dark("no_such_stream")


def test_the_stream_is_attached_read_only(make_stream):
    stream = make_stream("cam", (2, 2), "u1")
    with Feed("cam") as feed:
        assert not feed._stream.writable
    assert isinstance(stream, Stream)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u8", "f4"])
def test_percentiles_over_the_whole_range_of_a_type(dtype):
    """Differences of the extremes do not fit into a signed type."""
    kind = np.dtype(dtype)
    low, high = (-100.0, 100.0) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    image = np.array([[low, high], [0, 1]], kind)
    found = span(image, 99)
    expected = np.percentile(image.astype(float), [0.5, 99.5])
    np.testing.assert_allclose(found, expected)
    assert float(low) <= found[0] < found[1] <= float(high)


def test_a_picture_has_a_largest_size():
    display = Display()
    display.show(np.eye(4))
    with pytest.raises(StreamArgumentError, match="million"):
        display.picture((10**6, 10**6))
    display.curve = True
    with pytest.raises(StreamArgumentError, match="million"):
        display.picture((10**6, 10**6))


def test_a_recording_of_cubes_is_no_dark(make, tmp_path):
    shm = make("cam", ((3, 4, 2), np.uint16), ring=8)
    with pymilk.Recorder("cam", tmp_path / "cube.npy", frames=2) as recorder:
        shm.set_many(np.zeros((2, 3, 4, 2), np.uint16))
        recorder.wait(60)
    with pytest.raises(StreamArgumentError, match="its frames are cubes"):
        load_dark(str(tmp_path / "cube.npy"))
