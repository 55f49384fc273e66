"""``pymilk capture``, as a user runs it beside a live writer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Stream, load
from support.calling import call, done
from support.commands import WRITER, begin, run


def test_capture_saves_frames_and_rows(plain_writer, tmp_path):
    pytest.importorskip("matplotlib", reason="extra plot")
    out, plot = tmp_path / "out.npy", tmp_path / "report.png"
    said = run("capture", "cam", "-n", 100, "-o", out, "--plot", plot)
    assert said.returncode == 0, said.stderr
    assert "100 of 100" in said.stdout
    frames, info = np.load(out), np.load(tmp_path / "out.info.npy")
    assert (frames.shape, frames.dtype) == ((100, 12, 16), np.uint16)
    assert (len(info), info.dtype) == (100, FRAME_ROW)
    steps = np.diff(info["cnt0"].astype(np.int64))
    np.testing.assert_array_equal(steps, 1 + info["lost"][1:])
    assert plot.read_bytes().startswith(b"\x89PNG")
    refused = call("capture", "cam", "-n", 2, "-o", out)
    assert refused.returncode == 1
    assert f"{out} exists already" in refused.stderr
    assert len(np.load(out)) == 100
    assert call("capture", "cam", "-n", 2, "-o", out, "--force").returncode == 0
    assert len(np.load(out)) == 2


def test_capture_for_a_time(plain_writer, tmp_path):
    report = json.loads(done("capture", "cam", "--seconds", 0.2, "--json"))
    assert report["received"] > 0
    assert report["duration"] >= 0.19
    assert list(tmp_path.iterdir()) == []


def test_capture_strict_is_about_lost_frames(make_stream, spawn):
    spawn(WRITER, "slow", 8, 200).expect("ready")
    report = call("capture", "slow", "-n", 5, "--strict", "--json")
    told = json.loads(report.stdout)
    assert report.returncode == (1 if told["lost"] or told["torn"] else 0)


def test_capture_that_ends_early_keeps_what_it_has(spawn, tmp_path):
    spawn(WRITER, "cam", 0, 100).expect("ready")
    out = tmp_path / "out.npy"
    child = begin("capture", "cam", "-n", 100_000, "-o", out, "--json")
    with Stream.attach("cam", writable=False) as stream:
        while not (stream.section("sem_read_pid") == child.pid).any():
            assert child.poll() is None
        seen = stream.counter
        while stream.counter < seen + 20:
            stream.wait(5, after=stream.counter)
    child.send_signal(signal.SIGINT)
    said, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted" in err
    received = json.loads(said)["received"]
    assert received > 0
    assert len(np.load(out)) == len(np.load(tmp_path / "out.info.npy")) == received


def test_what_was_captured_is_played(make, spawn, plain_writer, tmp_path):
    pytest.importorskip("h5py", reason="extra hdf5")
    with SHM("cam") as shm:
        shm.set_keywords({"GAIN": (2.5, "as set")})
    out = tmp_path / "out.h5"
    said = call("capture", "cam", "-n", 20, "-o", out, "--compress")
    assert (said.returncode, said.stderr) == (0, f"frames: {out}\n")  # in one line, however long
    with load(out) as saved:
        assert (saved.header["stream"], saved.complete, len(saved)) == ("cam", True, 20)
        assert saved.header["keywords"] == [["GAIN", 2.5, "as set"]]
        last = saved.frames[-1]
    assert json.loads(done("play", out, "--stream", "again", "--json"))["published"] == 20
    with SHM("again") as again:
        np.testing.assert_array_equal(again.get_data(), last)


def test_capture_to_a_full_disk(make_stream, spawn, tmp_path):
    spawn(WRITER, "cam", 0, 2000).expect("ready")
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
from pymilk.cli import main
main()
"""
    out = tmp_path / "out.npy"
    command = [sys.executable, "-c", code, "capture", "cam", "-n", "200", "-o", str(out), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert "cannot be written" in said.stderr
    assert json.loads(said.stdout)["received"] == 200
    # There was no room for the first frames: nothing is left that would be in the way of the next try.
    assert list(tmp_path.iterdir()) == []
