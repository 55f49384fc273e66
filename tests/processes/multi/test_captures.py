"""`capture_many`: several streams at once, written by a second process."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, MultiCapture, Stream, capture_many
from pymilk.errors import (
    CaptureMemoryError,
    FrameMismatchError,
    MultiCaptureError,
    StreamArgumentError,
    StreamClosedError,
    StreamNotFoundError,
    StreamShapeChangedError,
    StreamTimeoutError,
)
from pymilk.multi import captures
from support.waiting import until

SHAPES = {"wfs": (4, 6), "psf": (3, 3), "dm": (1, 5)}

# Publishes frames that hold their own number, on command: "wfs 5", "wfs 5 for ever", "wfs anew".
CAMERAS = """
import sys, threading, numpy as np
from pymilk import SHM
shapes = {"wfs": (4, 6), "psf": (3, 3), "dm": (1, 5)}
over = threading.Event()

def create(name, shape=None):
    return SHM(name, (shape or shapes[name], np.uint16), ring=64)

def publish(shm, count, rate=0):
    first = shm.get_counter() + 1
    numbers = np.arange(first, first + count, dtype=np.uint16)
    ones = np.ones(shm.shape, np.uint16)
    shm.set_many(np.multiply.outer(numbers, ones), rate=rate or None)

def run(shm, rate):
    while not over.is_set():
        publish(shm, 10, rate)

streams = {name: create(name) for name in shapes}
threads = []
print("ready", flush=True)
for line in sys.stdin:
    name, what, *rest = line.split()
    if what == "anew":
        streams[name].close()
        streams[name] = create(name, tuple(map(int, rest)) or None)
    elif rest:
        threads.append(threading.Thread(target=run, args=(streams[name], float(what))))
        threads[-1].start()
    else:
        publish(streams[name], int(what))
    print("done", flush=True)
over.set()
for thread in threads:
    thread.join()
for shm in streams.values():
    shm.close()
