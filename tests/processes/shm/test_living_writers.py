"""A stream that a living process writes is not replaced, played into or removed without a word."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Player, Relay, remove_stream
from pymilk._core import Stream
from pymilk.compat.xaosim import shm as XaosimShm
from pymilk.errors import StreamExistsError, StreamInUseError, StreamInUseWarning, StreamLockedError
from pymilk.image import Image
from pymilk.loading import creashmim
from support.calling import call

FRAME = np.ones((4, 4), np.uint16)

#: Publishes two frames, and stays.
CAMERA = """
import sys
import numpy as np
from pymilk import SHM
shm = SHM("cam", np.zeros((4, 4), np.uint16))
shm.set_data(np.ones((4, 4), np.uint16))
print("ready", flush=True)
sys.stdin.readline()
"""

#: Makes the stream, and waits for what others write into it.
MIRROR = """
import sys
from pymilk import Stream
stream = Stream.create("cam", (4, 4), "u2")
print("ready", flush=True)
sys.stdin.readline()
"""

CREATORS: dict[str, Callable[[], Any]] = {
    "SHM": lambda: SHM("cam", FRAME),
    "SHM, said": lambda: SHM("cam", FRAME, replace=True),
    "Stream.create": lambda: Stream.create("cam", (4, 4), "u2"),
    "Image.create": lambda: Image().create("cam", FRAME),
    "xaosim": lambda: XaosimShm("cam", data=FRAME),
    "creashmim": lambda: creashmim("cam", (2, 2), np.uint8),
    "exclusive": lambda: SHM("cam", FRAME, exclusive=True),
}


@pytest.fixture
def camera(spawn):
    child = spawn(CAMERA)
    child.expect("ready")
    return child


@pytest.mark.parametrize("create", CREATORS.values(), ids=CREATORS)
def test_whoever_replaces_is_warned_by_name_and_number(camera, create):
    with pytest.warns(StreamInUseWarning) as said:
        made = create()
    if hasattr(made, "close"):
        made.close()
    [warning] = said
    assert f"stream 'cam' is replaced, and is written by process {camera.pid} (python" in str(warning.message)
    assert warning.filename == __file__


def test_warning_is_shown_each_time(spawn, camera):
    code = """
import numpy as np
from pymilk import SHM
for _ in range(2):
    SHM("cam", np.zeros((4, 4), np.uint16)).close()
    camera = SHM("cam")
"""
    child = spawn(code)
    code, _, said = child.finish()
    assert code == 0
    assert said.count("StreamInUseWarning") == 1  # the second one replaces its own


@pytest.mark.parametrize("create", CREATORS.values(), ids=CREATORS)
def test_warning_that_is_an_error_leaves_the_stream_alone(camera, shm_dir, create):
    path = shm_dir / "cam.im.shm"
    inode = path.stat().st_ino
    with warnings.catch_warnings():
        warnings.simplefilter("error", StreamInUseWarning)
        with pytest.raises(StreamInUseWarning):
            create()
    assert path.stat().st_ino == inode
    assert os.listdir(shm_dir) == ["cam.im.shm"]


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_if_free_refuses(camera, shm_dir, monkeypatch, how):
    path = shm_dir / "cam.im.shm"
    inode = path.stat().st_ino
    creators = [
        lambda: SHM("cam", FRAME, replace="if-free"),
        lambda: Stream.create("cam", (4, 4), "u2", replace="if-free"),
    ]
    if how == "environment":
        monkeypatch.setenv("PYMILK_REPLACE", "if-free")
        creators = [CREATORS[name] for name in ("SHM", "Stream.create", "xaosim", "creashmim", "exclusive")]
        image = Image()
        assert image.create("cam", FRAME) == 40
        assert isinstance(image.last_error, StreamInUseError)
    for create in creators:
        with pytest.raises(StreamInUseError, match=rf"written by process {camera.pid} \(python") as caught:
            create()
        assert caught.value.pids == [camera.pid]
        assert (caught.value.stream, caught.value.path) == ("cam", str(path))
    assert path.stat().st_ino == inode
    assert os.listdir(shm_dir) == ["cam.im.shm"]
    camera.kill()
    SHM("cam", FRAME, replace="if-free").close()
    assert path.stat().st_ino != inode


def test_process_that_made_it_and_has_it_open(spawn, shm_dir):
    mirror = spawn(MIRROR)
    mirror.expect("ready")
    with pytest.raises(StreamInUseError, match=rf"was made by process {mirror.pid} \(python") as caught:
        SHM("cam", FRAME, replace="if-free")
    assert caught.value.pids == [mirror.pid]
    # It is there to be written.
    with SHM("cam") as shm:
        shm.set_data(FRAME)
    with Player(FRAME[None], "cam", rate=0) as player:
        player.wait(60)
    with pytest.warns(StreamInUseWarning, match="is open there"):
        SHM("cam", FRAME).close()


def test_process_that_closed_it_or_reads_it_is_no_writer(spawn, camera, make):
    code = """
