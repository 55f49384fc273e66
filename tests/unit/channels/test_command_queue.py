"""Command queues within one process: each command is taken once, in order, and answered."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.channels import CommandQueue, MessageLog
from pymilk.channels.files import Kind
from pymilk.channels.listing import users_of


@pytest.fixture
def queue():
    with CommandQueue.create("queue", slots=4, size=16) as found:
        yield found


def test_commands_and_replies_come_as_they_were_given(queue):
    with CommandQueue.attach("queue") as caller:
        for sent in (b"", b"x", "text", "\u00b5m", b"\0" * 16, bytearray(b"abc"), memoryview(b"de")):
            ticket = caller.send(sent)
            assert ticket.state == "waiting"
            command = queue.take(0)
            assert command.data == (sent if isinstance(sent, str) else bytes(sent))
            assert (command.number, ticket.state) == (ticket.number, "started")
            assert command.reply(sent, error=isinstance(sent, str))
            assert ticket.wait(0) == ("done", command.data, isinstance(sent, str)) == ticket.wait(0)
        assert queue.count == 7


def test_order_is_that_of_sending(queue):
    """Against a model: slots become free in any order, and the oldest command comes first."""
    choice = random.Random(1)
    sent: list[object] = []
    numbers = []
    for step in range(2000):
        if choice.randrange(2) and len(sent) < 4:
            sent.append(queue.send(b"%d" % step))
            numbers.append(step)
        elif sent and choice.randrange(4) == 0:
            at = choice.randrange(len(sent))
            numbers.pop(at)
            assert sent.pop(at).withdraw()
        elif sent:
            with queue.take(0) as command:
                assert command.data == b"%d" % numbers.pop(0)
            assert sent.pop(0).wait(0).state == "done"
        assert queue.waiting == len(sent)


def test_full_queue(queue):
    tickets = [queue.send(b"x") for _ in range(4)]
    with pytest.raises(errors.ChannelFullError, match="all 4 slots are in use") as caught:
        queue.send(b"y")
    assert caught.value.slots == 4
    assert tickets[2].withdraw()
    assert queue.send(b"y").number == 5


def test_command_that_nobody_takes_is_not_started(queue):
    assert queue.call(b"x", timeout=0.01) == ("not started", None, False)
    with pytest.raises(errors.ChannelTimeoutError):
        queue.take(0)


def test_withdrawn_once_taken_once(queue):
    ticket = queue.send(b"x")
    command = queue.take(0)
    assert not ticket.withdraw()
    assert ticket.leave() == ("started, unknown", None, False)
    assert not command.reply(b"late")
    assert all(queue.send(b"x") for _ in range(4))


def test_taker_that_lets_go_leaves_it_unknown(queue):
    with CommandQueue.attach("queue") as taker:
        ticket = queue.send(b"x")
        command = taker.take(0)
    assert ticket.wait(1) == ("started, unknown", None, False)
    with pytest.raises(errors.ChannelClosedError):
        command.reply()


def test_slots_of_callers_that_left_become_free(queue):
    for _ in range(10):
        with CommandQueue.attach("queue") as caller:
            tickets = [caller.send(b"%d" % number) for number in range(4)]
        assert [queue.take(0).reply() for _ in range(4)] == [True] * 4
        with pytest.raises(errors.ChannelClosedError):
            tickets[0].wait(0)


def test_thrown_away_tickets_keep_no_slot(queue):
    for _ in range(10):
        for _ in range(4):
            queue.send(b"x")
        assert [queue.take(0).reply() for _ in range(4)] == [False] * 4


def test_leaving_late_does_not_touch_the_next_command(queue):
    """Whatever has become of the slot since: each of its later states in turn."""
    slot, word, _ = queue._send(b"old", 0)
    assert queue._withdraw(slot, word)
    queue._leave(slot, word)
    ticket = queue.send(b"new")
    queue._leave(slot, word)
    command = queue.take(0)
    queue._leave(slot, word)
    assert command.reply(b"answer")
    queue._leave(slot, word)
    assert ticket.wait(0) == ("done", b"answer", False)


def test_too_long(queue):
    with pytest.raises(errors.RecordTooLongError, match="17 bytes do not fit, 16 are the most"):
        queue.send(b"x" * 17)
    ticket = queue.send(b"x")
    command = queue.take(0)
    with pytest.raises(errors.RecordTooLongError):
        command.reply(b"x" * 17)
    command.reply(b"y")
    assert ticket.wait(0).data == b"y"
    with pytest.raises(errors.ChannelArgumentError, match="answered before"):
        command.reply()


def test_error_replies(queue):
    ticket = queue.send(b"x")
    with pytest.raises(ZeroDivisionError), queue.take(0):
        _ = 1 / 0
    assert ticket.wait(0) == ("done", "ZeroDivisionErro", True)


@pytest.mark.parametrize("bad", [1, None, "\ud800", memoryview(b"abcd")[::2]])
def test_no_command(queue, bad):
    with pytest.raises(errors.ChannelArgumentError):
        queue.send(bad)
    assert queue.count == 0


def test_removed_and_replaced(queue):
    ticket = queue.send(b"x")
    with CommandQueue.create("queue", replace=True) as new:
        with pytest.raises(errors.ChannelRemovedError):
            queue.send(b"y")
        assert queue.take(0).reply()
        assert ticket.wait(0).state == "done"
        with pytest.raises(errors.ChannelRemovedError):
            queue.take(0)
        ticket = new.send(b"z")
        Path(new.path).unlink()
        with pytest.raises(errors.ChannelRemovedError):
            ticket.wait(1)


def test_refused(queue, shm_dir):
    with pytest.raises(errors.ChannelExistsError):
        CommandQueue.create("queue")
    for slots, size in ((0, 8), (4097, 8), (1, 1), (1, 1 << 25)):
        with pytest.raises((errors.ChannelArgumentError, errors.StreamArgumentError)):
            CommandQueue.create("other", slots, size)
    with pytest.raises(errors.ChannelArgumentError):
        CommandQueue.attach("queue", spin=-1)
    with pytest.raises(errors.ChannelNotFoundError):
        CommandQueue.attach("none")
    with MessageLog.create("log"):
        (shm_dir / "log.msg.shm").rename(shm_dir / "log.cmd.shm")
        with pytest.raises(errors.ChannelFormatError, match="kind is 1, not 2"):
            CommandQueue.attach("log")
    (shm_dir / "log.cmd.shm").unlink()


def test_cut_in_use(queue):
    queue.send(b"x")
    with open(queue.path, "r+b") as file:
        file.truncate(0)
    for call in (lambda: queue.take(0), lambda: queue.send(b"x"), lambda: queue.waiting):
        with pytest.raises(errors.ChannelDamagedError):
            call()


def test_closed():
    queue = CommandQueue.create("queue")
    path = queue.path
    assert len(users_of(path)) == 1
    queue.close()
    queue.close()
    assert users_of(path) == []
    for call in (lambda: queue.take(0), lambda: queue.send(b"x"), lambda: queue.count, queue.remove):
        with pytest.raises(errors.ChannelClosedError):
            call()
    assert Kind.cmd == 2


@pytest.mark.parametrize("ends", ["reply", "death"])
def test_threads_that_wait_for_one_reply_get_it_all(queue, monkeypatch, ends):
    """The first one gives the slot back, which the others wait at."""
    with CommandQueue.attach("queue") as caller, ThreadPoolExecutor(3) as pool:
        for number in range(30):
            ticket = caller.send(str(number))
            command = queue.take(1)
            waits = [pool.submit(ticket.wait, 30) for _ in range(3)]
            if ends == "reply":
                command.reply(f"did {number}")
                assert {each.result(30) for each in waits} == {("done", f"did {number}", False)}
            else:
                left = ticket.leave()
                assert left.state == "started, unknown"
                assert not command.reply("late")
                assert {each.result(30) for each in waits} == {left}
            assert ticket.state == ("done" if ends == "reply" else "started, unknown")