"""


class Cameras:
    """The second process."""

    def __init__(self, child: Any) -> None:
        self.child = child
        child.expect("ready")

    def do(self, what: str) -> None:
        self.child.tell(what)
        self.child.expect("done")

    def feed(self, capture: Any, name: str, count: int) -> None:
        """Publish some frames, and wait until they are captured."""
        there = capture.received + count
        self.do(f"{name} {count}")
        until(lambda: capture.received >= there)


@pytest.fixture
def cameras(spawn) -> Iterator[Cameras]:
    cameras = Cameras(spawn(CAMERAS))
    yield cameras
    if cameras.child.process.poll() is None:
        assert cameras.child.finish() == (0, "", "")


@pytest.fixture
def watched() -> Iterator[dict[str, Stream]]:
    """Handles that see which processes hold a semaphore."""
    streams: dict[str, Stream] = {}
    yield streams
    for stream in streams.values():
        stream.close()


def free_semaphores(name: str) -> bool:
    """Tell whether no live process holds a semaphore of a stream."""
    with Stream.attach(name, writable=False) as stream:
        return {int(pid) for pid in stream.section("sem_read_pid")} <= {-1, 0}


def check(capture: pymilk.Capture, first: int = 2) -> None:
    """Check that frames hold their numbers, without a gap from the first on."""
    numbers = list(range(first, first + capture.received))
    assert capture.info["cnt0"].tolist() == numbers
    for frame, number in zip(capture.frames, numbers, strict=True):
        assert (frame == number).all()
    assert capture.report.lost == 0


# -- what is captured -----------------------------------------------------------------------------------


def test_names_with_numbers_of_frames(cameras) -> None:
    began = pymilk.times.now_ns()
    many = capture_many({"wfs": 20, "dm": 5}, background=True)
    assert isinstance(many, MultiCapture)
    assert (list(many), len(many), many.done, many.errors) == (["wfs", "dm"], 2, False, {})
    assert repr(many) == "<MultiCapture wfs 0/20, dm 0/5: running>"
    assert many.report.ended == {"wfs": "running", "dm": "running"}
    assert began <= many.started_ns <= pymilk.times.now_ns()
    # All are armed: what is published now is in all of them.
    cameras.do("dm 7")
    cameras.do("wfs 20")
    assert many.join() is many
    assert many.done
    for label, count in (("wfs", 20), ("dm", 5)):
        assert many[label].frames.shape == (count, *np.squeeze(np.empty(SHAPES[label])).shape)
        check(many[label])
        assert (many[label].info["arrival_ns"] >= many.started_ns).all()
        assert free_semaphores(label)  # attached by the call, and closed again
    assert not [thread for thread in threading.enumerate() if "pymilk" in thread.name]


def test_a_call_that_waits(cameras) -> None:
    for name in ("wfs", "psf"):
        cameras.do(f"{name} 1000 for ever")
    many = capture_many(["wfs", "psf"], 30)
    assert many.done
    assert [many[label].received for label in ("wfs", "psf")] == [30, 30]
    for capture in many.values():
        check(capture, int(capture.info["cnt0"][0]))


def test_objects_stay_open_and_bring_their_orientation(cameras) -> None:
    with SHM("wfs", symcode=0) as turned, SHM("psf") as plain:
        out = {"wfs": np.zeros((4, *turned.shape), np.uint16), "p": np.zeros((6, 3, 3), np.uint16)}
        many = capture_many(
            {"wfs": turned, "p": plain, "dm": None},
            {"p": 3, "dm": 2},
            out={"wfs": out["wfs"], "p": out["p"][:3]},
            background=True,
        )
        for name in SHAPES:
            cameras.do(f"{name} 4")
        many.join()
        assert turned.shape == many["wfs"].frames.shape[1:] == (6, 4)
        assert np.shares_memory(many["wfs"].frames, out["wfs"])
        assert [many[label].received for label in ("wfs", "p", "dm")] == [4, 3, 2]
        for capture in many.values():
            check(capture)
        assert out["p"][:, 0, 0].tolist() == [2, 3, 4, 0, 0, 0]
        assert (turned.get_counter(), plain.get_counter()) == (5, 5)


def test_labels_and_objects_in_a_list(cameras) -> None:
    with SHM("wfs") as shm:
        many = capture_many([shm, "psf"], frames=1, background=True)
        assert list(many) == ["wfs", "psf"]
        many.stop()
        many.join()
        assert many.report.ended == {"wfs": "stopped", "psf": "stopped"}
        # The same stream twice, under labels of its own.
        many = capture_many({"a": shm, "b": "wfs"}, 2, background=True)
        cameras.do("wfs 2")
        many.join()
        assert many["a"].frames.tolist() == many["b"].frames.tolist()


def test_report(cameras) -> None:
    many = capture_many({"wfs": 3, "a long name": "psf"}, {"a long name": 5}, background=True)
    cameras.feed(many["wfs"], "wfs", 3)
    cameras.feed(many["a long name"], "psf", 2)
    many.stop()
    many.join()
    report = many.report
    assert (report.received, report.lost, report.torn) == (5, 0, 0)
    assert report.ended == {"wfs": "complete", "a long name": "stopped"}
    assert report.nbytes == 3 * 48 + 2 * 18
    assert report.duration == max(capture.report.duration for capture in many.values()) > 0
    assert 0 < report.cpu_share < 2
    told = json.loads(json.dumps(report.to_dict()))
    assert told["streams"]["wfs"]["received"] == 3
    assert told["started_ns"] == many.started_ns
    lines = str(report).splitlines()
    assert lines[0].startswith("Captures of 2 streams: 5 frames, 0 lost, 0 torn, ")
    assert lines[1].split() == ["stream", "frames", "lost", "torn", "frames/s", "of", "a", "core", "ended"]
    assert lines[2].split()[:6] == ["wfs", "3", "of", "3", "0", "0"]
    assert lines[3].startswith("  a long name  2 of 5  0     0 ")
    assert lines[3].endswith("stopped")
    assert repr(report) == "<MultiCaptureReport 2 streams: 5 frames, 0 lost>"


# -- by time --------------------------------------------------------------------------------------------


def test_seconds_of_everything(cameras, watched, monkeypatch) -> None:
    monkeypatch.setattr(captures, "_PROBE", 0.1)
    monkeypatch.setattr(captures, "_HEAD_ROOM", 20)  # the machine may be busy while rates are measured
    for name, rate in (("wfs", 1000), ("psf", 50)):
        watched[name] = Stream.attach(name)
        cameras.do(f"{name} {rate} for ever")
        until(lambda name=name: watched[name].counter > 2)
    many = capture_many(["wfs", "psf", "dm"], seconds=0.2)
    assert many.report.ended == {"wfs": "time", "psf": "time", "dm": "time"}
    assert many.report.duration >= 0.2
    for label in ("wfs", "psf"):
        assert 0 < many[label].received < many[label].requested
        check(many[label], int(many[label].info["cnt0"][0]))
    assert many["dm"].received == 0
    assert many["dm"].requested > 0
    assert many["wfs"].requested > many["psf"].requested


def test_room_that_is_used_up_is_said(cameras) -> None:
    many = capture_many({"wfs": 2, "psf": 100}, seconds=60, background=True)
    cameras.feed(many["wfs"], "wfs", 2)
    until(lambda: many["wfs"].done)
    assert many.report.ended == {"wfs": "full", "psf": "running"}
    many.stop()
    many.join()
    assert many.report.ended == {"wfs": "full", "psf": "stopped"}


@pytest.mark.parametrize("how", [{"n": 10**12}, {"seconds": 9e9}])
def test_memory_that_cannot_be_had(cameras, monkeypatch, how) -> None:
    monkeypatch.setattr(captures, "_PROBE", 0.01)
    with pytest.raises(CaptureMemoryError, match=r"'wfs' [0-9]+ frames = [0-9]+ bytes") as caught:
        capture_many(["wfs", "psf"], **how)
    assert caught.value.needed > caught.value.available > 0
    if "n" in how:
        assert caught.value.needed == 10**12 * (48 + 18 + 2 * pymilk.FRAME_ROW.itemsize)
    else:
        assert "fit), or give frames" in str(caught.value)


# -- what goes wrong ------------------------------------------------------------------------------------


def test_one_that_times_out_leaves_the_others_alone(cameras) -> None:
    many = capture_many({"wfs": 3, "psf": 4, "dm": 1}, timeout=3.0, background=True)
    cameras.do("wfs 3")
    cameras.do("psf 2")
    with pytest.raises(MultiCaptureError, match=r"2 of 3 captures failed.*'psf': .*'dm': ") as caught:
        many.join()
    error = caught.value
    assert error.captures is many
    assert isinstance(error.__cause__, StreamTimeoutError)
    check(many["wfs"])
    check(many["psf"])
    assert [capture.received for capture in many.values()] == [3, 2, 0]
    assert {label: type(found) for label, found in error.errors.items()} == {
        "psf": StreamTimeoutError,
        "dm": StreamTimeoutError,
    }
    assert error.errors["psf"].capture is many["psf"]
    assert many.report.ended == {"wfs": "complete", "psf": "error", "dm": "error"}
    assert "no frame after number 3" in str(many.report).splitlines()[-2]
    # Everything travels: to another process, to a file.
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.captures["psf"].frames.tolist() == many["psf"].frames.tolist()
    assert copy.captures.report.to_dict() == many.report.to_dict()
    assert list(copy.captures.errors) == ["psf", "dm"]
    assert copy.captures.done
    with pytest.raises(MultiCaptureError):
        copy.captures.join()


def test_a_call_that_waits_raises_too(cameras) -> None:
    with pytest.raises(MultiCaptureError) as caught:
        capture_many({"wfs": 3}, timeout=0.01)
    assert caught.value.captures["wfs"].received == 0
    assert free_semaphores("wfs")


def test_one_that_is_closed_or_changes(cameras) -> None:
    with SHM("wfs") as mine:
        many = capture_many({"wfs": mine, "psf": 2, "dm": 5}, {"wfs": 3}, background=True)
        cameras.feed(many["wfs"], "wfs", 1)
        cameras.feed(many["dm"], "dm", 2)
        mine.close()
        cameras.do("dm anew 7 7")
        until(lambda: many["dm"].done)
        cameras.do("psf 2")
        with pytest.raises(MultiCaptureError) as caught:
            many.join()
        assert {label: type(error) for label, error in caught.value.errors.items()} == {
            "wfs": StreamClosedError,
            "dm": StreamShapeChangedError,
        }
        assert [capture.received for capture in many.values()] == [1, 2, 2]
        for capture in many.values():
            check(capture)


def test_nothing_is_left_of_a_call_that_fails(cameras) -> None:
    with SHM("wfs") as shm:
        with pytest.raises(StreamNotFoundError, match="nowhere"):
            capture_many({"psf": 2, "nowhere": 3})
        with pytest.raises(FrameMismatchError):
            capture_many({"wfs": shm, "psf": 2}, 1, out={"psf": np.zeros((2, 9), np.uint16)})
        with pytest.raises(StreamArgumentError):
            capture_many({"wfs": shm}, 1, wait="sometimes")
        assert free_semaphores("psf")
        assert shm.capture(1, timeout=5, background=True).received == 0


INTERRUPTED = """
import threading, pymilk
with pymilk.SHM("wfs") as shm:
    try:
        print("ready", flush=True)
        pymilk.capture_many({"wfs": shm, "psf": 5}, 1000, timeout=None)
    except KeyboardInterrupt:
        print("interrupted", len([t for t in threading.enumerate() if "pymilk" in t.name]), flush=True)
    print(shm.get_counter(), flush=True)
