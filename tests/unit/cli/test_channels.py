"""Channels on the command line: ``tail``, and what ``ls``, ``info`` and ``rm`` say of them."""

from __future__ import annotations

import json

from pymilk.channels import CommandQueue, MessageLog
from support.calling import call, done


def test_tail():
    with MessageLog.create("cam") as log:
        for number in range(1, 16):
            log.append(f"message {number}")
        log.append(b"\xff\x1b raw")
        lines = done("tail", "cam").splitlines()
        assert len(lines) == 10
        assert lines[0].endswith("      7  message 7")
        assert lines[-1].endswith("     16  \\xff? raw")
        found = [json.loads(line) for line in done("tail", "cam", "-n", 2, "--json").splitlines()]
        assert [each["number"] for each in found] == [15, 16]
        assert [each["text"] for each in found] == ["message 15", "\\xff\x1b raw"]
        assert done("tail", "cam", "-n", 0) == ""
    said = call("tail", "none")
    assert (said.returncode, "no channel 'none'" in said.stderr) == (1, True)


def test_listed_described_and_removed(shm_dir):
    (shm_dir / "bad.msg.shm").write_bytes(b"x")
    with MessageLog.create("cam") as log:
        log.append("hello")
        listed = done("ls").splitlines()
        assert listed[0].startswith(f"bad.msg.shm: {shm_dir}/bad.msg.shm is no channel of this kind: file")
        assert listed[1].startswith("cam.msg.shm: message log, 1 messages, newest ")
        assert done("info", "cam.msg.shm").startswith("cam.msg.shm: message log, 1 messages")
        assert json.loads(done("info", "cam.msg.shm", "--json"))["count"] == 1
        said = call("rm", "cam.msg.shm")
        assert (said.returncode, "another object of this process writes it" in said.stderr) == (1, True)
    assert "no writer" in done("ls")
    done("rm", "cam.msg.shm")
    assert not (shm_dir / "cam.msg.shm").exists()
    assert call("info", "cam.msg.shm").returncode == 1
    assert call("rm", "bad.msg.shm").returncode == 1
    assert (shm_dir / "bad.msg.shm").exists()


def test_a_name_of_a_channel_where_a_stream_is_wanted():
    with MessageLog.create("cam") as log, CommandQueue.create("cam"):
        log.append("hello")
        for command in (("info", "cam"), ("rm", "cam"), ("show", "cam", "--once"), ("kw", "cam")):
            said = call(*command)
            assert said.returncode == 1
            there = "there is a channel of that name: cam.cmd.shm, cam.msg.shm"
            assert said.stderr.rstrip().endswith(f"; {there}")


def test_what_doctor_says_to_do_can_be_done(shm_dir):
    with MessageLog.create("cam") as log:
        log.append("hello")
    assert "pymilk rm NAME.msg.shm" in call("doctor").stdout
    done("rm", "cam.msg.shm")
    assert not (shm_dir / "cam.msg.shm").exists()
