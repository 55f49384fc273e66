"""Streams of processes that are not visible from here: in another PID namespace, as between containers."""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np
import pytest

from pymilk import SHM, Player, remove_stream
from pymilk._core import Stream
from pymilk.errors import StreamInUseError, StreamInUseWarning
from pymilk.inspection import describe_stream, survey
from support.findings import about
from support.namespaces import begin_inside, needs_namespaces, run_inside

FRAME = np.ones((4, 4), np.uint16)

#: Publishes at 100 Hz until its stdin ends.
CAMERA = """
import sys, threading
import numpy as np
from pymilk import SHM
shm = SHM("cam", np.zeros((4, 4), np.uint16))
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), end.set())).start()
print("ready", flush=True)
while not end.wait(0.01):
    shm.set_data(np.ones((4, 4), np.uint16))
"""

#: Publishes one frame, and stays.
SLOW = """
import sys, os
import numpy as np
from pymilk import SHM
shm = SHM("cam", np.ones((4, 4), np.uint16))
print("ready", flush=True)
sys.stdin.readline()
"""


#: Holds a semaphore.
READER = """
import sys
from pymilk import SHM
shm = SHM("cam")
assert shm.semID is not None
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def inside():
    """Start Python code in a PID namespace of its own; returns the process once it is ready."""
    needs_namespaces()
    begun = []

    def start(code):
        process = begin_inside(sys.executable, "-c", code)
        begun.append(process)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    yield start
    for process in begun:
        process.communicate("\n", timeout=30)


@pytest.mark.parametrize("code", [CAMERA, SLOW], ids=["fast", "slow"])
def test_container_sees_that_the_host_writes(spawn, shm_dir, tmp_path, code):
    needs_namespaces()
    np.save(tmp_path / "frames.npy", np.zeros((3, 4, 4), np.uint16))
    camera = spawn(code)
    camera.expect("ready")
    inode = (shm_dir / "cam.im.shm").stat().st_ino
    for command in (
        ("play", str(tmp_path / "frames.npy"), "--stream", "cam", "--rate", "0"),
        ("rm", "cam"),
    ):
        said = run_inside(*command)
        assert said.returncode == 1, said
        assert "is written by a process that is not visible from here (its " in said.stderr
    with Stream.attach("cam", writable=False) as stream:
        assert stream.read()[0].max() <= 1
        assert stream.inode == inode
    if code == SLOW:
        return
    # The number that the writer has there is that of another process, or none.
    [entry] = json.loads(run_inside("ls", "--json").stdout)
    assert (entry["writer_pid"], entry["writer_alive"]) == (camera.pid, None)
    assert f"{camera.pid} not visible from here" in run_inside("ls").stdout
    run_inside("rm", "cam", "--force")
    assert not (shm_dir / "cam.im.shm").exists()


def test_creating_in_a_container(spawn, shm_dir):
    needs_namespaces()
    spawn(CAMERA).expect("ready")
    code = """
import numpy as np, warnings
from pymilk import SHM
from pymilk.errors import *
try:
    SHM("cam", np.zeros((4, 4), np.uint16), replace="if-free")
except StreamInUseError as error:
    print(error.pids, "not visible from here" in str(error))
with warnings.catch_warnings(record=True) as said:
    SHM("cam", np.zeros((4, 4), np.uint16)).close()
print([each.category.__name__ for each in said])
"""
    process = begin_inside(sys.executable, "-c", code)
    assert process.communicate(timeout=60)[0] == "[] True\n['StreamInUseWarning']\n"


def test_host_sees_that_a_container_writes(inside, shm_dir):
    for code in (SLOW, CAMERA):
        inside(code)
        with Stream.attach("cam", writable=False) as stream:
            found = describe_stream(stream)
        assert found["writer_alive"] is True
        with open(f"/proc/{found['writer_pid']}/cmdline") as file:
            assert '"cam"' in file.read()
        for use in (
            lambda: remove_stream("cam"),
            lambda: Player(FRAME[None], "cam", rate=0),
            lambda: SHM("cam", FRAME, replace="if-free"),
        ):
            with pytest.raises(StreamInUseError) as caught:
                use()
            assert found["writer_pid"] in caught.value.pids
        with pytest.warns(StreamInUseWarning, match=f"{found['writer_pid']}"):
            SHM("cam", FRAME).close()


def test_two_containers_in_which_processes_have_the_same_number(inside, tmp_path, shm_dir):
    tell = f"open({str(tmp_path / 'number')!r}, 'w').write(str(os.getpid()))\nprint("
    inside(SLOW.replace("print(", tell))
    number = int((tmp_path / "number").read_text())
    np.save(tmp_path / "frames.npy", np.zeros((3, 4, 4), np.uint16))
    code = f"""
import os, sys
assert os.getpid() == {number}, os.getpid()
from pymilk.cli import main
sys.argv = ["pymilk", "play", "{tmp_path / 'frames.npy'}", "--stream", "cam", "--rate", "0"]
main()
"""
    process = begin_inside(sys.executable, "-c", code)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "is written by a process that is not visible from here" in said


def test_container_can_use_what_is_silent(shm_dir, tmp_path, monkeypatch):
    """Without any sign of life, what was written long ago is free, there as here."""
    needs_namespaces()
    shm = SHM("cam", FRAME)
    shm._stream.post()
    shm.close()
    time.sleep(5.2)
    said = run_inside("doctor", "--json")
    [finding] = [each for each in json.loads(said.stdout) if each["topic"] == "stale"]
    assert "not visible from here" in finding["found"]
    assert "cam" in finding["found"]
    said = run_inside("rm", "cam")
    assert (said.returncode, said.stderr) == (0, "")


def test_reader_in_another_container(inside, make):
    make("cam", FRAME)
    inside(READER)
    [entry] = survey()
    assert len(entry["readers"]) == 1
    assert (entry["dead_readers"], entry["hidden_readers"]) == ([], [])
    assert about("semaphores") == []


def test_lock_of_another_container(inside, make):
    inside(SLOW.replace("np.uint16))", "np.uint16), exclusive=True)"))
    with SHM("cam") as shm, pytest.raises(StreamInUseError, match="writes it exclusively") as caught:
        shm.set_data(FRAME)
    [pid] = caught.value.pids
    with open(f"/proc/{pid}/comm") as file:
        assert "python" in file.read()
    assert pid != os.getpid()
