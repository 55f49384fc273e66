"""Locks that others take: whoever may only read cannot stop a writer."""

from __future__ import annotations

import fcntl
import os

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamLockedError

FRAME = np.ones((4, 4), np.uint16)
NOBODY = 65534

#: A user who may read takes every lock that he can get.
LOCKER = f"""
import fcntl, os, sys
if os.getuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
file = open(sys.argv[1], "rb")
if sys.argv[2] == "flock":
    fcntl.flock(file, fcntl.LOCK_EX)
else:
    fcntl.lockf(file, fcntl.LOCK_SH)
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["flock", "lockf"])
def test_reader_cannot_stop_the_writer(make, spawn, shm_dir, how):
    shm_dir.chmod(0o755)
    shm = make("cam", FRAME, mode=0o644)
    locker = spawn(LOCKER, shm.FILEPATH, how)
    locker.expect("ready")
    shm.set_data(FRAME)
    make("cam").set_data(FRAME)
    if how == "flock":
        with SHM("cam", exclusive=True) as alone:
            alone.set_data(FRAME)
    else:
        with pytest.raises(StreamLockedError, match=r"locked .* for reading") as caught:
            SHM("cam", exclusive=True)
        assert caught.value.pids in ([locker.pid], [])
    make("cam", FRAME).set_data(FRAME)


def test_reader_cannot_take_the_lock_of_a_writer(make, spawn, shm_dir):
    shm_dir.chmod(0o755)
    shm = make("cam", FRAME, mode=0o644, exclusive=True)
    locker = spawn(LOCKER, shm.FILEPATH, "flock")
    locker.expect("ready")
    shm.set_data(FRAME)
    with pytest.raises(StreamLockedError):
        SHM("cam", exclusive=True)


def test_lock_of_another_program_that_may_write(make):
    """A program that knows nothing of pymilk locks the whole file; it may, for it may also write."""
    make("cam", FRAME)
    code_pid = os.fork()
    if code_pid == 0:
        try:
            os._exit(_hold_whole(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(code_pid, 0)[1]) == 0


def _hold_whole(path: str) -> int:
    with open(path, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        # A lock of the process does not hold off the process itself: look from a child.
        child = os.fork()
        if child == 0:
            try:
                SHM("cam").set_data(FRAME)
            except StreamLockedError as error:
                os._exit(0 if error.pids == [os.getppid()] else 2)
            os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
