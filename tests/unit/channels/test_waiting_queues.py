"""Waiting for command queues and replies: with streams and logs at once, by tasks, and by descriptors."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import pymilk
from pymilk import errors
from pymilk._core import Stream
from pymilk.channels import CommandQueue, MessageLog
from pymilk.native.waitany import sleep_on_futexes
from pymilk.streams.watching import _watcher
from support.waiting import PATIENCE, until


@pytest.fixture
def queue() -> Iterator[CommandQueue]:
    with CommandQueue.create("queue", slots=4, size=16) as found:
        yield found


@pytest.fixture
def caller(queue) -> Iterator[CommandQueue]:
    with CommandQueue.attach("queue") as found:
        yield found


@pytest.fixture(params=[True, False], ids=["futexes", "short sleeps"])
def futexes(request: pytest.FixtureRequest) -> Iterator[None]:
    """With and without a kernel that sleeps on several futexes."""
    before = sleep_on_futexes(request.param)
    yield
    sleep_on_futexes(before)


def soon(call, *arguments) -> threading.Timer:
    """Call it in a moment, in another thread."""
    timer = threading.Timer(0.005, call, arguments)
    timer.start()
    return timer


@pytest.mark.usefixtures("futexes")
def test_wait_any_of_a_stream_a_log_a_queue_and_a_reply(queue, caller):
    with (
        Stream.create("cam", (2,), np.uint8) as stream,
        pymilk.SHM("cam") as shm,
        MessageLog.create("log") as log,
        MessageLog.attach("log") as reader,
    ):
        ticket = caller.send(b"first")
        first = queue.take(0)
        items = [shm, reader, queue, ticket]
        for number, call in (
            (2, lambda: caller.send(b"second")),
            (0, lambda: stream.publish(np.zeros(2, np.uint8))),
            (1, lambda: log.append(b"x")),
            (3, lambda: first.reply(b"done")),
        ):
            timer = soon(call)
            assert pymilk.wait_any(items, timeout=PATIENCE) == [number]
            timer.join()
            if number < 3:
                (lambda: shm.get_data(check=False), reader.read, queue.take)[number]()
        assert pymilk.wait_any(items) == [3]
        assert ticket.wait(0).data == b"done"
        assert pymilk.wait_any(items) == [3]
        with pytest.raises(errors.StreamTimeoutError):
            pymilk.wait_any(items[:3], timeout=0.002)


def test_command_that_another_taker_got_ends_no_wait(queue, caller):
    """Each of two takers is woken, and the one that comes too late sleeps on."""
    taken = []

    def other() -> None:
        with CommandQueue.attach("queue") as taker:
            for _ in range(200):
                pymilk.wait_any([taker], timeout=PATIENCE)
                try:
                    command = taker.take(0)
                except errors.ChannelTimeoutError:
                    continue
                taken.append(command.data)
                command.reply()
                if command.data == b"stop":
                    return

    takers = [threading.Thread(target=other) for _ in range(2)]
    for each in takers:
        each.start()
    for number in range(50):
        assert caller.call(b"%d" % number, timeout=PATIENCE).state == "done"
    for _ in takers:
        caller.call(b"stop", timeout=PATIENCE)
    for each in takers:
        each.join(PATIENCE)
    assert taken == [b"%d" % number for number in range(50)] + [b"stop"] * 2


@pytest.mark.usefixtures("futexes")
@pytest.mark.parametrize("how", ["removed", "deleted", "closed"])
def test_queue_that_is_gone_ends_the_wait(queue, caller, how):
    call = {"removed": queue.remove, "deleted": lambda: os.unlink(queue.path), "closed": caller.close}[how]
    timer = soon(call)
    with pytest.raises((errors.ChannelRemovedError, errors.ChannelClosedError)):
        pymilk.wait_any([caller], timeout=PATIENCE)
    timer.join()


def test_what_was_sent_before_the_end_is_taken_first(queue, caller):
    tickets = [caller.send(b"x"), caller.send(b"y")]
    queue.remove()
    assert pymilk.wait_any([caller], timeout=0) == [0]
    caller.take(0).reply(b"z")
    assert pymilk.wait_any([tickets[0]], timeout=0) == [0]
    assert tickets[0].wait(0).data == b"z"
    tickets[1].leave()
    with pytest.raises(errors.ChannelRemovedError):
        pymilk.wait_any([caller], timeout=0)


def test_short_waits_learn_that_the_file_was_deleted(queue):
    os.unlink(queue.path)
    for timeout in (0, 0.001):
        with pytest.raises(errors.ChannelRemovedError):
            queue.take(timeout)


def test_short_waits_learn_that_the_taker_has_gone(queue, caller):
    for timeout in (0, 0.001):
        with CommandQueue.attach("queue") as taker:
            ticket = caller.send(b"x")
            taker.take(0)
        assert ticket.wait(timeout).state == "started, unknown"


# -- asyncio


def test_commands_and_replies_of_tasks(queue, caller):
    async def serve() -> None:
        async for command in queue:
            with command:
                command.reply(command.data * 2)
            if command.data == b"stop":
                return

    async def main() -> None:
        server = asyncio.create_task(serve())
        for number in range(20):
            reply = await caller.send(b"%d" % number)
            assert reply == ("done", b"%d" % number * 2, False)
        ticket = caller.send(b"stop")
        assert await ticket.wait_async(PATIENCE) == await ticket
        await server
        with pytest.raises(errors.ChannelTimeoutError, match=r"within 0\.002 s"):
            await queue.take_async(timeout=0.002)
        ticket = caller.send(b"x")
        with pytest.raises(errors.ChannelTimeoutError, match=r"within 0\.002 s"):
            await ticket.wait_async(0.002)
        assert ticket.withdraw()
        assert (await ticket).state == "not started"

    asyncio.run(main())


def test_cancelled_tasks_take_nothing_and_lose_nothing(queue, caller):
    async def main() -> None:
        for number in range(20):
            task = asyncio.create_task(queue.take_async())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            caller.send(b"%d" % number)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert queue.take(0).reply() is False
        ticket = caller.send(b"x")
        task = asyncio.create_task(ticket.wait_async())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        queue.take(0).reply(b"y")
        assert (await ticket).data == b"y"

    asyncio.run(main())


def test_several_tasks_share_the_commands(queue, caller):
    async def take(found: list[object]) -> None:
        command = await queue.take_async(PATIENCE)
        found.append(command.data)
        command.reply()

    async def main() -> list[object]:
        found: list[object] = []
        tasks = [asyncio.create_task(take(found)) for _ in range(8)]
        await asyncio.sleep(0)
        for number in range(8):
            await caller.send(number.to_bytes(1, "big"))
        await asyncio.gather(*tasks)
        return found

    assert asyncio.run(main()) == [number.to_bytes(1, "big") for number in range(8)]


def test_tasks_learn_of_the_end(queue, caller):
    async def main() -> None:
        taker = await_soon(queue.take_async())
        waiting = caller.send(b"x")
        with CommandQueue.attach("queue") as dying:
            started = caller.send(b"y")
            command = [await taker, dying.take(0)][1]
            assert command.data == b"y"
            task = await_soon(started.wait_async())
            await asyncio.sleep(0.002)
        assert (await asyncio.wait_for(task, PATIENCE)).state == "started, unknown"
        waiting.leave()
        left = caller.send(b"z")
        task = await_soon(left.wait_async())
        await asyncio.sleep(0.002)
        queue.remove()
        with pytest.raises(errors.ChannelRemovedError):
            await asyncio.wait_for(task, PATIENCE)
        assert left.state == "not started"
        with pytest.raises(errors.ChannelRemovedError):
            await caller.take_async()

    def await_soon(coroutine):
        return asyncio.get_running_loop().create_task(coroutine)

    asyncio.run(main())


# -- descriptors


def readable(channel: object, seconds: float = 0.0) -> bool:
    return bool(select.select([channel], [], [], seconds)[0])


def test_descriptor_is_readable_while_a_command_waits(queue, caller):
    number = queue.fileno()
    assert number == queue.fileno() >= 0
    for _ in range(3):
        assert not readable(queue)
        for _ in range(2):
            caller.send(b"x")
        assert readable(queue, PATIENCE)
        queue.take(0).reply()
        assert readable(queue)
        queue.take(0).reply()
        if readable(queue):  # once, for nothing
            with pytest.raises(errors.ChannelTimeoutError):
                queue.take(0)
    queue.remove()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
    with pytest.raises(errors.ChannelClosedError):
        queue.fileno()


def test_descriptor_tells_of_the_end(queue, caller):
    caller.fileno()
    queue.remove()
    assert readable(caller, PATIENCE)
    with pytest.raises(errors.ChannelRemovedError):
        caller.take(0)


def test_waiting_for_what_is_only_looked_at_is_refused(queue):
    with CommandQueue._look(queue.path) as look, pytest.raises(errors.ChannelReadOnlyError):
        look.fileno()


def test_thread_of_a_removed_queue_does_not_spin(queue, caller):
    """A wait for the reply of a removed queue is told now and then, and not again and again."""
    ticket = caller.send(b"x")
    with queue.take(0) as command:
        queue._retire()

        async def main() -> None:
            task = asyncio.create_task(ticket.wait_async())
            await asyncio.sleep(0.002)
            until(lambda: _watcher._watches != [])
            before, began = time.process_time(), time.monotonic()
            await asyncio.sleep(0.05)
            assert time.process_time() - before < 0.8 * (time.monotonic() - began)
            command.reply(b"late")
            assert (await task).data == b"late"

        asyncio.run(main())
