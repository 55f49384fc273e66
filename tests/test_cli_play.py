"""``pymilk play`` and ``pymilk capture``, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli_handling import COMMAND, WRITER, call, done, read_until, run, terminal

from conftest import Child, heed_interrupts
from pymilk import FRAME_ROW, SHM, Stream, load
from pymilk.axes import Orientation


def cube(count: int) -> np.ndarray:
    return np.arange(count * 12, dtype=np.uint16).reshape(count, 3, 4)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A cube of 40 frames."""
    np.save(tmp_path / "cam.npy", cube(40))
    return tmp_path / "cam.npy"


@pytest.fixture
def writer(spawn) -> Child:
    child = spawn(WRITER, "cam", 0, 2000)
    child.expect("ready")
    return child


def begin(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=heed_interrupts,
    )


# --- play ----------------------------------------------------------------------------------------


def test_play_publishes_and_reports(recorded, make_stream):
    stream = make_stream("replay", (3, 4), "u2", cb_size=64)
    with SHM("replay") as shm, shm.ring_reader() as ring:
        said = run("play", recorded, "--stream", "replay", "--rate", 500)
        assert said.returncode == 0, said.stderr
        np.testing.assert_array_equal(ring.read(40, timeout=5).frames, cube(40))
    assert stream.counter == 40
    assert "playing" in said.stderr
    for words in ("stream replay", "frames published", "500 frames/s asked for", "jitter, us", "complete"):
        assert words in said.stdout


def test_play_as_json_into_new_streams(recorded):
    report = json.loads(done("play", recorded, "--rate", 0, "--ring", 8, "--json"))
    assert (report["stream"], report["published"], report["ended"]) == ("cam", 40, "complete")
    with Stream.attach("cam") as stream:
        assert (stream.cb_size, stream.counter) == (8, 40)
    done("play", recorded, "--stream", "cube", "--rate", 0, "--ring", 8, "--temporal", "--json")
    with Stream.attach("cube") as stream:
        assert stream.temporal
    done("play", recorded, "--stream", "gone", "--rate", 0, "--remove", "--json")
    assert call("info", "gone").returncode == 1


@pytest.mark.parametrize(("number", "loop"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_play_ends_cleanly(recorded, number, loop):
    child = begin("play", recorded, "--rate", 10, "--json", *(["--loop"] if loop else []))
    while True:
        found = call("info", "cam", "--measure", 0, "--json")
        if found.returncode == 0 and json.loads(found.stdout)["counter"] >= 2:
            break
        assert child.poll() is None
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0 if loop else 130, "")
    report = json.loads(out)
    assert report["ended"] == "stopped"
    assert 2 <= report["published"] < 40
    assert "cam" in done("ls")  # with its last frame, as a camera leaves it


def test_play_shows_how_far_it_is(recorded):
    with terminal("play", recorded, "--rate", 50) as (child, screen):
        drawn = read_until(screen, b"complete").decode()
        assert child.wait(timeout=60) == 0
    assert "playing" in drawn
    assert "%" in drawn


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 1, "has no times"),
        (["--original-timing"], 1, "has no times"),
        (["--original-timing", "--rate", "5"], 2, "exclude each other"),
        (["--rate", "-1"], 2, "--rate"),
        (["--rate", "1", "--temporal"], 2, "--ring"),
    ],
)
def test_play_wrong_usage(recorded, shm_dir, options, code, words):
    said = call("play", recorded, *options)
    assert said.returncode == code
    assert words in said.stderr
    assert list(shm_dir.iterdir()) == []


def test_play_refuses_a_stream_that_is_written(recorded, writer):
    said = call("play", recorded, "--stream", "cam", "--rate", 1)
    assert said.returncode == 1
    assert "(12, 16)" in said.stderr
    assert call("play", recorded.parent / "nowhere.npy").returncode == 1


# --- capture -------------------------------------------------------------------------------------


def test_capture_saves_frames_and_rows(writer, tmp_path):
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


def test_capture_for_a_time(writer, tmp_path):
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


def test_capture_without_frames(make_stream, tmp_path):
    make_stream("cam", (3, 4), "u2")
    said = call("capture", "cam", "-n", 5, "--timeout", 0.05, "-o", tmp_path / "out.npy", "--json")
    assert said.returncode == 1
    assert json.loads(said.stdout)["received"] == 0
    assert "no frame after number 0 within 0.05 s" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [[], ["-n", "5", "--seconds", "1"], ["-n", "0"], ["-n", "5", "--plot", "/nowhere/at/all/x.png"]],
)  # fmt: skip
def test_capture_wrong_usage(make_stream, options):
    make_stream("cam", (3, 4), "u2")
    assert call("capture", "cam", *options).returncode == 2


@pytest.mark.parametrize("options", [["-o", "out.txt"], ["-o", "/nowhere/at/all/out.npy"],
                                     ["-o", "out.npy", "--compress"]])  # fmt: skip
def test_capture_says_before_it_begins_what_cannot_be_saved(make_stream, options):
    make_stream("cam", (3, 4), "u2")  # nobody writes: a capture would time out
    said = call("capture", "cam", "-n", 5, *options)
    assert (said.returncode, said.stdout) == (1, "")
    assert "no frame" not in said.stderr


def test_what_was_captured_is_played(make, spawn, writer, tmp_path):
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
    with load(out) as saved:
        assert len(saved.frames) == len(saved.info) < 200


def test_picture_of_a_capture_shows_the_gaps(tmp_path):
    pytest.importorskip("matplotlib", reason="extra plot")
    from matplotlib.image import imread

    from pymilk.capture import finished_capture
    from pymilk.cli.pictures import save_report_picture

    def orange(lost_at: int | None) -> int:
        info = np.zeros(100, FRAME_ROW)
        info["arrival_ns"] = 10**9 + np.arange(100) * 10**6
        if lost_at is not None:
            info["lost"][lost_at] = 50
        capture = finished_capture("cam", 100, cube(100), info, Orientation((3, 4)), 0.1)
        save_report_picture(capture, str(tmp_path / "x.png"))
        picture = imread(tmp_path / "x.png")[..., :3]
        place = np.abs(picture - np.array([0xC0, 0x50, 0x20]) / 255).max(axis=2) < 0.05
        place[:, : picture.shape[1] // 2] = False  # the histogram has a line of that colour
        columns = np.flatnonzero(place.any(axis=0))
        return int(columns.mean()) if len(columns) else 0

    assert orange(None) == 0
    left = 13 * 110 * 1 / 2.4  # of the panels over time, about: a gap at 80 % of the time is far to the right
    assert orange(80) > left + (13 * 110 - left) * 0.7
