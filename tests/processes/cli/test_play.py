"""``pymilk play``, as a user runs it."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from pymilk import SHM
from support.calling import call, done
from support.commands import begin, read_until, run, terminal
from support.cubes import cube


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


def test_play_refuses_a_stream_that_is_written(recorded, plain_writer):
    said = call("play", recorded, "--stream", "cam", "--rate", 1)
    assert said.returncode == 1
    assert "(12, 16)" in said.stderr
    assert call("play", recorded.parent / "nowhere.npy").returncode == 1
