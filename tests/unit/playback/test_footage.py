"""Players of recordings, images and videos."""

from __future__ import annotations

import ctypes
import json
import os
import threading

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Stream, play
from pymilk._core import FrameFeed
from pymilk.errors import StreamArgumentError, StreamFormatError, StreamNotFoundError
from pymilk.playback.footage import Cube, open_footage
from pymilk.system.extras import optional_library
from support.cubes import cube

# --- recordings ----------------------------------------------------------------------------------


def test_recording_comes_back_at_its_times(tmp_path, make):
    shm = make("cam", ((3, 4), np.uint16), ring=64)
    shm.set_keywords({"GAIN": (2.5, "of the camera"), "MODE": "fast"})
    with pymilk.Recorder("cam", tmp_path / "cam.npy") as recorder:
        shm.set_many(cube(5), rate=500)
        threading.Event().wait(0.1)  # a gap
        shm.set_many(cube(5), rate=500)
    shm.destroy()
    assert recorder.report.recorded == 10
    report = play(tmp_path / "cam.npy")
    assert (report.stream, report.requested_rate, report.published) == ("cam", None, 10)
    assert report.duration >= 0.1
    with SHM("cam") as again:
        np.testing.assert_array_equal(again.get_data(), cube(5)[-1])
        assert again.get_keywords(comments=True) == {"GAIN": (2.5, "of the camera"), "MODE": ("fast", "")}
        again.destroy()


def test_recording_of_a_single_frame(tmp_path, make):
    shm = make("cam", ((3, 4), np.uint16), ring=8)
    with pymilk.Recorder("cam", tmp_path / "cam.npy", frames=1) as recorder:
        shm.set_many(cube(1))
        recorder.wait(60)
    report = play(tmp_path / "cam.npy", "again")
    assert (report.published, report.ended) == (1, "complete")


@pytest.mark.parametrize(
    "keywords",
    [{"GAIN": 1}, "GAIN", [["GAIN", 1]], [["GAIN", 1, None]], [["GAIN", [], ""]], [[3, 1, ""]], [5], None],
)
def test_recording_whose_keywords_were_edited(tmp_path, make, shm_dir, keywords):
    shm = make("cam", ((3, 4), np.uint16), ring=8)
    with pymilk.Recorder("cam", tmp_path / "cam.npy", frames=2) as recorder:
        shm.set_many(cube(2))
        recorder.wait(60)
    header = json.loads((tmp_path / "cam.info.json").read_text())
    (tmp_path / "cam.info.json").write_text(json.dumps({**header, "keywords": keywords}))
    with pytest.raises(StreamFormatError, match="keywords are not name, value and comment"):
        play(tmp_path / "cam.npy", "again")
    assert [each.name for each in shm_dir.iterdir()] == ["cam.im.shm"]


@pytest.mark.parametrize("symcode", [1, 4, 6])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_recording_keeps_its_orientation(tmp_path, make, shape, symcode):
    pytest.importorskip("astropy", reason="extra fits")
    shm = make("cam", (shape, np.float32), ring=16, symcode=symcode)
    with pymilk.Recorder(shm, tmp_path / "cam.fits"):
        shm.set_many(cube(6, shape, "f4"))
    raw = shm._stream.view().copy()
    with pymilk.load(tmp_path / "cam.fits") as recording:
        play(recording, "again", rate=0)
        assert len(recording.frames) == 6  # it was not closed
    with Stream.attach("again") as stream:
        np.testing.assert_array_equal(stream.view(), raw)


def test_times_of_frames_that_have_none_in_one_column():
    info = np.zeros(4, pymilk.FRAME_ROW)
    info["arrival_ns"] = [10, 20, 30, 90]
    found = Cube(cube(4), "x", info=info)
    [(_, steps)] = found.pieces(10)
    assert steps.tolist() == [10, 10, 10, 60]
    info["writetime_ns"] = [10, 30, 20, 40]  # a clock that was set back
    [(_, steps)] = Cube(cube(4), "x", info=info).pieces(10)
    assert steps.tolist() == [10, 10, 10, 60]
    info["atime_ns"] = [5, 6, 8, 9]
    assert [part.tolist() for _, part in Cube(cube(4), "x", info=info).pieces(2)] == [[1, 1], [2, 1]]


def test_cubes_of_others(tmp_path, received):
    np.save(tmp_path / "plain.npy", cube(8))
    frames, _, report = received(str(tmp_path / "plain.npy"), rate=1000)
    np.testing.assert_array_equal(frames, cube(8))
    assert report.source.endswith("plain.npy")
    assert open_footage(tmp_path / "plain.npy").stream_name == "plain"


