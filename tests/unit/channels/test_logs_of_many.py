"""Logs that many write: turns, who is kept out, places, errors."""

from __future__ import annotations

import os
import threading

import pytest

from pymilk import errors
from pymilk.channels import MessageLog
from pymilk.channels.files import Kind
from pymilk.channels.listing import channel_details, remove, writer_of
from pymilk.channels.log import HEADER_NBYTES
from pymilk.system.locks import take_lock


def another(name: str = "log") -> MessageLog:
    return MessageLog.attach(name, write=True, writers="many")


@pytest.fixture
def log():
    with MessageLog.create("log", writers="many") as log:
        yield log


def test_each_writer_goes_on_behind_the_others(log):
    with another() as second, another() as third, MessageLog.attach("log", start="oldest") as reader:
        numbers = [each.append(f"{index}") for index, each in enumerate((log, second, third, second, log))]
        assert numbers == [1, 2, 3, 4, 5]
        assert log.append_many([b"a", b"b"]) == 7
        assert third.append(b"c") == 8
        assert list(reader.read_many()) == ["0", "1", "2", "3", "4", b"a", b"b", b"c"]


def test_laps_of_several_writers_are_counted():
    small = MessageLog.create("log", HEADER_NBYTES + 1024, writers="many")
    with small as log, another() as second, MessageLog.attach("log") as reader:
        for number in range(500):
            (log, second)[number % 3 == 0].append(b"%d" % number * (number % 40))
        seen = 0
        while seen < 500:
            message = reader.read(timeout=0)
            assert message.number == seen + message.lost + 1
            seen = message.number
            assert message.data == b"%d" % (seen - 1) * ((seen - 1) % 40)
        assert reader.lost > 400


def test_one_keeps_many_out_and_many_keep_one_out(log):
    with pytest.raises(errors.ChannelInUseError, match="writers='many'") as caught:
        MessageLog.attach("log", write=True)
    assert caught.value.pids == [os.getpid()]
    with pytest.raises(errors.ChannelInUseError):
        MessageLog.create("log", replace=True)
    log.close()
    with MessageLog.attach("log", write=True) as only:
        with pytest.raises(errors.ChannelInUseError, match="keeps others out"):
            another()
        assert only.append("x") == 1
    with another() as many:
        assert many.append("y") == 2


def test_who_writes_is_told_and_not_removed(log):
    assert writer_of(log.path) == os.getpid()
    assert channel_details(log.path, Kind.msg)["writer"] == os.getpid()
    with pytest.raises(errors.ChannelInUseError):
        remove("log.msg.shm")
    remove("log.msg.shm", force=True)
    with pytest.raises(errors.ChannelRemovedError):
        log.append("nobody reads it")


def test_a_turn_that_ends_is_waited_for(log):
    fd = os.open(log.path, os.O_RDWR)
    take_lock(fd, start=1 << 62)
    timer = threading.Timer(0.005, os.close, [fd])
    timer.start()
    assert log.append("after it") == 1
    timer.join()


def test_a_turn_that_is_kept_is_told(log, monkeypatch):
    monkeypatch.setattr("pymilk.channels.log.TURN_S", 0.01)
    with open(log.path, "r+b") as file:
        take_lock(file.fileno(), start=1 << 62)
        with pytest.raises(errors.ChannelInUseError, match=r"0\.01 s") as caught:
            log.append("x")
        assert caught.value.pids == [os.getpid()]
        assert log.count == 0
    assert log.append("x") == 1


def test_removed_replaced_closed_and_bad(log):
    for call in (MessageLog.create, MessageLog.attach):
        with pytest.raises(errors.ChannelArgumentError, match="'one' or 'many'"):
            call("log", writers="two")
    with MessageLog.attach("log", writers="many") as reader, pytest.raises(errors.ChannelReadOnlyError):
        reader.append("x")
    with pytest.raises(errors.RecordTooLongError):
        log.append(b"x" * log.longest + b"x")
    second = another()
    log.remove()
    with pytest.raises(errors.ChannelRemovedError):
        second.append("x")
    second.close()
    with pytest.raises(errors.ChannelClosedError):
        second.append("x")


def test_damage_ends_the_turn(log):
    log.append("x")
    with another() as second, open(log.path, "r+b") as file:
        file.seek(192)
        file.write((1 << 40).to_bytes(8, "little"))  # the tail: beyond the end
        file.flush()
        for each in (log, second):
            with pytest.raises(errors.ChannelDamagedError):
                each.append("y")
        take_lock(file.fileno(), start=1 << 62)


def test_threads_with_one_object(log):
    def write(of: MessageLog) -> None:
        for _ in range(200):
            of.append("x")

    with another() as second:
        threads = [threading.Thread(target=write, args=[each]) for each in (log, log, second, second)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    with MessageLog.attach("log", start="oldest") as reader:
        assert reader.read_many().rows["number"].tolist() == list(range(1, 801))
