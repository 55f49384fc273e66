"""All that works in the background has one life cycle: start, running, report, wait, stop, ``with``, end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymilk import SHM, list_streams
from pymilk.reports import Report
from support.children import Child

#: Expressions that make each of them, of a stream "cam" and a folder.
JOBS = {
    "capture": "SHM('cam').capture(10**6, background=True, timeout=None)",
    "capture_many": "pymilk.capture_many({'cam': 10**6}, background=True, timeout=None)",
    "recorder": "pymilk.Recorder('cam', folder + '/cam.npy')",
    "recorder that restarts": "pymilk.Recorder('cam', folder + '/cam.npy', restart=True)",
    "player": "pymilk.Player(numpy.zeros((4, 5, 7), 'u2'), 'played', rate=1000, loop=True)",
    "relay": "pymilk.Relay('cam', 'copy', 8)",
    "ring reader": "RingReader('cam', depth=8)",
    "camera": "pymilk.SimulatedCamera('sim', rate=1000)",
}

#: Those that run from when they are made; the others begin with `start`, once.
MADE_RUNNING = ("capture", "capture_many", "relay", "ring reader")

#: Those whose `wait` waits for the end. That of a ring reader waits for a frame.
WAITS = [name for name in JOBS if name != "ring reader"]

PREAMBLE = """
import sys
import numpy
import pymilk
from pymilk import SHM, list_streams
from pymilk.ring import RingReader
folder = sys.argv[1]
"""

EACH = pytest.mark.parametrize("name", JOBS)


@pytest.fixture
def job(make: Callable[..., SHM], tmp_path: Path) -> Callable[[str], Any]:
    import numpy

    import pymilk
    from pymilk.ring import RingReader

    make("cam", ((5, 7), numpy.uint16), ring=64)
    known = {
        "numpy": numpy, "pymilk": pymilk, "RingReader": RingReader, "SHM": SHM, "folder": str(tmp_path),
    }  # fmt: skip
    return lambda name: eval(JOBS[name], known)


@EACH
def test_from_start_to_stop(name: str, job: Callable[[str], Any]) -> None:
    made = job(name)
    assert made.running is (name in MADE_RUNNING)
    assert made.start() is made
    assert made.running is True
    assert isinstance(made.report, Report)
    if name in WAITS:
        began = time.monotonic()
        report = made.wait(timeout=0.05)
        assert 0.04 < time.monotonic() - began < 5
        assert isinstance(report, Report)
        assert made.running
    if name not in MADE_RUNNING:
        with pytest.raises(ValueError, match=r"once|already"):
            made.start()
    began = time.monotonic()
    made.stop()
    if name in WAITS:
        assert isinstance(made.wait(timeout=10), Report)
    assert time.monotonic() - began < 5
    assert made.running is False
    made.stop()
    assert isinstance(made.report, Report)


@EACH
def test_with(name: str, job: Callable[[str], Any]) -> None:
    with job(name) as made:
        assert made.running is True
    assert made.running is False
    assert isinstance(made.report, Report)
    with pytest.raises(KeyError, match="ours"), job(name) as made:
        raise KeyError("ours")
    assert made.running is False


@EACH
def test_ended_with_the_interpreter(
    name: str, make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    """A script that forgets it ends at once, quietly, and leaves no stream of it behind."""
    import numpy

    make("cam", ((5, 7), numpy.uint16), ring=64)
    script = spawn(f"{PREAMBLE}\nmade = {JOBS[name]}\nmade.start()\nprint(made.running)", tmp_path)
    assert script.finish() == (0, "True\n", "")
    left = {each["name"] for each in list_streams()}
    assert left - {"played"} == {"cam"}  # what was played stays


@pytest.mark.parametrize("name", ["capture", "capture_many", "relay"])
def test_wait_raises_what_ended_it(name: str, job: Callable[[str], Any], make: Callable[..., SHM]) -> None:
    """And so does the end of ``with``, but for a relay, which says it in `wait` and `tend` only."""
    from pymilk.errors import MultiCaptureError, StreamChangedError

    made = job(name)
    make("cam", ((4, 4), "u2"))
    with pytest.raises((StreamChangedError, MultiCaptureError)):
        made.wait(timeout=10)
    assert made.running is False
    made.stop()


def test_camera_that_died(job: Callable[[str], Any]) -> None:
    import os
    import signal

    with job("camera") as camera:
        os.kill(camera.pid, signal.SIGKILL)
        assert camera.wait(timeout=10).ended == "died"
        assert not camera.running
    assert camera.report.ended == "died"
    with pytest.raises(FileNotFoundError):
        SHM("sim")