def test_sources_that_cannot_be_played(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npy").write_bytes(b"x" * 100)
    for path, error in (
        ("nowhere.npy", StreamNotFoundError),
        ("nowhere", StreamNotFoundError),
        ("notes.txt", StreamArgumentError),
        ("bad.npy", StreamFormatError),
    ):
        with pytest.raises(error):
            play(tmp_path / path, "cam", rate=1)


# --- images and videos ---------------------------------------------------------------------------


def test_image_folder_in_the_order_of_numbers(tmp_path, received):
    iio = pytest.importorskip("imageio.v3", reason="extra video")
    given = cube(12)
    for number, frame in enumerate(given):
        iio.imwrite(tmp_path / f"f{number}.png", frame)
    (tmp_path / "notes.txt").write_text("x")
    frames, _, report = received(tmp_path, rate=2000)
    np.testing.assert_array_equal(frames[:, ::-1], given)  # row 0 of a stream is the bottom row
    assert report.published == 12


def test_images_with_pages_and_colours(tmp_path):
    iio = pytest.importorskip("imageio.v3", reason="extra video")
    image = pytest.importorskip("PIL.Image", reason="extra video")
    first, *others = [image.fromarray(page) for page in cube(4)]
    first.save(tmp_path / "pages.tif", save_all=True, append_images=others)
    footage = open_footage(tmp_path / "pages.tif")
    np.testing.assert_array_equal(np.concatenate([part[:, ::-1] for part, _ in footage.pieces(1)]), cube(4))
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0] = 255
    colours[1, 2] = (100, 0, 0)
    iio.imwrite(tmp_path / "colour.png", colours)
    [(grey, steps)] = open_footage(tmp_path / "colour.png").pieces(1)
    assert steps is None
    assert grey.dtype == np.uint8
    assert grey[0].tolist() == [[0, 0, 30], [255, 0, 0]]


def test_an_image_of_another_size_ends_it_after_those_before(tmp_path):
    iio = pytest.importorskip("imageio.v3", reason="extra video")
    for number, shape in enumerate([(3, 4), (3, 4), (3, 5)]):
        iio.imwrite(tmp_path / f"f{number}.png", np.full(shape, number, np.uint8))
    with pytest.raises(StreamFormatError, match=r"\(3, 5\)") as caught:
        play(tmp_path, "cam", rate=0)
    assert (caught.value.report.published, caught.value.report.ended) == (2, "error")
    (tmp_path / "f1.png").write_bytes(b"no image")
    with pytest.raises(StreamFormatError, match=r"f1\.png"):
        play(tmp_path, "cam", rate=0)
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(StreamFormatError, match="has no frames"):
        play(tmp_path, "cam", rate=0)


def test_video_at_its_own_times(tmp_path, received):
    av = pytest.importorskip("av", reason="extra video")
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=200)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "gray"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32), number * 20, np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames, _, report = received(path, shape=(16, 32), dtype="u1")
    assert frames[:, 3, 5].tolist() == [number * 20 for number in range(8)]
    assert report.duration >= 7 / 200 * 0.95
    assert report.requested_rate is None
    path.write_bytes(b"x" * 1000)
    with pytest.raises(StreamFormatError):
        open_footage(path)


def test_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "imageio", None)
    monkeypatch.setitem(__import__("sys").modules, "imageio.v3", None)
    with pytest.raises(ImportError, match="pip install imageio"):
        open_footage(tmp_path)
    assert os.path.isdir(tmp_path)


def test_missing_package_is_called_what_pip_calls_it(monkeypatch):
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=r"images need Pillow, .*pip install Pillow") as caught:
        optional_library("PIL.Image", "video", "images")
    assert caught.value.library == "PIL"


def test_publishing_needs_no_gil(make_stream):
    stream = make_stream("cam", (2, 2), "u4")
    feed = FrameFeed(1000, (2, 2), "u4", 10**9)
    feed.steps[:] = 1_000_000
    feed.hand_over(1000)
    thread = threading.Thread(target=stream.publish_feed, args=(feed,))
    thread.start()
    while feed.done < 1:
        pass
    published = []
    for _ in range(5):  # the processors may have others to serve
        before = feed.done
        ctypes.PyDLL(None).usleep(100_000)  # with the GIL in hand
        published.append(feed.done - before)
        if published[-1] >= 2:
            break
    feed.stop()
    thread.join()
    assert max(published) >= 2
