"""Blocks and messages between processes, the import name, and the command."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from pymilk.compat.pymembus import errc, last_error, memmap, memmsg, select
from support.waiting import PATIENCE


def test_block(spawn):
    child = spawn("""
import sys
from pymilk.compat.pymembus import memmap
block = memmap()
print(block.open("/block", 64, True, True))
sys.stdin.readline()
print(block.read(4))
""")
    child.expect("True")
    block = memmap()
    assert block.open("/block", 0)
    view = memoryview(block)
    view[:4] = memoryview(b"data").cast("b")
    child.tell()
    assert child.finish() == (0, "data\n", "")
    assert not memmap().open("/block", 0)  # the maker has ended
    assert bytes(view[:4]) == b"data"


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_messages(spawn, how):
    child = spawn("""
import sys
from pymilk.compat.pymembus import memmsg
log = memmsg()
print(log.open("/log", 4096, True, True))
for line in sys.stdin:
    print(log.write(line.strip()))
""")
    child.expect("True")
    reader = memmsg()
    assert reader.open("/log", 4096, False, False)
    for number in range(3):
        child.tell(f"m{number}")
        assert reader.read(10_000) == f"m{number}"
        child.expect("True")
    child.tell("last")
    child.expect("True")
    if how == "killed":
        child.kill()
        writer = memmsg()
        assert writer.open("/log", 4096, True, True)
        assert writer.existing()
        assert writer.write("of the next writer")
        assert [reader.read(), reader.read()] == ["last", "of the next writer"]
        memmsg.remove("/log")
    else:
        assert child.finish()[0] == 0
        assert reader.read() == "last"
        assert not memmsg().open("/log", 4096, False, False)


def test_wait_ends_in_time_and_not_before():
    writer, reader = memmsg(), memmsg()
    writer.open("/log", 256, True, True)
    reader.open("/log", 256, False, False)
    begin = time.monotonic()
    assert reader.read(60) == ""
    assert time.monotonic() - begin >= 0.06
    assert last_error() == errc.timeout
    begin = time.monotonic()
    assert select(60, [reader.poll]) == -1
    assert time.monotonic() - begin >= 0.06


def test_select_over_what_another_process_writes(spawn):
    child = spawn("""
import sys
from pymilk.compat.pymembus import memmsg
log = memmsg()
print(log.open("/log", 4096, True, True))
sys.stdin.readline()
log.write("now")
sys.stdin.readline()
""")
    child.expect("True")
    reader = memmsg()
    reader.open("/log", 4096, False, False)
    child.tell()
    assert select(30_000, [lambda: False, reader.poll]) == 1
    assert reader.read() == "now"
    child.tell()
    assert child.finish()[0] == 0


def test_child_after_fork_leaves_the_names(spawn, shm_dir):
    child = spawn(
        """
import os, sys
from pymilk.compat.pymembus import memmap, memmsg
block, log = memmap(), memmsg()
block.open("/block", 8, True, True)
log.open("/log", 64, True, True)
pid = os.fork()
if pid == 0:
    block.close()
    log.close()
    sys.exit(0)
os.waitpid(pid, 0)
print(sorted(os.listdir(sys.argv[1])))
print(log.write("still"))
""",
        shm_dir,
    )
    assert child.finish() == (0, "['block.im.shm', 'log.msg.shm']\nTrue\n", "")
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("installed", [True, False])
def test_install(spawn, tmp_path, installed):
    if installed:
        (tmp_path / "pymembus.py").write_text("memmap = 'the real one'")
    child = spawn(
        """
import sys
sys.path.insert(0, sys.argv[1])
from pymilk.compat import pymembus as ours
ours.install()
ours.install()
import pymembus
import pymembus.pymembus
from pymembus import memmsg
from pymembus.pymembus import memmap
if hasattr(pymembus, "pymembus"):
    pymembus = pymembus.pymembus
print(pymembus.memmap is memmap is ours.memmap, pymembus.memmsg is memmsg, pymembus.__version__)
""",
        tmp_path,
    )
    assert child.finish() == (0, "True True 2.2.0\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["help"], 0, "usage: "),
        ([], 0, "usage: "),
        (["files"], 0, "messages.py"),
        (["info", "version"], 0, "2.2.0\n"),
        (["info", "name"], 0, "pymembus\n"),
        (["info", "other"], 2, "usage: "),
        (["uninstall"], 2, "usage: "),
    ],
)
def test_command(arguments, code, said):
    done = subprocess.run(
        [sys.executable, "-m", "pymilk.compat.pymembus", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert said in (done.stdout if code == 0 else done.stderr)


def test_close_by_another_thread_ends_a_read(shm_dir):
    """As a read of a closed handle: b"" and not_open, no exception."""
    writer, reader = memmsg(), memmsg()
    assert writer.open("/log", 1024, True, True)
    assert reader.open("/log", 1024, False, False)
    ended = []

    def read():
        ended.append((reader.read_bytes_with_overrun(1000 * int(PATIENCE)), last_error()))

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.1)  # it waits
    reader.close()
    thread.join(PATIENCE)
    assert ended == [((b"", False), errc.not_open)]
    writer.close()
