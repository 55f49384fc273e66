"""Simulated cameras and loops in processes of their own, as readers see them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import pymilk
from pymilk import SHM, SimulatedCamera, Stream
from pymilk.errors import (
    NotStartedError,
    StreamArgumentError,
    StreamError,
    StreamStorageError,
    StreamTimeoutError,
)
from pymilk.simulate import SCENES, Faults, SimulatedLoop
from pymilk.system.signals import ENDS
from support.children import heed_interrupts
from support.descriptors import descriptors_left
from support.waiting import until

KILLED_WITHIN = """
import os, signal
from pymilk.system.signals import held_signals
with held_signals():
    os.kill(os.getpid(), signal.SIGTERM)
    print("whole", flush=True)
print("too far", flush=True)
"""

class _File(NamedTuple):
    counter: int
    write: int
    inode: int


def _file(name: str = "cam") -> _File:
    """Look at the file that is there now."""
    with Stream.attach(name, writable=False) as found:
        return _File(found.counter, found.write, found.inode)


@pytest.mark.parametrize("kind", SCENES)
def test_each_kind_comes_live(kind: str, shm_dir: Path) -> None:
    with SimulatedCamera("cam", kind=kind, rate=500) as camera, SHM("cam") as shm:
        assert camera.name == "cam"
        capture = shm.capture(20)
        assert capture.frames.shape == (20, *SCENES[kind].shape)
        assert capture.frames.dtype == np.dtype(SCENES[kind].dtype)
        assert len({frame.tobytes() for frame in capture.frames}) == 20
    assert list(shm_dir.iterdir()) == []


def _numbers_in_pixels(frames: np.ndarray) -> np.ndarray:
    """Take the ramp off: what is left of a whole frame is one number."""
    flat = frames.reshape(len(frames), -1).astype(np.int64)
    numbers = (flat - np.arange(flat.shape[1])) % 65536
    assert (numbers == numbers[:, :1]).all()
    return numbers[:, 0]


def test_pixels_of_a_ramp_are_the_counter() -> None:
    with SimulatedCamera("cam", (20, 30), kind="ramp", rate=2000) as _, SHM("cam") as shm:
        capture = shm.capture(800)
        np.testing.assert_array_equal(_numbers_in_pixels(capture.frames), capture.info["cnt0"] % 65536)


@pytest.mark.parametrize("ring", [0, 256])
def test_dropped_frames_are_lost_for_every_reader(ring: int) -> None:
    with (
        SimulatedCamera("cam", (4, 4), rate=500, kind="ramp", ring=ring, faults=Faults(drop=0.1)) as _,
        SHM("cam") as shm,
    ):
        capture = shm.capture(180)
        numbers = capture.info["cnt0"].astype(np.int64)
        assert not (numbers % 10 == 0).any()
        np.testing.assert_array_equal(_numbers_in_pixels(capture.frames), numbers)
        assert capture.report.lost == numbers[-1] - numbers[0] + 1 - 180 + capture.info["lost"][0]
        assert capture.report.lost >= 18


def test_torn_frames_are_marked() -> None:
    torn_now = Faults(tear=0.1)
    with SimulatedCamera("cam", (4, 4), rate=200, kind="ramp", faults=torn_now) as _, SHM("cam") as shm:
        capture = shm.capture(25)
        torn = capture.info["flags"] & pymilk._core.FLAG_TORN != 0
        assert 1 <= np.count_nonzero(torn) <= 4
        assert (capture.info["cnt0"][torn] % 10 == 0).all()
        _numbers_in_pixels(capture.frames[~torn])


def test_late_frames_keep_the_rate() -> None:
    with SimulatedCamera("cam", (4, 4), rate=50, faults=Faults(late=0.25)) as _, SHM("cam") as shm:
        capture = shm.capture(41)
        late = capture.info["cnt0"].astype(np.int64) % 4 == 0
        steps = np.diff(capture.info["writetime_ns"]) / 20e6
        assert np.median(steps[late[1:]]) == pytest.approx(1.5, abs=0.2)
        assert np.median(steps[late[:-1]]) == pytest.approx(0.5, abs=0.2)


def test_camera_that_dies_leaves_what_killed_cameras_leave(shm_dir: Path) -> None:
    with SimulatedCamera("cam", (4, 4), rate=500, faults=Faults(die=0.3)) as camera, SHM("cam") as shm:
        with pytest.raises(StreamTimeoutError):
            shm.capture(10_000, timeout=0.5)
        assert _file().write == 1
        until(lambda: Path(f"/proc/{camera.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    assert list(shm_dir.iterdir()) == []


def test_camera_that_restarts_is_followed(shm_dir: Path) -> None:
    with SimulatedCamera("cam", (4, 4), rate=500, faults=Faults(restart=0.2)) as _, SHM("cam") as shm:
        inode = _file().inode
        capture = shm.capture(300, timeout=10)
        assert capture.report.received == 300
        assert np.count_nonzero(capture.info["flags"] & pymilk._core.FLAG_NEW_FILE) >= 2
        assert _file().inode != inode
    assert list(shm_dir.iterdir()) == []


def test_the_loop_closes(shm_dir: Path) -> None:
    with SimulatedLoop("ao", rate=200, seed=3) as _, SHM("ao_res") as residual, SHM("ao_dm") as mirror:
        capture = residual.capture(120, timeout=10)
        behind, before = capture.frames[-60:].mean(axis=0)
        assert behind < 0.5 * before
        assert np.ptp(mirror.get_data()) > 0.1
    assert list(shm_dir.iterdir()) == []


def test_the_mirror_of_an_open_loop_is_moved_by_others() -> None:
    with SimulatedLoop("ao", rate=200, gain=0) as _, SHM("ao_wfs") as sensor, SHM("ao_dm") as mirror:
        flat = sensor.capture(20, timeout=10).frames.mean(axis=0)
        mirror.set_data(np.add.outer(np.arange(11), np.zeros(11)).astype(np.float32) * 0.2)
        tilted = sensor.capture(30, timeout=10).frames[10:].mean(axis=0)
        assert abs(tilted - flat).max() > 500
        assert _file("ao_dm").counter == 1


def test_streams_in_use_are_not_replaced() -> None:
    with SimulatedCamera("cam", (4, 4), rate=100) as _:
        with pytest.raises(StreamError, match="did not start"), SimulatedCamera("cam"):
            raise AssertionError
        with SHM("cam") as shm:
            assert shm.capture(3).report.received == 3
    with pytest.raises(StreamArgumentError, match="kind"):
        SimulatedCamera("cam", kind="nothing")


def test_parent_that_is_killed_takes_its_camera_along(spawn, shm_dir: Path) -> None:
    parent = spawn(
        """
