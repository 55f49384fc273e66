"""Processes that are killed at each of their steps: what others find afterwards, and who goes on.

What is checked after each death is in deaths.py, how the victim is led there in killing.py. Here a few of
the steps are taken; `PYMILK_EVERY_STEP=1 pytest -m stress tests/test_death.py` takes all of them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk._core import Stream
from pymilk.streams.directory import find_stale, remove_stale

RUN = "import deaths; deaths.main()"

#: Marks of tests that take minutes, all of them together.
BY_HAND = (
    pytest.mark.stress,
    pytest.mark.skipif(
        not os.environ.get("PYMILK_EVERY_STEP"), reason="takes minutes; run with PYMILK_EVERY_STEP=1"
    ),
)


def die(spawn: Callable[..., Any], *what: object) -> tuple[int, int]:
    """Have processes killed; returns how many, and how far the last one came."""
    child = spawn(RUN, *what)
    code, out, err = child.finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    deaths, furthest = out.split()
    return int(deaths), int(furthest)


@pytest.mark.parametrize("how", ["publish", "claim", "publish_many"])
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_writer_dies_in_a_frame(spawn, kind, how):
    kinds, hows = ["plain", "fast", "temporal"], ["publish", "claim", "publish_many"]
    first = 1 + kinds.index(kind) + 2 * hows.index(how)
    deaths, furthest = die(spawn, "writes", kind, how, 14, first)
    assert deaths >= 1
    assert furthest >= first


@BY_HAND[0]
@BY_HAND[1]
@pytest.mark.parametrize("how", ["publish", "claim", "publish_many"])
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_writer_dies_behind_each_store(spawn, kind, how):
    deaths, furthest = die(spawn, "writes", kind, how, 1, 0)
    print(f"\n{kind}, {how}: {deaths} deaths")
    assert furthest == deaths >= 10


@pytest.mark.parametrize("how", ["take", pytest.param("wait", marks=BY_HAND)])
def test_semaphores_of_readers_that_die_come_back(spawn, how):
    deaths, furthest = die(spawn, "semaphores", how, 1, 0)
    assert furthest == deaths >= 2


@BY_HAND[0]
@BY_HAND[1]
def test_writer_dies_in_keywords(spawn):
    """Some of the stores: what Python does between them is single steps, too, and takes seconds."""
    deaths, furthest = die(spawn, "keywords", 4, 1)
    assert deaths >= 3
    assert furthest >= 10


def test_recorder_dies_at_some_system_calls(spawn):
    deaths, furthest = die(spawn, "recordings", "npy", "calls", 12, 5)
    assert deaths >= 5
    assert furthest >= 60


@BY_HAND[0]
@BY_HAND[1]
def test_recorder_dies_at_each_system_call(spawn):
    deaths, furthest = die(spawn, "recordings", "npy", "calls", 1, 0)
    print(f"\nnpy: {deaths} deaths")
    assert furthest == deaths >= 60


#: System calls of each: at least so many, each with a stop before and one behind it.
CALLS = {"create": 15, "create_new": 15, "replace": 18, "close": 1, "destroy": 6, "rm": 10}


@pytest.mark.parametrize("how", CALLS)
def test_death_at_some_system_calls(spawn, how):
    deaths, furthest = die(spawn, "calls", how, 7 if CALLS[how] > 1 else 1, 1)
    assert deaths >= 1
    assert furthest >= 2 * CALLS[how] - 7


@BY_HAND[0]
@BY_HAND[1]
@pytest.mark.parametrize("how", CALLS)
def test_death_at_each_system_call(spawn, how):
    deaths, furthest = die(spawn, "calls", how, 1, 0)
    print(f"\n{how}: {deaths} deaths")
    assert furthest == deaths >= 2 * CALLS[how]


#: The number of the system call that waits on a semaphore, where it is known.
FUTEX = {"x86_64": {"202"}, "aarch64": {"98"}}.get(os.uname().machine, set())


# -- temporary files ----------------------------------------------------------------------------------


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_over(folder: Path, pid: int) -> Path:
    """Make a file as a creator leaves it."""
    path = folder / f".cam.im.shm.{pid}.0123abcd.new"
    path.write_bytes(b"x")
    return path


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


def test_file_of_a_number_that_another_process_has_now(shm_dir, monkeypatch):
    path = left_over(shm_dir, os.getpid())
    assert find_stale() == []
    now = time.time()
    monkeypatch.setattr("pymilk.system.temporary.time.time", lambda: now + 61)
    assert remove_stale() == [str(path)]


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
