"""The rows and the report of a capture; pickles."""

from __future__ import annotations

import json
import math
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, Capture, CaptureReport
from pymilk._core import FLAG_NEW_FILE, FLAG_TORN, FLAG_VERIFIED
from pymilk.axes import Orientation
from pymilk.errors import StreamTimeoutError
from support.captures import SHAPE, feed, publish
from support.waiting import until

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
        "stream", "requested", "received", "lost", "torn", "repeated", "counter_set", "new_files",
        "duration", "rate", "interval_us", "latency_us", "cpu_share", "uncertain", "wait_on", "reasons",
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
    capture = Capture(stream, 4, timeout=1.0, background=True)
    feed(stream, capture, 2)
    with pytest.raises(StreamTimeoutError) as caught:
        capture.join()
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is StreamTimeoutError
    assert str(error) == str(caught.value)
    assert (error.timeout, error.counter, error.stream) == (1.0, 2, "cam")
    assert error.capture.received == 2
    np.testing.assert_array_equal(error.capture.frames, capture.frames)


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


def test_uncertain_frames_are_told():
    info = rows(3, flags=[1, 2 | 128, 2])
    report = CaptureReport("cam", 3, info, 0, 1.0, 0.0)
    assert (report.uncertain, report.torn) == (1, 2)
    assert "posts before it counts" in str(report)
    assert "none verified" in str(CaptureReport("cam", 3, info, 0, 1.0, 0.0, "post"))
