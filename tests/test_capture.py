"""`Capture` and `CaptureReport` in detail."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import pickle
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import FRAME_ROW, Capture, CaptureReport
from pymilk._core import (
    FLAG_NEW_FILE,
    FLAG_TORN,
    FLAG_VERIFIED,
    Stream,
    allocate,
    free_memory,
    prefault,
)
from pymilk.axes import Orientation
from pymilk.errors import (
    CaptureMemoryError,
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamTimeoutError,
)
from pymilk.streams.waiting import WAIT_POLICIES, spin_of

SHAPE = (4, 6)
PATIENCE = 30.0


@pytest.fixture
def stream(make_stream) -> Stream:
    return make_stream("cam", SHAPE, np.uint16)


def publish(stream: Stream, count: int = 1) -> None:
    """Publish frames that hold their own number."""
    for _ in range(count):
        stream.publish(np.full(stream.shape, (stream.counter + 1) % 65536, np.uint16))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


def feed(stream: Stream, capture: Capture, count: int) -> None:
    """Publish frames, each one when the one before was received."""
    for _ in range(count):
        received = capture.received
        publish(stream)
        until(lambda received=received: capture.received > received)


def resident_pages(array: np.ndarray) -> tuple[int, int]:
    """Tell how many pages of an array are in memory, and how many it has."""
    page = os.sysconf("SC_PAGESIZE")
    start = array.ctypes.data // page * page
    nbytes = array.ctypes.data + array.nbytes - start
    count = -(-nbytes // page)
    pages = (ctypes.c_ubyte * count)()
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(nbytes), pages)
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages), count


# -- running ------------------------------------------------------------------------------------------


def test_background_capture_grows(stream):
    capture = Capture(stream, 3, background=True)
    assert (capture.requested, capture.received, len(capture), capture.done) == (3, 0, 0, False)
    assert capture.frames.shape == (0, *SHAPE)
    assert capture.info.shape == (0,)
    assert repr(capture) == "<Capture 'cam': 0/3 frames, running>"
    for received in (1, 2):
        feed(stream, capture, 1)
        assert (capture.received, len(capture), capture.done) == (received, received, False)
        assert capture.frames[:, 0, 0].tolist() == list(range(1, received + 1))
        assert capture.info["cnt0"].tolist() == list(range(1, received + 1))
        assert capture.report.received == received
    publish(stream)
    assert capture.join() is capture
    assert capture.done
    assert repr(capture) == "<Capture 'cam': 3/3 frames, done>"
    assert capture.frames.shape == (3, *SHAPE)
    assert not stream.closed


def test_capture_is_armed_when_it_exists(stream):
    publish(stream, 2)  # old frames are not delivered
    for _ in range(20):
        capture = Capture(stream, 1, background=True)
        publish(stream)
        capture.join()
        assert capture.info["cnt0"][0] == stream.counter
        assert capture.info["lost"][0] == 0
        assert (capture.frames[0] == stream.counter).all()


def test_frame_that_is_received_is_complete(stream):
    capture = Capture(stream, 500, background=True)
    writer = threading.Thread(target=publish, args=(stream, 2000))
    writer.start()
    try:
        while not capture.done and writer.is_alive():
            received = capture.received
            if received:
                assert (capture.frames[received - 1] == capture.info["cnt0"][received - 1]).all()
                assert capture.info["arrival_ns"][received - 1] > 0
    finally:
        writer.join()
        capture.stop()
        capture.join()


def test_stop_keeps_what_is_there(stream):
    capture = Capture(stream, 10, timeout=None, background=True)
    feed(stream, capture, 2)
    capture.stop()
    capture.join()
    assert capture.done
    assert capture.received == len(capture.frames) == len(capture.info) == 2
    assert capture.report.requested == 10
    capture.stop()  # does no harm
    publish(stream)
    assert capture.received == 2


def test_join_with_a_timeout_returns(stream):
    capture = Capture(stream, 1, timeout=None, background=True)
    began = time.monotonic()
    assert capture.join(0.1) is capture
    assert time.monotonic() - began >= 0.1
    assert not capture.done
    publish(stream)
    assert capture.join(PATIENCE).done
    assert capture.join(0).received == 1


def test_many_captures_in_turn_use_one_semaphore_each(stream):
    for _ in range(15):
        capture = Capture(stream, 1, background=True)
        publish(stream)
        capture.join()
    assert set(stream.section("sem_read_pid").tolist()) == {-1}


def test_thread_is_gone_after_join(stream):
    before = threading.active_count()
    capture = Capture(stream, 1, background=True)
    assert threading.active_count() == before + 1
    publish(stream)
    capture.join()
    assert threading.active_count() == before


def test_closed_stream(stream):
    other = Stream.attach("cam")
    other.close()
    with pytest.raises(StreamClosedError):
        Capture(other, 1)
    capture = Capture(stream, 5, timeout=None, background=True)
    feed(stream, capture, 2)
    stream.close()
    with pytest.raises(StreamClosedError):
        capture.join()
    assert capture.received == 2
    with pytest.raises(StreamClosedError):  # each time
        capture.join()


def test_cube_outlives_everything(make_stream):
    stream = make_stream("cam2", SHAPE, np.uint16)
    capture = Capture(stream, 2, background=True)
    feed(stream, capture, 2)
    frames, info = capture.join().frames, capture.info
    stream.destroy()
    del capture, stream
    gc.collect()
    assert frames[:, 0, 0].tolist() == [1, 2]
    frames[:] = 7  # the caller's own
    assert info["cnt0"].tolist() == [1, 2]


# -- timeouts -----------------------------------------------------------------------------------------


def test_timeout_hands_over_what_was_received(stream):
    capture = Capture(stream, 5, timeout=0.2, background=True)
    feed(stream, capture, 2)
    with pytest.raises(StreamTimeoutError) as caught:
        capture.join()
    error = caught.value
    assert error.capture is capture
    assert (error.stream, error.counter) == ("cam", 2)
    assert error.timeout == pytest.approx(0.2)
    assert error.capture.received == 2
    assert error.capture.frames[:, 0, 0].tolist() == [1, 2]
    assert (error.capture.report.received, error.capture.report.requested) == (2, 5)
    with pytest.raises(StreamTimeoutError):
        capture.join()


@pytest.mark.parametrize("background", [False, True])
def test_frames_of_a_timeout_go_with_its_error(stream, background):
    """The error and its capture do not hold each other: a cube can be most of the memory there is."""
    gc.collect()
    gc.disable()
    try:
        with pymilk.SHM(stream.name) as shm, pytest.raises(StreamTimeoutError) as caught:
            shm.capture(5, timeout=0.001, background=background).join()
        seen = weakref.ref(caught.value.capture)
        assert seen() is not None
        del caught
        assert seen() is None
    finally:
        gc.enable()


def test_timeout_is_for_each_frame(stream):
    began = time.monotonic()
    capture = Capture(stream, 4, timeout=0.5, background=True)
    for _ in range(4):
        capture.join(0.2)
        publish(stream)
    assert capture.join().received == 4
    assert time.monotonic() - began >= 0.8


def test_timeout_in_the_foreground(stream):
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="'cam'"):
        Capture(stream, 1, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    with pytest.raises(StreamTimeoutError):
        Capture(stream, 1, timeout=0)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon"])
def test_bad_timeout(stream, timeout):
    with pytest.raises(StreamArgumentError) as caught:
        Capture(stream, 1, timeout=timeout)
    assert caught.value.argument == "timeout"


# -- arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 1.0, "3", None, 2.5])
def test_number_of_frames(stream, n):
    with pytest.raises(StreamArgumentError) as caught:
        Capture(stream, n)
    assert (caught.value.argument, caught.value.found) == ("n", n)


def test_number_of_frames_as_numpy_int(stream):
    capture = Capture(stream, np.int64(2), background=True)
    feed(stream, capture, 2)
    assert type(capture.join().requested) is int


def test_wait_policies(stream):
    assert set(WAIT_POLICIES) == {"auto", "spin", "sleep"}
    for wait in WAIT_POLICIES:
        capture = Capture(stream, 3, wait=wait, background=True)
        feed(stream, capture, 3)
        assert capture.join().report.lost == 0
    assert spin_of("spin") == -1
    assert spin_of("sleep") == 0
    for wait in ("", "nap", None, 5, ["auto"]):
        with pytest.raises(StreamArgumentError, match="'auto', 'spin', 'sleep'") as caught:
            Capture(stream, 1, wait=wait)
        assert (caught.value.argument, caught.value.found) == ("wait", wait)


def test_more_frames_than_memory(stream):
    n = 10**13
    with pytest.raises(CaptureMemoryError, match=str(n * 48)) as caught:
        Capture(stream, n)
    assert caught.value.needed == n * 48
    assert 0 < caught.value.available < n * 48
    assert isinstance(caught.value, MemoryError)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), CaptureMemoryError)
    with pytest.raises(CaptureMemoryError):
        Capture(stream, 2**70)
    assert free_memory() > 0


# -- out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_is_filled(stream, order):
    out = np.full((3, *SHAPE), 999, np.uint16, order=order)
    capture = Capture(stream, 3, out, background=True)
    feed(stream, capture, 2)
    publish(stream)
    frames = capture.join().frames
    assert np.shares_memory(frames, out)
    assert out[:, 0, 0].tolist() == [1, 2, 3]
    assert (out == out[:, :1, :1]).all()


def test_out_of_a_part_that_was_received(stream):
    for order in "CF":
        out = np.full((4, *SHAPE), 999, np.uint16, order=order)
        capture = Capture(stream, 4, out, timeout=None, background=True)
        feed(stream, capture, 2)
        capture.stop()
        capture.join()
        assert capture.frames.shape == (2, *SHAPE)
        assert np.shares_memory(capture.frames, out)
        assert (out[2:] == 999).all()
        assert (out[:2] != 999).all()


@pytest.mark.parametrize(
    ("out", "field"),
    [
        (np.zeros((2, *SHAPE), np.uint16), "shape"),
        (np.zeros((3, 6, 4), np.uint16), "shape"),
        (np.zeros(SHAPE, np.uint16), "shape"),
        (np.zeros((3, *SHAPE), np.int16), "dtype"),
        (np.zeros((3, *SHAPE), ">u2"), "dtype"),
        (np.zeros((3, *SHAPE), float), "dtype"),
        (np.zeros((3, 4, 12), np.uint16)[:, :, ::2], "order"),
        (np.zeros((3, *SHAPE), np.uint16)[::-1], "order"),
        (np.broadcast_to(np.uint16(0), (3, *SHAPE)), "writeable"),
        ([[[0] * 6] * 4] * 3, "dtype"),
        (bytearray(3 * 47), "shape"),
        (memoryview(bytes(3 * 48)), "writeable"),
        (object(), "dtype"),
    ],
    ids=range(13),
)
def test_out_that_does_not_fit(stream, out, field):
    with pytest.raises(FrameMismatchError) as caught:
        Capture(stream, 3, out)
    assert caught.value.field == field
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, (TypeError, ValueError))
    assert threading.active_count() == 1 + sum(t.daemon for t in threading.enumerate())


def test_read_only_out(stream):
    out = np.zeros((3, *SHAPE), np.uint16)
    out.setflags(write=False)
    with pytest.raises(FrameMismatchError) as caught:
        Capture(stream, 3, out)
    assert caught.value.field == "writeable"


@pytest.mark.parametrize("symcode", range(8))
def test_out_with_an_orientation(stream, symcode):
    orientation = Orientation(SHAPE, symcode)
    frame = np.arange(24, dtype=np.uint16).reshape(SHAPE)
    for order in "CF":
        out = np.zeros((1, *orientation.shape), np.uint16, order=order)
        capture = Capture(stream, 1, out, orientation=orientation, background=True)
        stream.publish(frame)
        np.testing.assert_array_equal(capture.join().frames[0], orientation.view(frame))
        np.testing.assert_array_equal(out[0], orientation.view(frame))


# -- memory -------------------------------------------------------------------------------------------


def test_memory_is_there_before_the_first_frame(make_stream):
    stream = make_stream("cam", (128, 128), np.uint16)
    capture = Capture(stream, 500, timeout=None, background=True)
    found, pages = resident_pages(capture._cube)
    assert pages >= 500 * 32768 // os.sysconf("SC_PAGESIZE")
    assert found == pages
    found, pages = resident_pages(capture._info)
    assert found == pages
    capture.stop()
    capture.join()


def test_memory_of_the_caller_is_there_before_the_first_frame(make_stream):
    stream = make_stream("cam", (128, 128), np.uint16)
    out = np.empty((500, 128, 128), np.uint16)
    capture = Capture(stream, 500, out, timeout=None, background=True)
    found, pages = resident_pages(out)
    assert found == pages
    capture.stop()
    capture.join()


def test_prefault_keeps_what_is_there():
    array = np.arange(100_000, dtype=np.uint32)
    prefault(array)
    assert (array == np.arange(100_000)).all()
    prefault(np.zeros(0))
    array.setflags(write=False)
    with pytest.raises((BufferError, ValueError)):
        prefault(array)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2**20,), (2**20 + 1, 3)])
def test_allocated_memory(shape):
    array = allocate(shape, np.uint16)
    assert (array.shape, array.dtype) == (shape, np.uint16)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
    assert array.ctypes.data % os.sysconf("SC_PAGESIZE") == 0
    if array.size:
        found, pages = resident_pages(array)
        assert found == pages
    array[...] = 1


# -- info and report ----------------------------------------------------------------------------------


def test_rows(stream):
    capture = Capture(stream, 3, background=True)
    stream.publish(np.ones(SHAPE, np.uint16), atime_ns=1234)
    until(lambda: capture.received == 1)
    stream.cnt1 = 77
    feed(stream, capture, 1)
    publish(stream)
    info = capture.join().info
    assert info.dtype == FRAME_ROW
    assert FRAME_ROW.itemsize == 56
    assert FRAME_ROW.names == (
        "cnt0", "cnt1", "atime_ns", "writetime_ns", "arrival_ns", "lost", "flags",
    )  # fmt: skip
    assert info["cnt0"].tolist() == [1, 2, 3]
    assert info["cnt1"].tolist() == [0, 77, 77]
    assert info["atime_ns"][0] == 1234
    assert (info["atime_ns"][1:] == info["writetime_ns"][1:]).all()
    assert (info["arrival_ns"] >= info["writetime_ns"]).all()
    assert (np.diff(info["arrival_ns"]) > 0).all()
    assert info["lost"].tolist() == [0, 0, 0]
    assert info["flags"].tolist() == [FLAG_VERIFIED] * 3
    assert abs(int(info["arrival_ns"][-1]) - time.clock_gettime_ns(11)) < 60e9


def rows(count: int, **fields: Any) -> np.ndarray:
    info = np.zeros(count, FRAME_ROW)
    info["cnt0"] = np.arange(1, count + 1)
    info["flags"] = FLAG_VERIFIED
    for field, values in fields.items():
        info[field] = values
    return info


def test_report_from_known_rows():
    arrival = np.concatenate([[0], np.cumsum(np.arange(1, 101))]) * 1000 + 10**18
    info = rows(101, arrival_ns=arrival, writetime_ns=arrival - 5000)
    info["lost"][3], info["lost"][50] = 2, 7
    info["flags"][5] = FLAG_TORN
    info["flags"][6] |= FLAG_NEW_FILE
    report = CaptureReport("cam", 200, info, 4, 2.0, 0.5)
    assert (report.stream, report.requested, report.received) == ("cam", 200, 101)
    assert (report.lost, report.torn) == (9, 1)
    assert (report.repeated, report.new_files) == (4, 1)
    assert (report.duration, report.cpu_share) == (2.0, 0.25)
    assert report.rate == pytest.approx(100 / 0.00505)
    # Intervals of 1 to 100 us.
    assert report.interval_us == pytest.approx(
        {"min": 1, "p1": 1.99, "p50": 50.5, "p99": 99.01, "max": 100}, abs=1e-3
    )
    assert report.latency_us == {"p50": 5, "p99": 5, "max": 5}


def test_report_of_nothing_and_of_one_frame():
    empty = CaptureReport("cam", 5, rows(0), 0, 0.0, 0.0)
    assert (empty.received, empty.lost, empty.cpu_share) == (0, 0, 0)
    assert math.isnan(empty.rate)
    assert empty.interval_us == empty.latency_us == {}
    assert empty.to_dict()["rate"] is None
    one = CaptureReport("cam", 5, rows(1, arrival_ns=9000, writetime_ns=1000), 0, 1.0, 0.0)
    assert math.isnan(one.rate)
    assert one.interval_us == {}
    assert one.latency_us == {"p50": 8, "p99": 8, "max": 8}
    for report in (empty, one):
        json.dumps(report.to_dict(), allow_nan=False)
        assert str(report).startswith("Capture of stream 'cam'\n")


def test_report_without_writer_stamps():
    info = rows(3, arrival_ns=[1000, 2000, 4000])
    report = CaptureReport("cam", 3, info, 0, 1.0, 0.0)
    assert report.latency_us == {}
    assert "latency" not in str(report)
    info["writetime_ns"][2] = 3000
    assert CaptureReport("cam", 3, info, 0, 1.0, 0.0).latency_us["p50"] == 1


def test_report_of_frames_that_arrive_at_once():
    report = CaptureReport("cam", 2, rows(2, arrival_ns=1000), 0, 1.0, 0.0)
    assert math.isfinite(report.rate)
    json.dumps(report.to_dict(), allow_nan=False)


def test_report_is_readable_and_ready_for_json(stream):
    capture = Capture(stream, 3, background=True)
    feed(stream, capture, 2)
    publish(stream)
    report = capture.join().report
    as_dict = report.to_dict()
    assert json.loads(json.dumps(as_dict, allow_nan=False)) == as_dict
    assert set(as_dict) == {
        "stream", "requested", "received", "lost", "torn", "repeated", "new_files",
        "duration", "rate", "interval_us", "latency_us", "cpu_share",
    }  # fmt: skip
    text = str(report)
    assert "3 of 3" in text
    for label, value in report.rows():
        assert label in text
        assert value in text
    assert repr(report) == "<CaptureReport 'cam': 3/3 frames, 0 lost, 0 torn>"
    assert report.duration > 0
    assert report.cpu_share >= 0
    assert report.interval_us["min"] <= report.interval_us["p50"] <= report.interval_us["max"]


def test_lost_frames_are_in_the_report(stream):
    capture = Capture(stream, 2, background=True)
    publish(stream)
    until(lambda: capture.received == 1)
    stream.publish_many(np.ones((1, *SHAPE), np.uint16), 50)
    capture.join()
    assert capture.report.lost == capture.info["cnt0"][-1] - 2


# -- pickles ------------------------------------------------------------------------------------------


def test_capture_survives_pickling(stream):
    capture = Capture(stream, 4, timeout=None, background=True, orientation=Orientation(SHAPE, 1))
    feed(stream, capture, 3)
    capture.stop()
    capture.join()
    copy = pickle.loads(pickle.dumps(capture))
    np.testing.assert_array_equal(copy.frames, capture.frames)
    np.testing.assert_array_equal(copy.info, capture.info)
    assert (copy.received, copy.requested, copy.done, len(copy)) == (3, 4, True, 3)
    assert copy.report.to_dict() == capture.report.to_dict()
    assert repr(copy) == repr(capture)
    assert copy.join() is copy
    copy.stop()
    again = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(again.frames, capture.frames)


def test_running_capture_is_pickled_as_it_is_now(stream):
    capture = Capture(stream, 50_000, timeout=None, background=True)
    writer = threading.Thread(target=publish, args=(stream, 3000))
    writer.start()
    for _ in range(20):
        copy = pickle.loads(pickle.dumps(capture))
        assert copy.done
        assert len(copy.frames) == len(copy.info) == copy.received == len(copy)
        assert (copy.frames[:, 0, 0] == copy.info["cnt0"]).all()
    writer.join()
    capture.stop()
    capture.join()


def test_timeout_error_survives_pickling_with_its_capture(stream):
    capture = Capture(stream, 4, timeout=0.1, background=True)
    feed(stream, capture, 2)
    with pytest.raises(StreamTimeoutError) as caught:
        capture.join()
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is StreamTimeoutError
    assert str(error) == str(caught.value)
    assert (error.timeout, error.counter, error.stream) == (0.1, 2, "cam")
    assert error.capture.received == 2
    np.testing.assert_array_equal(error.capture.frames, capture.frames)


RHYTHM = """
import sys, numpy as np
from pymilk import Stream
stream = Stream.attach("cam")
print("ready", flush=True)
sys.stdin.readline()
stream.publish_many(np.zeros((1, *stream.shape), stream.dtype), 300, interval_ns=2_000_000)
sys.stdin.readline()
"""


def test_rhythm_of_a_stream_is_learned(stream, spawn):
    reader = stream.reader()
    out = np.zeros((40, *stream.shape), stream.dtype)
    assert reader.interval_ns is None
    writer = spawn(RHYTHM)  # a frame every 2 ms
    writer.expect("ready")
    after = reader.arm()
    writer.tell("go")
    reader.receive(out, after=after, spin_ns=-2)
    assert 500_000 < reader.interval_ns < 20_000_000
    reader.receive(out, after=reader.last, spin_ns=-2)
    writer.tell("end")
    assert writer.finish()[0] == 0
    reader.close()


@pytest.mark.parametrize("wait", ["auto", "sleep", "spin"])
def test_irregular_streams_are_received_with_every_policy(stream, wait):
    capture = Capture(stream, 60, wait=wait, background=True)
    rng = np.random.default_rng(5)
    for _ in range(60):
        seen = capture.received
        stream.publish(np.full(stream.shape, stream.counter + 1, stream.dtype))
        while capture.received == seen and not capture.done:
            time.sleep(0)
        time.sleep(float(rng.choice([0, 0.0002, 0.003])))
    capture.join()
    assert capture.report.lost == 0
    assert (capture.frames[:, 0, 0] == capture.info["cnt0"].astype(stream.dtype)).all()


def test_a_frame_that_was_there_does_not_unlearn_the_rhythm(stream, spawn):
    reader = stream.reader()
    writer = spawn(RHYTHM)
    writer.expect("ready")
    out = np.zeros((40, *stream.shape), stream.dtype)
    after = reader.arm()
    writer.tell("go")
    reader.receive(out, after=after, spin_ns=-2)
    known = reader.interval_ns
    assert known is not None
    reader.wait(1, after=0, spin_ns=-2)  # ends at once
    reader.wait(1, spin_ns=-2)
    assert reader.interval_ns is not None
    writer.tell("end")
    assert writer.finish()[0] == 0
    reader.close()
