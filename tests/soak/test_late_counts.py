"""Writers that post a frame, clear `write`, count the frame a while later, and store no times."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder, Relay, RingReader, wait_any
from pymilk import load as load_recording
from pymilk._core import FLAG_TORN, FLAG_UNCERTAIN, FLAG_VERIFIED
from pymilk.errors import FrameTornWarning
from support.foreign import C_ORDER, PRELUDE, SHAPE

pytestmark = pytest.mark.stress

LATE_WRITER = (
    PRELUDE
    + """
gap, period, steps = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
before, after = steps.split("|")
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
due = time.perf_counter()
for number in range(1, 100_000):
    while time.perf_counter() < due:
        pass
    writer.publish(number, before)
    begun = time.perf_counter()
    while time.perf_counter() < begun + gap:
        pass
    writer.publish(number, after)
    due = max(due + period, time.perf_counter())
"""
)

#: What the writer does before the gap and behind it.
LATE = "open fill post close|count"


def check(frames: np.ndarray, info: np.ndarray) -> np.ndarray:
    """Check that what is verified is right, and the account; returns which rows are uncertain."""
    pixels = frames.reshape(len(frames), -1)
    numbers = info["cnt0"].astype(np.int64)
    verified = (info["flags"] & FLAG_VERIFIED) != 0
    uncertain = (info["flags"] & FLAG_UNCERTAIN) != 0
    wrong = (pixels != numbers[:, None]).any(axis=1)
    assert not (wrong & verified).any(), np.flatnonzero(wrong & verified)[:10]
    np.testing.assert_array_equal(verified, (info["flags"] & FLAG_TORN) == 0)
    assert not (uncertain & verified).any()
    np.testing.assert_array_equal(np.diff(numbers), info["lost"][1:].astype(np.int64) + 1)
    return uncertain


BURNER = "while True: pass"


@pytest.fixture
def busy():
    """Keep the machine busy with so many processes beside the test, until its end."""
    burners: list[subprocess.Popen[bytes]] = []

    def begin(count: int) -> None:
        burners.extend(subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(count))

    yield begin
    for burner in burners:
        burner.kill()
        burner.wait()


#: Busy processes beside writer and reader; all with ``PYMILK_EVERY_STEP=1``.
LOADS = [0, 2, 6] if os.environ.get("PYMILK_EVERY_STEP") else [2]


@pytest.fixture
def late_writer(spawn, make_stream):
    def make(gap: float, period: float, steps: str = LATE) -> Any:
        make_stream("cam", SHAPE, np.uint32)
        writer = spawn(LATE_WRITER, gap, period, steps)
        writer.expect("ready")
        return writer

    return make


def captured(writer: Any, wait: str, count: int) -> pymilk.Capture:
    with SHM("cam") as shm:
        capture = shm.capture(count, timeout=60, wait=wait, background=True)
        writer.tell()
        return capture.join()


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("wait", ["auto", "sleep", "spin"])
@pytest.mark.parametrize(
    ("gap", "period"), [(0.0003, 0.002), (0.0003, 0.00034), (0.00006, 0.001), (0.00006, 0.0004)]
)
def test_no_frame_is_right_under_a_wrong_number(late_writer, busy, gap, period, wait, load):
    busy(load)
    capture = captured(late_writer(gap, period), wait, 400)
    uncertain = check(capture.frames, capture.info)
    assert capture.report.uncertain == np.count_nonzero(uncertain)
    assert len(capture.frames) == 400


@pytest.mark.parametrize(("gap", "period"), [(0.0003, 0.001), (0.0003, 0.00034), (0.00006, 0.001)])
@pytest.mark.parametrize("how", ["get_data", "out", "wait_any"])
def test_reads_one_by_one(late_writer, gap, period, how):
    """No frame comes twice, unless a warning says that it may be another one."""
    writer = late_writer(gap, period)
    writer.tell()
    shown = []
    with SHM("cam") as shm, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FrameTornWarning)
        for _ in range(300):
            if how == "wait_any":
                assert wait_any([shm], 10)
                frame = shm.get_data()
            elif how == "out":
                frame = shm.get_data(check=True, timeout=10, out=np.empty(SHAPE, np.uint32))
            else:
                frame = shm.get_data(check=True, timeout=10)
            assert (frame == frame[0, 0]).all()
            shown.append(int(frame[0, 0]))
    twice = np.count_nonzero(np.diff(shown) <= 0)
    assert twice <= len(caught), (twice, len(caught))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("period", [0.00034, 0.001])
def test_collector(late_writer, busy, period, load):
    busy(load)
    writer = late_writer(0.0003, period)
    with RingReader("cam") as ring:
        writer.tell()
        read = ring.read(300, timeout=60)
        report = ring.report
    uncertain = check(read.frames, read.info)
    assert report.uncertain or not uncertain.any()
    assert ("number uncertain" in str(report)) == (report.uncertain > 0)


def unflagged_wrong(frames: np.ndarray, info: np.ndarray) -> int:
    """Return how many rows are wrong, and say that they are right."""
    wrong = (frames.reshape(len(frames), -1) != info["cnt0"].astype(np.int64)[:, None]).any(axis=1)
    return int(np.count_nonzero(wrong & ((info["flags"] & FLAG_VERIFIED) != 0)))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("how", ["read", "out", "blocks"])
@pytest.mark.parametrize("period", [0.00034, 0.001])
def test_what_was_delivered_before_it_was_seen_is_counted(late_writer, busy, period, how, load):
    """Short reads and blocks cannot be flagged once they are gone: the report says how many there were."""
    busy(load)
    writer = late_writer(0.0003, period)
    seen = unflagged = 0
    with RingReader("cam") as ring:
        writer.tell()
        out = np.zeros((1, *ring.shape), ring.dtype) if how == "out" else None
        blocks = ring.blocks(timeout=60)
        while seen < 300:
            got = next(blocks) if how == "blocks" else ring.read(1, out, timeout=60)
            frames, info = np.array(got.frames), np.array(got.info)
            if how == "blocks" and not got.intact():
                continue
            seen += len(info)
            unflagged += unflagged_wrong(frames, info)
        report = ring.report
    assert unflagged <= report.unflagged <= report.uncertain
    assert ("without a flag" in str(report)) == (report.unflagged > 0)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("period", [0.00034, 0.001])
def test_relay_counts_what_it_published_before_it_was_seen(late_writer, busy, period, load):
    busy(load)
    writer = late_writer(0.0003, period)
    with Relay("cam", "copy", 512) as relay, RingReader("copy", start="oldest") as ring:
        writer.tell()
        read = ring.read(200, timeout=60)
        report = relay.report
    assert unflagged_wrong(read.frames, read.info) <= report.uncertain
    assert ("next number" in str(report)) == (report.uncertain > 0)


@pytest.mark.parametrize("load", LOADS)
def test_recorder(late_writer, busy, tmp_path, load):
    busy(load)
    writer = late_writer(0.0003, 0.00034)
    with Recorder("cam", tmp_path / "cam.npy", frames=300) as recorder:
        writer.tell()
        report = recorder.wait()
    recording = load_recording(tmp_path / "cam.npy")
    uncertain = check(np.asarray(recording.frames), recording.info)
    assert report.streams["cam"].uncertain == np.count_nonzero(uncertain)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("how", ["auto", "spin", "ring"])
@pytest.mark.parametrize(
    "steps", [C_ORDER, "open fill count post close", "open fill count close", "fill count post"]
)
def test_ordinary_writers_get_no_flag_under_load(late_writer, busy, steps, how, load):
    busy(load)
    writer = late_writer(0, 0.0005, steps + "|")
    if how == "ring":
        with RingReader("cam") as ring, Relay("cam", "copy", 8) as relay:
            writer.tell()
            capture = ring.read(300, timeout=60)
            assert (ring.report.uncertain, ring.report.unflagged, relay.report.uncertain) == (0, 0, 0)
    else:
        capture = captured(writer, how, 300)
        assert capture.report.uncertain == 0
    assert not (capture.info["flags"] & FLAG_UNCERTAIN).any()


def test_repeated_posts_cost_no_flag(late_writer):
    """Posts that announce nothing are not taken for frames that are counted late."""
    capture = captured(late_writer(0, 0.001, "open fill count close post|post"), "auto", 200)
    assert not check(capture.frames, capture.info).any()


def test_slow_writers_are_not_waited_for(late_writer):
    writer = late_writer(0, 0.03, C_ORDER + "|")
    writer.tell()
    with SHM("cam") as shm:
        began = time.perf_counter()
        for _ in range(20):
            shm.get_data(check=True, timeout=10)
        assert time.perf_counter() - began < 20 * 0.03 + 0.3