import sys
from pymilk import SHM
reader = SHM("cam")
reader.get_data()
print("ready", flush=True)
sys.stdin.readline()
"""
    spawn(code).expect("ready")
    closed = spawn(CAMERA.replace('print("ready"', 'shm.close(); print("ready"').replace('"cam"', '"old"'))
    closed.expect("ready")
    camera.kill()
    make("cam", FRAME, replace="if-free")
    make("old", FRAME, replace="if-free")


def test_file_that_is_no_stream_here_and_is_open_somewhere(spawn, shm_dir, make):
    """It may be one of a newer version."""
    path = shm_dir / "cam.im.shm"
    path.write_bytes(b"3.00".ljust(4096, b"\0"))
    user = spawn(
        "import mmap, sys\nfile = open(sys.argv[1], 'r+b')\nmemory = mmap.mmap(file.fileno(), 0)\n"
        "print('ready', flush=True)\nsys.stdin.readline()",
        path,
    )
    user.expect("ready")
    with pytest.raises(StreamInUseError, match="no stream that can be read here") as caught:
        SHM("cam", FRAME, replace="if-free")
    assert caught.value.pids == [user.pid]
    user.kill()
    make("cam", FRAME, replace="if-free")


def test_number_that_another_process_has_now(spawn, make):
    """Its writer has ended, and a process that knows nothing of the stream has the number."""
    other = spawn("import sys; print('up', flush=True); sys.stdin.readline()")
    other.expect("up")
    gone = spawn(CAMERA)
    gone.expect("ready")
    gone.kill()
    with Stream.attach("cam") as stream:
        stream.section("sem_write_pid", writable=True)[:] = other.pid
    make("cam", FRAME, replace="if-free")


def test_relay_and_player(camera, make):
    make("source", FRAME)
    with pytest.raises((StreamInUseError, StreamExistsError), match=f"{camera.pid}"):
        Relay("source", "cam", 8)
    with pytest.raises(StreamInUseError, match=f"written by process {camera.pid}"):
        Player(FRAME[None], "cam", rate=0)
    with pytest.warns(StreamInUseWarning), Player(FRAME[None], "cam", rate=0, force=True) as player:
        player.wait(60)


def test_commands_say_it_in_a_line(camera):
    said = call("create", "cam", 4, 4, "--force")
    assert (said.returncode, said.stdout) == (0, "")
    [line] = said.stderr.splitlines()
    assert line.startswith("pymilk: stream 'cam' is replaced, and is written by process")


def test_lock_shows_although_its_holder_does_not(spawn, make_stream, monkeypatch):
    holder = spawn(CAMERA.replace("np.uint16))\nshm", "np.uint16), exclusive=True)\nshm"))
    holder.expect("ready")
    monkeypatch.setattr("pymilk.inspection.making.processes_using", lambda stream: [])
    monkeypatch.setattr("pymilk.system.living.those_called", lambda number, file: ([], True))
    with pytest.raises(StreamLockedError):
        remove_stream("cam")
    with pytest.raises(StreamLockedError):
        Player(FRAME[None], "cam", rate=0)
    with pytest.raises(StreamLockedError):
        SHM("cam", FRAME)
