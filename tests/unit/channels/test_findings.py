"""What the doctor says of channels."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymilk.channels import CommandQueue, MessageLog, SharedState, findings
from pymilk.channels.findings import channel_findings
from pymilk.channels.listing import owners_of, users_of
from pymilk.cli.commands.doctor import doctor


@pytest.fixture
def queue(monkeypatch) -> Iterator[CommandQueue]:
    monkeypatch.setattr(findings, "_QUIET", 0.0)
    with CommandQueue.create("queue", slots=4, size=16) as found:
        yield found


def about(topic: str) -> list[dict[str, str]]:
    return [finding for finding in channel_findings() if finding["topic"] == topic]


def overwrite(path: str, offset: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def test_nothing_to_say(queue):
    queue.remove()
    assert channel_findings() == []


def test_all_is_well(queue):
    with MessageLog.create("log") as log:
        log.append(b"x")
        [found] = channel_findings()
    assert found == {"topic": "channels", "level": "ok", "found": "2 usable", "todo": ""}


def test_logs_that_nobody_writes(monkeypatch):
    monkeypatch.setattr(findings, "_NAMED", 2)
    for name in "abc":
        MessageLog.create(name).close()
    with MessageLog.create("d"), MessageLog.attach("a"):
        [found] = about("stale")
    assert found["level"] == "note"
    assert "3 message logs that nobody writes: a, b and 1 more" in found["found"]
    assert "pymilk rm" in found["todo"]


def test_commands_that_nobody_takes(queue):
    with CommandQueue.attach("queue") as caller:
        tickets = [caller.send(b"x"), caller.send(b"y")]
        [found] = about("taker")
        assert found["level"] == "note"
        assert "2 commands wait, the oldest for 0 s, while others have it attached:" in found["found"]
        assert str(os.getpid()) in found["found"]
        queue.close()
        [found] = about("taker")
        assert found["level"] == "problem"
        assert found["found"].endswith("and nobody takes")
        assert "start the process that takes" in found["todo"]
        assert all(ticket.withdraw() for ticket in tickets)
    assert about("taker") == []


def test_commands_that_came_just_now_are_no_trouble(queue, monkeypatch):
    monkeypatch.setattr(findings, "_QUIET", 60.0)
    ticket = queue.send(b"x")
    assert about("taker") == []
    ticket.withdraw()


def test_commands_whose_takers_have_ended(queue):
    tickets = [queue.send(b"x"), queue.send(b"y")]
    with CommandQueue.attach("queue") as taker:
        taker.take(0)
        command = queue.take(0)
        assert about("taker") == []
    [found] = about("taker")
    assert "queue queue: 1 commands were taken by processes that have ended" in found["found"]
    assert tickets[0].wait(0).state == "started, unknown"
    assert about("taker") == []
    tickets[1].leave()  # one that is done for nobody is in good hands, too
    assert about("taker") == []
    command.reply()


def test_owners_are_those_in_the_file(queue):
    with CommandQueue.attach("queue") as caller:
        ticket = caller.send(b"x")
        [(state, owner, _, length)] = queue._in_use()
        assert (state, length) == ("waiting", 1)
        assert owner in owners_of(queue.path)
        assert len(owners_of(queue.path)) == 2
        ticket.withdraw()


def test_slots_with_other_bytes(queue):
    ticket = queue.send(b"x")
    overwrite(queue.path, 4096, struct.pack("<Q", 15))
    [found] = about("channel")
    assert found["level"] == "problem"
    assert "1 of its slots hold what no caller or taker stores" in found["found"]
    overwrite(queue.path, 4096, struct.pack("<Q", ticket._word))
    overwrite(queue.path, 4096 + 24, struct.pack("<I", 17))
    assert len(about("channel")) == 1
    overwrite(queue.path, 4096 + 24, struct.pack("<I", 1))
    assert about("channel") == []


def test_log_that_is_damaged_somewhere():
    with MessageLog.create("log") as log:
        for number in range(20):
            log.append(b"message %d" % number)
        assert about("channel") == []
        at = Path(log.path).read_bytes().index(b"message 13")
        overwrite(log.path, at - 16, b"\xff" * 16)
        [found] = about("channel")
    assert found["level"] == "problem"
    assert "channel 'log'" in found["found"]
    assert "pymilk rm log" in found["todo"]


@pytest.mark.parametrize("end", ["msg", "cmd", "state"])
def test_files_of_other_kinds_and_newer_versions(shm_dir, end):
    path = shm_dir / f"x.{end}.shm"
    path.write_bytes(b"x" * 8192)
    [found] = channel_findings()
    assert (found["topic"], found["level"]) == ("channel", "note")
    assert "magic" in found["found"]
    assert "move it elsewhere" in found["todo"]
    path.unlink()
    {"msg": MessageLog, "cmd": CommandQueue, "state": SharedState}[end].create("x").close()
    overwrite(str(path), 8, struct.pack("<I", 2))
    [found] = about("channel")
    assert "version is 2, not 1" in found["found"]
    assert "newer pymilk" in found["todo"]


def test_command_line(queue):
    assert "channels    1 usable" in CliRunner().invoke(doctor).output
    queue.send(b"x")
    queue.close()
    result = CliRunner().invoke(doctor)
    assert "problem  taker       queue queue: 1 commands wait" in result.output
    assert result.exit_code == 1


def test_all_who_have_a_queue_are_found(queue):
    """The kernel tells locks in the order in which they were taken, not in that of their places."""
    others = [CommandQueue.attach("queue") for _ in range(20)]
    assert users_of(queue.path) == [os.getpid()] * 21
    for each in others:
        each.close()
    assert users_of(queue.path) == [os.getpid()]
