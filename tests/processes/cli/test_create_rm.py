"""``pymilk create`` and ``pymilk rm``, beside processes that use the streams."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from pymilk._core import Stream
from pymilk.inspection import processes_using
from support.calling import call, done
from support.commands import READER, WRITER, run

#: Has a stream mapped, without a semaphore.
WATCHER = """
import sys
from pymilk import Stream
stream = Stream.attach(sys.argv[1], writable=False)
print("ready", flush=True)
sys.stdin.readline()
"""


def test_create(shm_dir):
    assert done("create", "cam", 12, 20, "--type", "u16", "--ring", 5, "--kw", 7, function=run) == ""
    with Stream.attach("cam") as stream:
        assert (stream.shape, stream.size, stream.dtype) == ((12, 20), (20, 12), np.uint16)
        assert (stream.cb_size, stream.nbkw, stream.counter) == (5, 7, 0)
        inode = stream.inode
        refused = call("create", "cam", 4, 4)
        assert refused.returncode == 1
        assert "exists" in refused.stderr
        assert not stream.replaced()
    done("create", "cam", 4, 5, 3, "--type", "c128", "--force")
    with SHM("cam") as shm:
        assert (shm.shape, shm.nptype) == ((4, 5, 3), np.complex128)
        assert shm.shape_c == (5, 4, 3)
        assert os.stat(shm.FILEPATH).st_ino != inode


@pytest.mark.parametrize(
    ("code", "arguments"), [(WRITER, ["cam", 0, 0]), (READER, ["cam"]), (WATCHER, ["cam"])]
)
def test_rm_refuses_while_somebody_uses_the_stream(spawn, shm_dir, code, arguments):
    if code != WRITER:
        done("create", "cam", 4, 4)
    user = spawn(code, *arguments)
    user.hear()
    said = run("rm", "cam")
    assert said.returncode == 1
    assert f"process {user.pid} (" in said.stderr
    assert (shm_dir / "cam.im.shm").exists()
    user.kill()
    done("rm", "cam")
    assert list(shm_dir.iterdir()) == []


def test_errors_cannot_speak_to_the_terminal(spawn, make_stream):
    """Every process chooses its own name."""
    stream = make_stream("cam", (2, 2), "u1")
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31mred\\x07', 0, 0, 0)\n"
    watcher = spawn(name + WATCHER, "cam")
    watcher.expect("ready")
    said = call("rm", "cam")
    assert said.returncode == 1
    assert f"in use by process {watcher.pid} (?[31mred?)" in said.stderr
    assert said.stderr.endswith("; end it first, or force the removal (option --force)\n")
    assert not stream.deleted


def test_rm_force_and_several(writer, shm_dir):
    done("create", "one", 4)
    done("create", "two", 4)
    (shm_dir / "text.im.shm").write_text("hello" * 1000)
    said = run("rm", "one", "missing", "cam", "text", "two")
    assert said.returncode == 1
    assert sorted(path.name for path in shm_dir.iterdir()) == ["cam.im.shm", "text.im.shm"]
    assert said.stderr.count("pymilk: ") == 3
    done("rm", "--force", "cam")
    assert [path.name for path in shm_dir.iterdir()] == ["text.im.shm"]
    assert writer.process.poll() is None


def test_rm_dead_removes_temporary_files_only(spawn, shm_dir):
    gone = spawn("")
    gone.finish()
    done("create", "cam", 4)
    left = shm_dir / f".cam.{gone.pid}.0123abcd.new"
    alive = shm_dir / f".cam.{os.getpid()}.0123abcd.new"
    left.write_bytes(b"x")
    alive.write_bytes(b"x")
    assert done("rm", "--dead") == f"removed {left}\n"
    assert sorted(path.name for path in shm_dir.iterdir()) == [alive.name, "cam.im.shm"]
    alive.unlink()
    assert call("rm").returncode == 2
    assert call("rm", "--dead", "cam").returncode == 2
    assert (shm_dir / "cam.im.shm").exists()


def test_users_of_a_stream_that_is_deleted_meanwhile(make_stream, spawn, monkeypatch):
    stream = make_stream("cam", (2, 2), "u1")
    watcher = spawn(WATCHER, "cam")
    watcher.expect("ready")
    os.unlink(stream.path)
    monkeypatch.setattr(os.path, "exists", lambda path: True)  # it was there a moment ago
    assert processes_using(stream) == [watcher.pid]
