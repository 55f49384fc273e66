"""What the doctor finds of channels whose processes were killed, and of removed ones."""

from __future__ import annotations

import os
import sys

from pymilk.channels import CommandQueue, MessageLog
from pymilk.channels.findings import channel_findings
from support.namespaces import begin_inside, needs_namespaces, run_inside

USER = """
import sys
from pymilk.channels import CommandQueue, MessageLog
log = MessageLog.create("log")
log.append(b"x")
queue = CommandQueue.attach("queue")
command = queue.take(30)
reader = MessageLog.attach("other")
print("ready", flush=True)
sys.stdin.readline()
"""


def about(topic: str) -> list[str]:
    return [each["found"] for each in channel_findings() if each["topic"] == topic]


def test_killed_writer_and_taker_and_a_removed_log(spawn):
    with CommandQueue.create("queue") as queue, MessageLog.create("other") as other:
        ticket = queue.send(b"x")
        child = spawn(USER)
        child.expect("ready")
        assert about("stale") + about("taker") + about("deserted") == []
        inode = os.stat(other.path).st_ino
        other.remove()
        [found] = about("deserted")
        assert f"other.msg.shm: its file (inode {inode}) was deleted, and " in found
        assert str(child.pid) in found
        child.kill()
        assert about("deserted") == []
        assert about("stale") == ["1 message logs that nobody writes: log"]
        assert about("taker") == ["queue queue: 1 commands were taken by processes that have ended"]
        assert ticket.wait(5).state == "started, unknown"


def test_those_in_another_container_are_not_dead(shm_dir):
    needs_namespaces()
    with CommandQueue.create("queue") as queue, MessageLog.create("other"):
        ticket = queue.send(b"x")
        child = begin_inside(sys.executable, "-c", USER)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert about("stale") + about("taker") == []
        inside = run_inside("doctor")
        assert "nobody writes" not in inside.stdout
        assert "that have ended" not in inside.stdout
        assert ticket.state == "started"
        child.communicate("\n", timeout=30)
        assert about("stale") == ["1 message logs that nobody writes: log"]
        assert about("taker") == ["queue queue: 1 commands were taken by processes that have ended"]
