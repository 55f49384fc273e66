"""Players: what is published is what was given, at its time."""

from __future__ import annotations

import ctypes
import json
import os
import threading

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Player, Stream, play
from pymilk._core import FrameFeed
from pymilk.errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamExistsError,
    StreamFormatError,
    StreamInUseError,
    StreamNameError,
    StreamNotFoundError,
    StreamReplacedError,
)
from pymilk.playback.footage import Cube, open_footage
from pymilk.system.extras import optional_library

#: Creates a stream, publishes a frame, and lives until it is told to end.
WRITER = """
import sys, numpy as np
from pymilk import Stream
stream = Stream.create("cam", (3, 4), "u2")
stream.publish(np.zeros((3, 4), "u2"))
print("ready", flush=True)
sys.stdin.readline()
"""


def cube(count: int, shape: tuple[int, ...] = (3, 4), dtype: str = "u2") -> np.ndarray:
    return (np.arange(count * int(np.prod(shape))) % 60000).reshape(count, *shape).astype(dtype)


@pytest.fixture
def received(make_stream):
    """Play into a stream with a ring that holds everything; returns frames, their rows, and the report."""

    def go(source, name="cam", slots=200, shape=(3, 4), dtype="u2", **options):
        stream = make_stream(name, shape, dtype, cb_size=slots)
        with SHM(name, autoSqueeze=False) as shm, shm.ring_reader() as ring:
            report = play(source, name, **options)
            capture = ring.read(report.published, timeout=5)
        assert stream.counter == report.published
        return capture.frames, capture.info, report

    return go


# --- the feed ------------------------------------------------------------------------------------


def test_feed_hands_frames_over_in_order_round_its_slots(make_stream):
    stream = make_stream("cam", (2, 2), "u4", cb_size=64)
    feed = FrameFeed(3, (2, 2), "u4", None)
    with SHM("cam") as shm, shm.ring_reader() as ring:
        thread = threading.Thread(target=stream.publish_feed, args=(feed,))
        thread.start()
        for number in range(20):
            while feed.ready - feed.done == 3:
                pass
            feed.slots[number % 3] = number
            feed.hand_over(1)
        feed.end()
        thread.join()
        frames = ring.read(20, timeout=5).frames
    assert feed.done == feed.ready == stream.counter == 20
    np.testing.assert_array_equal(frames[:, 0, 0], np.arange(20))
    assert (feed.moments >= feed.dues).all()


def test_feed_waits_for_the_time_of_each_frame(make_stream):
    stream = make_stream("cam", (2, 2), "u4")
    feed = FrameFeed(5, (2, 2), "u4", 10**9)
    feed.steps[:] = [999, 0, 20_000_000, 5_000_000, 0]
    feed.hand_over(5)
    feed.end()
    stream.publish_feed(feed)
    np.testing.assert_array_equal(np.diff(feed.dues), [0, 20_000_000, 5_000_000, 0])
    assert (feed.moments > feed.dues).all()


def test_feed_that_is_late_shifts_its_timetable_and_counts_what_was_not_there(make_stream):
    stream = make_stream("cam", (2, 2), "u4")
    feed = FrameFeed(5, (2, 2), "u4", 1_000_000)
    feed.steps[:] = 1_000_000
    feed.hand_over(1)
    thread = threading.Thread(target=stream.publish_feed, args=(feed,))
    thread.start()
    while feed.done < 1:
        pass
    threading.Event().wait(0.01)  # the second one is due 1 ms after the first
    feed.hand_over(2)
    feed.end()
    thread.join()
    assert feed.starved == 1
    first, second, third = feed.dues[:3]
    assert second - first >= 10_000_000
    assert third - second >= 1_000_000


def test_feed_stops_and_stream_closes_while_a_frame_is_awaited(make_stream):
    stream = make_stream("cam", (2, 2), "u4")
    for end in ("stop", "close"):
        feed = FrameFeed(2, (2, 2), "u4", 0)
        feed.steps[:] = 10**12
        feed.hand_over(2)
        errors = []

        def work(feed=feed, errors=errors):
            try:
                stream.publish_feed(feed)
            except StreamClosedError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while feed.done < 1:
            pass
        feed.stop() if end == "stop" else stream.close()
        thread.join(timeout=10)
        assert not thread.is_alive()
        assert len(errors) == (end == "close")
        assert feed.done == 1