"""


def test_interrupt_ends_all(cameras, spawn, watched) -> None:
    child = spawn(INTERRUPTED)
    child.expect("ready")
    for name in ("wfs", "psf"):
        watched[name] = Stream.attach(name)
    # The keeper starts after the captures have their semaphores; from then on it is one wait.
    until(lambda: all(child.pid in stream.section("sem_read_pid") for stream in watched.values()))
    os.kill(child.pid, signal.SIGINT)
    child.expect("interrupted 0")
    child.expect("1")
    assert child.finish() == (0, "", "")
    assert all(free_semaphores(name) for name in watched)


def test_a_join_that_is_interrupted_ends_all(cameras, monkeypatch) -> None:
    many = capture_many({"wfs": 5, "psf": 5}, timeout=None, background=True)
    cameras.feed(many["wfs"], "wfs", 2)

    wait = many._over.wait

    def interrupted(*_: object) -> bool:
        many._over.wait = wait
        raise KeyboardInterrupt

    assert many.join(timeout=0.01) is many
    assert not many.done
    monkeypatch.setattr(many._over, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        many.join()
    assert many.done
    check(many["wfs"])


# -- rows that belong together --------------------------------------------------------------------------


def test_aligned_by_time(cameras) -> None:
    many = capture_many({"wfs": 6, "psf": 3}, background=True)
    for _ in range(3):
        cameras.feed(many["psf"], "psf", 1)
        cameras.feed(many["wfs"], "wfs", 2)
    many.join()
    for key in ("atime_ns", "writetime_ns", "arrival_ns"):
        rows = many.aligned("time", key=key, match="previous")
        assert rows["wfs"].tolist() == [0, 1, 2, 3, 4, 5]
        assert rows["psf"].tolist() == [0, 0, 1, 1, 2, 2]
        rows = many.aligned("time", key=key, match="previous", reference="psf")
        assert rows["wfs"].tolist() == [-1, 1, 3]
        whole = rows.complete()
        assert many["wfs"].frames[whole["wfs"]][:, 0, 0].tolist() == [3, 5]
        assert many["psf"].frames[whole["psf"]][:, 0, 0].tolist() == [3, 4]
    assert many.aligned(tolerance=0.0)["psf"].tolist() == [-1] * 6
    assert pickle.loads(pickle.dumps(many)).aligned("counter")["psf"].tolist() == [0, 1, 2, -1, -1, -1]


def test_aligned_by_the_numbers_that_a_relay_keeps(cameras, make_stream) -> None:
    source = make_stream("plain", (2, 2), np.uint16)

    def publish() -> None:
        source.publish(np.full((2, 2), source.counter + 1, np.uint16))

    publish()
    with pymilk.Relay("plain", "relayed", 16) as relay:
        until(lambda: relay.report.relayed == 1)
        many = capture_many({"plain": 4, "relayed": 4}, background=True)
        first = many["plain"]
        for number in range(2, 6):
            publish()
            until(lambda number=number: first.received == number - 1 == many["relayed"].received)
        many.join()
    rows = many.aligned("counter")
    assert rows["plain"].tolist() == rows["relayed"].tolist() == [0, 1, 2, 3]
    assert rows.numbers.tolist() == [2, 3, 4, 5]
    assert (many["plain"].frames == many["relayed"].frames).all()
