"""Processes that are killed at some of their steps: what others find afterwards, and who goes on.

What is checked after each death is in support/deaths.py, how the victim is led there in support/killing.py.
``PYMILK_EVERY_STEP=1 pytest -m stress tests/soak/test_death.py`` takes all steps.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk._core import Stream
from pymilk.streams.directory import find_stale, remove_stale
from support.dying import BY_HAND, CALLS, die, left_over


@pytest.mark.parametrize("how", ["publish", "claim", "publish_many"])
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_writer_dies_in_a_frame(spawn, kind, how):
    kinds, hows = ["plain", "fast", "temporal"], ["publish", "claim", "publish_many"]
    first = 1 + kinds.index(kind) + 2 * hows.index(how)
    deaths, furthest = die(spawn, "writes", kind, how, 14, first)
    assert deaths >= 1
    assert furthest >= first


@pytest.mark.parametrize("how", ["take", pytest.param("wait", marks=BY_HAND)])
def test_semaphores_of_readers_that_die_come_back(spawn, how):
    deaths, furthest = die(spawn, "semaphores", how, 1, 0)
    assert furthest == deaths >= 2


def test_recorder_dies_at_some_system_calls(spawn):
    deaths, furthest = die(spawn, "recordings", "npy", "calls", 12, 5)
    assert deaths >= 5
    assert furthest >= 60


@pytest.mark.parametrize("how", CALLS)
def test_death_at_some_system_calls(spawn, how):
    deaths, furthest = die(spawn, "calls", how, 7 if CALLS[how] > 1 else 1, 1)
    assert deaths >= 1
    assert furthest >= 2 * CALLS[how] - 7


#: The number of the system call that waits on a semaphore, where it is known.
FUTEX = {"x86_64": {"202"}, "aarch64": {"98"}}.get(os.uname().machine, set())


def test_file_that_is_locked_is_being_worked_on(shm_dir, dead_pid):
    """Its creator looks dead because it lives in another PID namespace."""
    path = left_over(shm_dir, dead_pid)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert find_stale() == remove_stale() == []
        Stream.create("cam", (2, 2), np.uint8).destroy()
        assert path.exists()
    assert find_stale() == [str(path)]
    Stream.create("cam", (2, 2), np.uint8).destroy()
    assert list(shm_dir.iterdir()) == []


def test_second_name_of_a_stream_that_is_in_place(shm_dir, dead_pid, make):
    """What a creator leaves that was killed when it had given the file its name, and not taken the other."""
    shm = make("cam", np.zeros((2, 2), np.uint8), exclusive=True)
    surplus = shm_dir / f".cam.im.shm.{dead_pid}.0123abcd.new"
    os.link(shm.FILEPATH, surplus)
    assert remove_stale() == [str(surplus)]
    assert Path(shm.FILEPATH).exists()


KILLED_IN_DESTROY = """
import os, signal, numpy as np
from pymilk._core import Stream
old = Stream.attach("cam")
rename = os.rename
def replaced_meanwhile(source, target):
    os.rename = rename
    Stream.create("cam", (2, 2), np.uint8).publish(np.full((2, 2), 2, np.uint8))
    rename(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.rename = replaced_meanwhile
old.destroy()
"""


@pytest.mark.parametrize("newer", [False, True])
def test_stream_that_was_taken_aside_is_put_back(spawn, shm_dir, make_stream, newer):
    """One who deletes a stream dies when it has found that of another one in its place."""
    make_stream("cam", (2, 2), np.uint8)
    assert spawn(KILLED_IN_DESTROY).finish()[0] == -signal.SIGKILL
    assert not (shm_dir / "cam.im.shm").exists()
    if newer:  # whose creator tidies up first, and replaces what it finds
        make_stream("cam", (2, 2), np.uint8).publish(np.full((2, 2), 3, np.uint8))
    else:
        assert len(remove_stale()) == 1
    assert os.listdir(shm_dir) == ["cam.im.shm"]
    with Stream.attach("cam") as found:
        assert (found.read()[0] == (3 if newer else 2)).all()


def test_links_and_directories_are_let_alone(shm_dir, dead_pid):
    outside = shm_dir / "precious"
    outside.write_bytes(b"x")
    link = shm_dir / f".cam.im.shm.{dead_pid}.0123abcd.new"
    link.symlink_to(outside)
    assert find_stale() == remove_stale() == []
    Stream.create("cam", (2, 2), np.uint8).destroy()
    assert outside.exists()
    link.unlink()


def test_reader_that_is_killed_in_a_wait_is_no_burden(spawn, make_stream):
    """It stays counted as a waiter in its semaphore; the next reader that gets it is woken all the same."""
    stream = make_stream("cam", (2, 2), np.uint8, nbsem=1)
    reader = spawn(
        """
import sys
from pymilk import SHM
shm = SHM("cam")
print(shm.semID, flush=True)
shm.get_data(check=True, timeout=None)
"""
    )
    reader.expect("0")
    call = Path(f"/proc/{reader.pid}/syscall")
    deadline = time.monotonic() + 30
    while FUTEX and call.read_text().split()[0] not in FUTEX:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(reader.pid, signal.SIGKILL)
    reader.process.wait()
    with SHM("cam") as shm:
        assert shm.semID == 0
        capture = shm.capture(1, timeout=30, background=True)
        stream.publish(np.ones((2, 2), np.uint8))
        assert capture.join().report.received == 1


def test_exclusive_writer_that_died_in_a_frame(spawn, make):
    shm = make("cam", np.zeros((2, 2), np.uint8))
    writer = spawn(
        """
import os, signal, numpy as np
from pymilk import SHM
with SHM("cam", exclusive=True).claim() as frame:
    frame[0] = 5
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    writer.process.wait()
    assert shm.mtdata["write"] == 1
    make("cam", exclusive=True).set_data(np.full((2, 2), 6, np.uint8))
    assert shm.mtdata["write"] == 0
    assert (shm.get_data() == 6).all()
    assert shm.get_counter() == 2
    assert pymilk.find_stale() == []