def test_feed_refuses_what_does_not_fit(make_stream):
    stream = make_stream("cam", (2, 2), "u4")
    for wrong in (FrameFeed(2, (2, 3), "u4", None), FrameFeed(2, (2, 2), "i4", None)):
        with pytest.raises(FrameMismatchError):
            stream.publish_feed(wrong)
    feed = FrameFeed(2, (2, 2), "u4", None)
    with pytest.raises(StreamArgumentError):
        feed.hand_over(3)
    for arguments in ((0, (2,), "u1", None), (2, (2,), "u1", -1), (2, (2,), "u1", 0.5)):
        with pytest.raises(StreamArgumentError):
            FrameFeed(*arguments)


# --- cubes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 5000])
def test_frames_are_published_in_order(received, rate):
    given = cube(150)
    frames, info, report = received(given, rate=rate)
    np.testing.assert_array_equal(frames, given)
    assert info["lost"].sum() == 0
    assert (report.published, report.loops, report.ended) == (150, 1, "complete")
    assert bool(report.late_us) == bool(report.jitter_us) == (rate > 0)
    if rate:
        assert report.duration >= 149 / 5000 * 0.95
        assert report.rate == pytest.approx(149 / report.duration)
        assert report.late_us["p50"] <= report.late_us["p99"] <= report.late_us["max"]


def test_rate_is_not_exceeded(received):
    _, info, report = received(cube(30), rate=300)
    assert report.duration >= 29 / 300 * 0.99
    assert (int(info["writetime_ns"][-1]) - int(info["writetime_ns"][0])) / 1e9 >= 29 / 300 * 0.99


def test_feed_is_smaller_than_the_cube(monkeypatch, received):
    monkeypatch.setattr("pymilk.playback.player._AHEAD_FRAMES", 7)
    given = cube(150)
    frames, _, report = received(given, rate=20_000)
    np.testing.assert_array_equal(frames, given)
    assert report.published == 150


def test_loop_goes_on_until_it_is_stopped(make_stream):
    stream = make_stream("cam", (3, 4), "u2", cb_size=512)
    given = cube(10)
    with (
        SHM("cam") as shm,
        shm.ring_reader() as ring,
        Player(given, "cam", rate=5000, loop=True) as player,
    ):
        frames = ring.read(35, timeout=5).frames
        assert player.running
        assert player.frames is None
        player.stop()
        report = player.wait()
    np.testing.assert_array_equal(frames, np.concatenate([given] * 4)[:35])
    assert report.ended == "stopped"
    assert report.published >= 35
    assert report.loops == report.published // 10
    assert not player.running
    assert report.published == stream.counter


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (1, 5)])
@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f4", "c16", ">u2", ">f8", "?"])
def test_new_streams_have_shape_and_dtype_of_the_frames(shape, dtype):
    given = np.arange(3 * np.prod(shape)).reshape(3, *shape).astype(dtype)
    report = play(given, "cam", rate=0)
    assert report.published == 3
    with SHM("cam", autoSqueeze=False) as shm:
        assert shm.shape == shape
        assert shm.nptype == (np.uint8 if dtype == "?" else given.dtype.newbyteorder("="))
        np.testing.assert_array_equal(shm.get_data(), given[-1])
        shm.destroy()


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_new_streams_have_the_ring_that_was_asked_for(kind):
    given = cube(20)
    play(given, "cam", rate=0, ring=30, ring_kind=kind)
    with SHM("cam") as shm:
        with shm.ring_reader(start="oldest") as ring:
            assert ring.source == kind
            np.testing.assert_array_equal(ring.read(20, timeout=5).frames, given)
        shm.destroy()


def test_stream_can_be_removed_at_the_end(shm_dir):
    play(cube(3), "cam", rate=0, remove=True)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (cube(3), {}),  # no times
        (cube(3), {"rate": -1}),
        (cube(3), {"rate": "fast"}),
        (cube(3), {"rate": float("nan")}),
        (cube(3), {"rate": 1, "ring_kind": "temporal"}),
        (cube(3), {"rate": 1, "ring_kind": "square", "ring": 3}),
        (cube(3), {"rate": 1, "ring": 3, "ring_kind": "temporal", "cpu": 10**6}),
        (np.zeros(5), {"rate": 1}),
        (np.zeros((0, 3, 4)), {"rate": 1}),
        (np.zeros((2, 3, 4, 5, 6)), {"rate": 1}),
        (np.zeros((3, 4), object), {"rate": 1}),
        (5, {"rate": 1}),
        ([[1], [1, 2]], {"rate": 1}),
        (cube(3), {"rate": np.complex64(1)}),
    ],
)
def test_wrong_arguments_make_nothing(shm_dir, source, options):
    with pytest.raises(StreamArgumentError):
        Player(source, "cam", **options)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a/b", "x" * 90, "new\nline", 5])
