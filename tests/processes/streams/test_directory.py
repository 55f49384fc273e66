"""The stream directory with files of processes that have ended."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from pymilk.streams.directory import find_stale, list_streams, remove_stale
from pymilk.system.processes import process_alive


def test_stale_files_of_dead_creators(make_stream, shm_dir, dead_pid):
    make_stream("cam", (2, 2), np.uint8)
    dead = [
        shm_dir / f".cam.{dead_pid}.0123abcd.new",
        shm_dir / f".my.cam.v2.{dead_pid}.ffffffff.new",
    ]
    alive = shm_dir / f".cam.{os.getpid()}.0123abcd.new"
    others = [
        shm_dir / name
        for name in (
            f".cam.{dead_pid}.0123abcd.old",
            f".cam.{dead_pid}.0123ABCD.new",
            f".cam.{dead_pid}.0123abc.new",
            f"cam.{dead_pid}.0123abcd.new",
            ".cam.new",
        )
    ]
    for path in (*dead, alive, *others):
        path.write_bytes(b"x")
    assert find_stale() == sorted(str(path) for path in dead)
    assert list_streams(str(shm_dir))[0]["name"] == "cam"
    assert remove_stale() == sorted(str(path) for path in dead)
    assert remove_stale() == []
    assert not any(path.exists() for path in dead)
    for path in (alive, *others):
        assert path.exists()
        path.unlink()
    assert [entry["name"] for entry in list_streams()] == ["cam"]


def test_creator_that_is_killed_leaves_something_that_can_be_removed(spawn, shm_dir):
    child = spawn(
        """
import os, signal
from pymilk._core import Stream
os.rename = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
Stream.create("cam", (2, 2), "u1")
"""
    )
    child.process.wait()
    left = [path.name for path in shm_dir.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".cam.")
    assert list_streams() == []
    assert remove_stale() == [str(shm_dir / left[0])]
    assert list(shm_dir.iterdir()) == []


def test_live_and_dead_processes(dead_pid):
    assert process_alive(os.getpid())
    assert process_alive(os.getppid())
    assert process_alive(1)
    assert not process_alive(dead_pid)
    assert not process_alive(0)
    assert not process_alive(-1)
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert not process_alive(zombie.pid)
    zombie.wait()


def test_a_zombie_that_is_waited_for_meanwhile(monkeypatch):
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)

    def late(*args, **options):
        zombie.wait()
        return open(*args, **options)

    monkeypatch.setattr("pymilk.system.processes.open", late, raising=False)
    assert not process_alive(zombie.pid)
    assert zombie.returncode == 0


def test_a_process_whose_state_cannot_be_read(monkeypatch):
    def refused(path, *_args):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("pymilk.system.processes.open", refused, raising=False)
    assert process_alive(os.getppid())
