"""Commands of several processes: all arrive once, killed ones hold nothing up and are not counted."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pymilk.channels import MessageLog
from pymilk.compat.pymembus import errc, last_error, memcmd, memmsg

SENDER = """
import sys
from pymilk.compat import pymembus
handle = getattr(pymembus, sys.argv[1])()
print(handle.open("/commands", 1 << 20, True, False))
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    assert handle.write(f"{sys.argv[2]} {number}"), pymembus.last_error()
print("done")
sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", [memcmd, memmsg])
def test_three_senders_at_once(spawn, kind):
    receiver = kind()
    assert receiver.open("/commands", 1 << 20, True, True)
    senders = [spawn(SENDER, kind.__name__, who, 2000) for who in "abc"]
    for each in senders:
        each.expect("True")
    for each in senders:
        each.tell()
    got = {who: 0 for who in "abc"}
    while sum(got.values()) < 6000:
        text, overrun = receiver.read_with_overrun(30_000)
        assert not overrun
        who, number = text.split()
        assert int(number) == got[who]
        got[who] += 1
    for each in senders:
        each.expect("done")
    assert receiver.read() == ""


def test_killed_in_the_middle(spawn):
    receiver = memcmd()
    assert receiver.open("/commands", 1 << 20, True, True)
    first, second = (spawn(SENDER, "memcmd", who, 1 << 40) for who in "ab")
    for each in (first, second):
        each.expect("True")
    assert receiver.readerCount() == 3
    for each in (first, second):
        each.tell()
        assert receiver.read(10_000) or last_error() == errc.overrun
    first.kill()
    begin = time.monotonic()
    assert receiver.write("of the survivor")
    assert time.monotonic() - begin < 1
    assert receiver.readerCount() == 2
    second.kill()
    assert receiver.readerCount() == 1
    while receiver.poll():
        receiver.read_bytes(0)
    with MessageLog.attach("commands", start="oldest") as log:
        rows = log.read_many().rows
        assert (rows["number"][1:] == rows["number"][:-1] + 1).all()
    assert receiver.write("next")
    assert receiver.read() == "next"


def test_a_new_share_under_the_name_while_an_old_handle_lives(spawn):
    maker = spawn("""
import sys
from pymilk.compat.pymembus import memcmd
handle = memcmd()
print(handle.open("/commands", 1 << 20, True, True))
sys.stdin.readline()
""")
    maker.expect("True")
    old = memcmd()
    assert old.open("/commands", 1 << 20)
    session = old.getSessionId()
    assert old.write("to the old one")
    maker.kill()
    assert old.readerCount() == 0
    assert memcmd().open("/commands", 1 << 20), "a killed maker leaves its name"
    memcmd.remove("/commands")
    new = memcmd()
    assert new.open("/commands", 1 << 20, True, True)
    assert new.getSessionId() != session
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:  # also when it has looked for its name
        assert old.write("to the old one")
        assert old.read() == "to the old one"
        time.sleep(0.01)
    assert old.read() == "to the old one"
    assert old.poll() is False
    assert new.poll() is False


def test_child_after_fork_is_not_counted_and_writes(spawn):
    child = spawn("""
import os
from pymilk.compat.pymembus import memcmd
handle = memcmd()
handle.open("/commands", 4096, True, True)
handle.write("parent")
pid = os.fork()
if pid == 0:
    print(handle.write("child"), handle.readerCount(), flush=True)
    handle.close()
    os._exit(0)
os.waitpid(pid, 0)
print(handle.write("parent"), handle.readerCount())
print([handle.read() for _ in range(3)])
""")
    assert child.finish() == (0, "True 1\nTrue 1\n['parent', 'child', 'parent']\n", "")


def test_a_stopped_sender_does_not_keep_its_turn_between_commands(spawn):
    receiver = memcmd()
    assert receiver.open("/commands", 1 << 20, True, True)
    sender = spawn(SENDER, "memcmd", "a", 1)
    sender.expect("True")
    sender.tell()
    sender.expect("done")
    os.kill(sender.pid, signal.SIGSTOP)
    try:
        assert receiver.write("b")
    finally:
        os.kill(sender.pid, signal.SIGCONT)
    assert [receiver.read(), receiver.read()] == ["a 0", "b"]
