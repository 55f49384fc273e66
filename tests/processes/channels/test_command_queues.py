"""Command queues between processes: killed callers and takers, load, Ctrl-C, forks."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pymilk import errors
from pymilk.channels import CommandQueue
from support.waiting import until

RUN = "from support import queue_deaths; queue_deaths.main()"


@pytest.mark.parametrize("part", ["callers", "takers"])
def test_death_behind_each_store(spawn, part):
    code, out, err = spawn(RUN, part, 1, 0).finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    deaths, furthest = map(int, out.split())
    assert deaths == furthest >= 5


TAKER = """
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
print("ready")
done = []
def answer(data):
    done.append(data)
    return data + b" done"
queue.serve(answer)
print(*(data.decode() for data in done))
"""

CALLER = """
import sys
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
for number in range(int(sys.argv[2])):
    sent = b"%s.%d" % (sys.argv[1].encode(), number)
    reply = queue.call(sent, timeout=60)
    assert reply == ("done", sent + b" done", False), reply
print("finished")
"""


def test_each_command_is_taken_once(spawn):
    """Three callers and two takers: each thing is done once, in order for each caller."""
    with CommandQueue.create("queue", slots=4, size=32) as queue:
        takers = [spawn(TAKER) for _ in range(2)]
        for taker in takers:
            taker.expect("ready")
        callers = [spawn(CALLER, name, 1000) for name in "abc"]
        for caller in callers:
            caller.expect("finished")
        assert queue.count == 3000
        queue.remove()
    found = []
    for taker in takers:
        code, out, err = taker.finish()
        assert (code, err) == (0, "")
        words = out.split()
        for name in "abc":
            numbers = [int(word[2:]) for word in words if word[0] == name]
            assert numbers == sorted(numbers)
        found += words
    assert sorted(found) == sorted(f"{name}.{number}" for name in "abc" for number in range(1000))


SLOW = """
import time
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
command = queue.take(30)
print("taken")
time.sleep(60)
"""


def test_taker_that_is_killed(spawn):
    with CommandQueue.create("queue") as queue:
        child = spawn(SLOW)
        ticket = queue.send(b"x")
        child.expect("taken")
        child.process.send_signal(signal.SIGSTOP)
        with pytest.raises(errors.ChannelTimeoutError):
            ticket.wait(0.3)  # it is slow, not dead
        child.kill()
        began = time.monotonic()
        assert ticket.wait(10).state == "started, unknown"
        assert time.monotonic() - began < 1


def test_deadline(spawn):
    with CommandQueue.create("queue") as queue:
        child = spawn(SLOW)
        began = time.monotonic()
        assert queue.call(b"x", timeout=3).state == "started, unknown"
        assert 3 <= time.monotonic() - began < 10
        child.kill()
        until(lambda: queue._sweep() == 1)


INTERRUPTED = """
import sys
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
try:
    print("ready")
    queue.take() if sys.argv[1] == "take" else queue.call(b"x")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("what", ["take", "call"])
def test_interrupt(spawn, what):
    with CommandQueue.create("queue") as queue:
        child = spawn(INTERRUPTED, what)
        child.expect("ready")
        time.sleep(0.3)
        began = time.monotonic()
        child.process.send_signal(signal.SIGINT)
        child.expect("interrupted")
        assert time.monotonic() - began < 5
        assert queue.waiting == 0


def test_child_after_fork_has_to_attach():
    with CommandQueue.create("queue") as queue:
        ticket = queue.send(b"x")
        pid = os.fork()
        if pid == 0:
            try:
                queue.take(0)
            except errors.ChannelClosedError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        queue.take(0).reply(b"y")
        assert ticket.wait(0).data == b"y"
