"""Players: what is published is what was given, at its time."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pymilk import SHM, Player, play
from pymilk._core import FrameFeed
from pymilk.errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamExistsError,
    StreamNameError,
    StreamReplacedError,
)
from support.cubes import cube
from support.images import sleeps
from support.waiting import until

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
    until(lambda: feed.done == 1 and sleeps(thread.native_id))  # it has looked for the second one
    threading.Event().wait(0.01)  # which is due 1 ms after the first
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
        Player(given, "cam", rate=500, loop=True) as player,
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


def test_player_ends_when_its_stream_is_replaced(make_stream):
    with Player(cube(3), "cam", rate=1000, loop=True) as player:
        make_stream("cam", (3, 4), "u2")
        with pytest.raises(StreamReplacedError) as caught:
            player.wait(60)
    assert caught.value.report.ended == "error"
    assert not player.running