import sys
from pymilk.simulate import SimulatedLoop
with SimulatedLoop("ao", rate=100) as loop:
    print(loop.pid, flush=True)
    sys.stdin.readline()
"""
    )
    pid = int(parent.hear())
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists() and not list(shm_dir.iterdir()))
    time.sleep(0.01)


@pytest.mark.parametrize("lost", [1, 2])
def test_interrupt_that_is_lost_comes_again(spawn, shm_dir: Path, lost: int) -> None:
    """As one that comes in a destructor is."""
    loop = spawn(
        """
import sys
from pymilk.simulate import loop, program
run = loop.Loop.run
def run_on(self):
    for _ in range(int(sys.argv[1])):
        try:
            run(self)
        except KeyboardInterrupt:
            pass
    run(self)
loop.Loop.run = run_on
program.main(["ao", "--loop", "--rate", "100"])
""",
        lost,
    )
    loop.expect("ready")
    assert loop.finish() == (0, "", "")  # its input is closed
    assert not list(shm_dir.iterdir())


def test_the_number_of_the_process_stays_known() -> None:
    camera = SimulatedCamera("cam", kind="ramp")
    with pytest.raises(NotStartedError, match=r"'cam' was never started.*call start"):
        _ = camera.pid
    with camera:
        pid = camera.pid
    assert camera.pid == pid == camera.report.pid > 0


def test_no_descriptors_for_its_pipes(shm_dir: Path) -> None:
    with SimulatedCamera("warm", kind="ramp"):
        pass  # imports what it needs
    camera = SimulatedCamera("cam", kind="ramp")
    wanted = r"'cam' cannot be started: .*no file descriptors left"
    with descriptors_left(0), pytest.raises(StreamStorageError, match=wanted):
        camera.start()
    assert not camera.running
    with camera:  # it can be tried again
        assert camera.running
    assert list(shm_dir.iterdir()) == []


def test_the_default_action_comes_behind_the_block() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_WITHIN], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "whole\n", "")


@pytest.mark.parametrize("number", ENDS)
def test_a_camera_that_ends_as_it_begins_leaves_nothing(number: signal.Signals, shm_dir: Path) -> None:
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-m", "pymilk.simulate", "cam", "--shape", "16x16"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            preexec_fn=heed_interrupts,
        )
        while not list(shm_dir.glob("*.im.shm")) and child.poll() is None:
            pass
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
        assert (child.returncode, said) == (0, "")
        assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_camera_ends_quietly_while_its_standard_input_stays_open(
    number: signal.Signals, shm_dir: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pymilk.simulate", "cam", "--shape", "16x16"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        preexec_fn=heed_interrupts,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert (child.wait(60), child.stderr.read()) == (0, "")
    assert list(shm_dir.iterdir()) == []