@pytest.mark.parametrize("force", [False, True])
def test_names_that_no_stream_can_have(shm_dir, name, force):
    with pytest.raises(StreamNameError) as caught:
        Player(cube(3), name, rate=0, force=force)
    assert "force" not in str(caught.value)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("end", [Player.stop, Player.close])
def test_player_that_is_ended_before_it_started(shm_dir, end):
    player = Player(cube(3), "cam", rate=0, remove=True)
    end(player)
    assert list(shm_dir.iterdir()) == []
    assert player.wait(60).ended == "stopped"
    with pytest.raises(StreamArgumentError, match="starts once"):
        player.start()


@pytest.mark.parametrize("source", [None, 5, 2.5, {"a": 1}, np.zeros(3, object)])
def test_what_cannot_be_played(source):
    with pytest.raises(StreamArgumentError, match="a path, a recording, or an array"):
        Player(source, "cam", rate=0)


def test_player_starts_once_and_ends_without_a_start(shm_dir):
    player = Player(cube(3), "cam", rate=0)
    assert (player.running, player.published, player.report.published) == (False, 0, 0)
    player.close()
    with Player(cube(3), "cam", rate=0) as again, pytest.raises(StreamArgumentError, match="starts once"):
        again.start()


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_interrupt_while_a_thread_is_started(shm_dir, monkeypatch, which, begins):
    """Ctrl-C in the midst of `threading.Thread.start`, before and after there is a thread."""
    start, count = threading.Thread.start, iter(range(2))

    def interrupted(thread):
        number = next(count)
        if number != which or begins:
            start(thread)
        if number == which:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    player = Player(cube(3), "cam", rate=1, remove=True)
    with pytest.raises(KeyboardInterrupt), player:
        raise AssertionError
    assert not player.running
    assert player.wait(60).ended == "stopped"
    assert list(shm_dir.iterdir()) == []


# --- streams that are there ----------------------------------------------------------------------


def test_a_stream_that_does_not_fit_is_kept(make_stream, shm_dir):
    stream = make_stream("cam", (3, 5), "u2")
    with pytest.raises(StreamExistsError, match=r"shape \(3, 5\), not \(3, 4\)"):
        play(cube(3), "cam", rate=0)
    make_stream("other", (3, 4), "i2")
    with pytest.raises(StreamExistsError, match="dtype int16, not uint16"):
        play(cube(3), "other", rate=0)
    make_stream("plain", (3, 4), "u2")
    with pytest.raises(StreamExistsError, match="ring none 0, not fast 8"):
        play(cube(3), "plain", rate=0, ring=8)
    (shm_dir / "text.im.shm").write_text("hello" * 1000)
    with pytest.raises(StreamExistsError, match="not a usable stream"):
        play(cube(3), "text", rate=0)
    assert not stream.replaced()
    play(cube(3), "cam", rate=0, force=True)
    assert stream.replaced()


def test_a_stream_that_a_living_process_writes_is_kept(spawn):
    child = spawn(WRITER)
    child.expect("ready")
    with pytest.raises(StreamInUseError, match=f"process {child.pid}"):
        play(cube(3), "cam", rate=0)
    child.kill()
    play(cube(3), "cam", rate=0)
    with Stream.attach("cam") as stream:
        assert stream.counter == 4


def test_player_ends_when_its_stream_is_replaced(make_stream):
    with Player(cube(3), "cam", rate=1000, loop=True) as player:
        make_stream("cam", (3, 4), "u2")
        with pytest.raises(StreamReplacedError) as caught:
            player.wait(60)
    assert caught.value.report.ended == "error"
    assert not player.running


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
    with pytest.raises(ImportError, match=r"pymilk\[video\]"):
        open_footage(tmp_path)
    assert os.path.isdir(tmp_path)


def test_missing_package_is_called_what_pip_calls_it(monkeypatch):
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=r"images need Pillow, .*pymilk\[video\]") as caught:
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
    before = feed.done
    ctypes.PyDLL(None).usleep(100_000)  # with the GIL in hand
    after = feed.done
    feed.stop()
    thread.join()
    assert after >= before + 2
