"""Message logs between processes: under load, with killed writers, removed, and with Ctrl-C."""

from __future__ import annotations

import signal
import time

import pytest

from pymilk import errors
from pymilk.channels import MessageLog
from support.waiting import until

WRITER = """
import sys
from pymilk.channels import MessageLog
log = MessageLog.create("log", int(sys.argv[1]), replace=True)
print("ready")
sys.stdin.readline()
number = 0
while number < int(sys.argv[2]):
    number += 1
    log.append(b"%d " % number + b"x" * (number * 7919 % 300))
print("done")
sys.stdin.readline()
"""


def right(data: bytes, number: int) -> bool:
    return data == b"%d " % number + b"x" * (number * 7919 % 300)


@pytest.mark.parametrize("batches", [False, True])
def test_reader_beside_a_fast_writer(spawn, batches):
    """Whatever is read is whole and in order, and what is not read is counted."""
    child = spawn(WRITER, 20_000, 100_000)
    child.expect("ready")
    with MessageLog.attach("log") as reader:
        child.tell()
        seen = 0
        while seen < 100_000:
            if batches:
                reader.wait(30)
                batch = reader.read_many()
                if len(batch):
                    assert batch.rows["number"][0] == seen + batch.lost + 1
                    for data, number in zip(batch, batch.rows["number"], strict=True):
                        assert right(data, number)
                    seen = int(batch.rows["number"][-1])
            else:
                message = reader.read(timeout=30)
                assert message.number == seen + message.lost + 1
                assert right(message.data, message.number)
                seen = message.number
        child.expect("done")
        assert reader.lost + (100_000 - reader.lost) == seen


def test_writer_that_is_killed_is_followed_by_another(spawn):
    child = spawn(WRITER, 1 << 20, 1 << 60)
    child.expect("ready")
    with MessageLog.attach("log") as reader:
        child.tell()
        reader.read(timeout=30)
        child.kill()
        began = time.monotonic()
        with MessageLog.attach("log", write=True) as log:
            assert time.monotonic() - began < 1
            count = log.count
            assert log.append("after") == count + 1
        while (message := reader.read(timeout=30)).number <= count:
            assert right(message.data, message.number)
        assert message.data == "after"


READER = """
from pymilk import errors
from pymilk.channels import MessageLog
log = MessageLog.attach("log")
try:
    print("ready")
    print(log.read().data)
    log.read()
except errors.ChannelRemovedError:
    print("removed")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_sleeping_reader_is_woken_and_told_of_the_end(spawn):
    with MessageLog.create("log") as log:
        child = spawn(READER)
        child.expect("ready")
        time.sleep(0.3)
        log.append("hello")
        child.expect("hello")
        log.remove()
        child.expect("removed")


def test_file_that_somebody_deletes(spawn, shm_dir):
    with MessageLog.create("log") as log:
        child = spawn(READER)
        child.expect("ready")
        log.append("hello")
        child.expect("hello")
        (shm_dir / "log.msg.shm").unlink()
        child.expect("removed")


def test_interrupt(spawn):
    with MessageLog.create("log"):
        child = spawn(READER)
        child.expect("ready")
        time.sleep(0.3)
        began = time.monotonic()
        child.process.send_signal(signal.SIGINT)
        child.expect("interrupted")
        assert time.monotonic() - began < 5


def test_second_process_does_not_write(spawn):
    child = spawn(WRITER, 20_000, 1)
    child.expect("ready")
    with pytest.raises(errors.ChannelInUseError):
        MessageLog.attach("log", write=True)
    with pytest.raises(errors.ChannelInUseError):
        MessageLog.create("log", replace=True)


FORKED = """
import os
from pymilk import errors
from pymilk.channels import MessageLog
log, reader = MessageLog.create("log"), MessageLog.attach("log")
log.append("before")
pid = os.fork()
if pid == 0:
    try:
        log.append("by the child")
    except errors.ChannelClosedError:
        os._exit(0 if reader.read(timeout=10).data == "before" else 2)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
log.append("after")
assert [reader.read(timeout=10).data for _ in range(2)] == ["before", "after"]
"""


def test_child_after_fork_does_not_write(spawn):
    assert spawn(FORKED).finish() == (0, "", "")


def test_lock_does_not_outlive_the_writer_in_a_child(spawn):
    """A child that lives on has let go of the lock that it got with the memory."""
    child = spawn(
        "import os, sys, time\n"
        "from pymilk.channels import MessageLog\n"
        "log = MessageLog.create('log')\n"
        "if os.fork() == 0:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    child.expect("ready")
    until(lambda: child.process.poll() is not None)
    with MessageLog.attach("log", write=True) as log:
        assert log.append("goes on") == 1
    child.tell()
