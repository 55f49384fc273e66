"""Command queues of processes in another PID namespace, as between containers: not visible is not dead."""

from __future__ import annotations

import sys

import pytest

from pymilk import errors
from pymilk.channels import CommandQueue
from support.namespaces import begin_inside, needs_namespaces

#: Takes a command, and answers the next one; or sends one, and reads the reply.
INSIDE = """
import sys
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
if sys.argv[1] == "take":
    command = queue.take(30)
    print("taken", flush=True)
    sys.stdin.readline()
    command.reply(b"slowly")
    command = queue.take(30)
    print("taken", flush=True)
    sys.stdin.readline()
else:
    ticket = queue.send(b"from inside")
    print("sent", flush=True)
    print(ticket.wait(30).data.decode(), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def queue():
    needs_namespaces()
    with CommandQueue.create("queue", slots=1, size=16) as found:
        yield found


def test_taker_that_is_not_visible_lives_until_it_has_ended(queue):
    child = begin_inside(sys.executable, "-c", INSIDE, "take")
    ticket = queue.send(b"x")
    assert child.stdout.readline() == "taken\n"
    for timeout in (0, 0.01, 0.2):  # longer than it takes to look whether it lives
        with pytest.raises(errors.ChannelTimeoutError):
            ticket.wait(timeout)
    assert queue._sweep() == 0
    assert ticket.state == "started"
    child.stdin.write("\n")
    child.stdin.flush()
    assert ticket.wait(30).data == b"slowly"
    ticket = queue.send(b"y")
    assert child.stdout.readline() == "taken\n"
    child.communicate("\n", timeout=30)  # it ends without an answer
    assert ticket.wait(30).state == "started, unknown"


def test_caller_that_is_not_visible_keeps_its_reply(queue):
    child = begin_inside(sys.executable, "-c", INSIDE, "send")
    assert child.stdout.readline() == "sent\n"
    with pytest.raises(errors.ChannelFullError):
        queue.send(b"x", 0.1)
    command = queue.take(0)
    assert command.data == b"from inside"
    assert queue._sweep() == 0
    assert command.reply(b"answer")
    assert child.stdout.readline() == "answer\n"
    assert queue.send(b"x", 5).withdraw()
    child.communicate("\n", timeout=30)
