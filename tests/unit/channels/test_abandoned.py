"""What writers died in is counted by the next one: once, whoever dies, and not what was only refused."""

from __future__ import annotations

import os
import struct

import pytest

from pymilk import errors
from pymilk.channels import CommandQueue, MessageLog, SharedState
from pymilk.channels.file import HEADER_NBYTES
from pymilk.channels.listing import list_channels

#: Where `begun`, `abandoned` and the first slot of a queue are in their files.
BEGUN, ABANDONED, SLOT = 200, 208, 4096


def number_at(path: str, offset: int) -> int:
    with open(path, "rb") as file:
        return struct.unpack("<Q", os.pread(file.fileno(), 8, offset))[0]


def store(path: str, offset: int, number: int) -> None:
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), struct.pack("<Q", number), offset)


def test_writers_that_live_abandon_nothing():
    with MessageLog.create("log", HEADER_NBYTES + 1024) as log:
        for number in range(50):
            log.append(b"x" * (number * 7 % 400))
        assert (number_at(log.path, BEGUN), log.abandoned) == (50, 0)
        with pytest.raises(errors.RecordTooLongError):
            log.append(b"x" * 1000)
        assert (number_at(log.path, BEGUN), log.abandoned) == (50, 0)


@pytest.mark.parametrize("writers", ["one", "many"])
def test_the_next_writer_of_a_log_counts(writers):
    with MessageLog.create("log", writers=writers) as log:
        log.append_many([b"a", b"b", b"c"])
    with MessageLog.attach("log") as reader:
        for deaths in (1, 2):
            store(log.path, BEGUN, number_at(log.path, BEGUN) + 1)  # as one leaves it who died
            assert reader.abandoned == deaths - 1
            with MessageLog.attach("log", write=True, writers=writers) as log:
                assert reader.abandoned == deaths  # and dies before it begins: counted once
            with MessageLog.attach("log", write=True, writers=writers) as log:
                log.append(b"d")
            assert reader.abandoned == deaths
    assert number_at(log.path, BEGUN) == log_count() + 2


def log_count() -> int:
    with MessageLog.attach("log") as log:
        return log.count


def test_one_of_many_counts_who_dies_beside_it():
    with MessageLog.create("log", writers="many") as log:
        log.append(b"a")
        store(log.path, BEGUN, 2)
        log.append(b"b")
        assert log.abandoned == 1


def test_programs_that_do_not_count_are_heeded():
    with MessageLog.create("log") as log:
        log.append_many([b"a", b"b", b"c"])
        store(log.path, BEGUN, 4)
    with MessageLog.attach("log", write=True) as log:
        assert log.abandoned == 1
        store(log.path, BEGUN, 0)  # as if another program had written all there is
    with MessageLog.attach("log", write=True) as log:
        log.append(b"d")
        assert (number_at(log.path, BEGUN), log.abandoned) == (5, 1)


def test_any_number_in_the_file_is_only_a_number():
    with MessageLog.create("log") as log:
        log.append(b"a")
    for begun, abandoned in ((2**64 - 1, 0), (0, 2**64 - 1), (2**63, 2**63)):
        store(log.path, BEGUN, begun)
        store(log.path, ABANDONED, abandoned)
        with MessageLog.attach("log", write=True) as log:
            log.append(b"b")
            assert 0 <= log.abandoned < 2**64


def test_steps_of_a_state():
    with SharedState.create("state", {"a": 1}, fixed=True) as state:
        state["a"] = 2
        for refused in ({"a": "text"}, {"b": 1}):
            with pytest.raises((errors.ChannelArgumentError, KeyError)):
                state.update(refused)
        state["a"] = 3
        assert state.abandoned == 0
        store(state.path, BEGUN, number_at(state.path, BEGUN) + 1)
        state["a"] = 4
        state["a"] = 5
        assert state.abandoned == 1


def filling(changes: int, owner: int = 7) -> int:
    return changes << 31 | owner << 4 | 1


def test_callers_of_a_queue():
    with CommandQueue.create("queue", 1, 16) as queue:
        assert queue.call("x", timeout=0).state == "not started"
        for deaths in (1, 2):
            store(queue.path, SLOT, filling(10 * deaths))
            assert queue.send(b"y", timeout=0).withdraw()  # nobody has the slot: it is swept
            assert queue.abandoned == deaths
        # Who counted it died before it freed the slot.
        store(queue.path, SLOT, filling(20))
        queue.send(b"y", timeout=0).withdraw()
        assert queue.abandoned == 2


def test_list_and_info_tell():
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    from pymilk.cli.output import channel_lines

    with MessageLog.create("log") as log, CommandQueue.create("queue", 2, 16), SharedState.create("state"):
        assert [each["abandoned"] for each in list_channels()] == [0, 0, 0]
        assert not any("abandoned" in line for line in channel_lines(list_channels()))
        store(log.path, ABANDONED, 3)
        store(log.path.replace("log.msg", "state.state"), ABANDONED, 4)
        store(log.path.replace("log.msg", "queue.cmd"), SLOT + 40, 5 << 32 | 7)
        told = dict(line.split(": ", 1) for line in channel_lines(list_channels()))
    for name, count in (("log.msg.shm", 3), ("state.state.shm", 4), ("queue.cmd.shm", 5)):
        assert told[name].endswith(f", {count} abandoned by processes that died")
