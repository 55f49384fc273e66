"""Callers and takers of a command queue, killed behind each of their stores, and what others find then."""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator

from pymilk.channels import CommandQueue
from pymilk.errors import ChannelTimeoutError
from support.killing import content_of, count_deaths, kill_at_each_store

SLOTS = 2


def in_time(function: Callable[[], object]) -> None:
    began = time.monotonic()
    function()
    assert time.monotonic() - began < 1


def all_slots_are_free() -> None:
    """Survivors make use of every slot, and each command is answered."""
    with CommandQueue.attach("queue") as queue:
        tickets = [queue.send(b"next%d" % number) for number in range(SLOTS)]
        for number in range(SLOTS):
            with queue.take(0) as command:
                assert command.data == b"next%d" % number
                command.reply(command.data)
        assert [ticket.wait(0).data for ticket in tickets] == [b"next%d" % number for number in range(SLOTS)]


def callers(content: mmap.mmap, every: int, first: int) -> Iterator[int]:
    """Kill a caller while it sends: the command is there whole, or not at all."""
    kept = content[:]
    deaths = kill_at_each_store(
        lambda: CommandQueue.attach("queue"),
        lambda queue: queue.send(b"victim") and None,
        lambda: content[:],
        every,
        first,
    )
    for stores in deaths:
        with CommandQueue.attach("queue") as taker:
            try:
                command = taker.take(0)
            except ChannelTimeoutError:
                sent = False
            else:
                sent = True
                assert command.data == b"victim"
                command.reply()
        in_time(all_slots_are_free)
        with CommandQueue.attach("queue") as other:
            assert other.abandoned == (not sent)
        yield stores
        content[:] = kept


def takers(content: mmap.mmap, every: int, first: int) -> Iterator[int]:
    """Kill a taker while it takes and answers: the command is taken by another, or was started."""
    kept = content[:]

    def answer(queue: CommandQueue) -> None:
        queue.take(0).reply(b"answer")

    with CommandQueue.attach("queue") as caller:
        ticket = caller.send(b"command")
        sent = content[:]
        for stores in kill_at_each_store(
            lambda: CommandQueue.attach("queue"), answer, lambda: content[:], every, first
        ):
            if ticket.state == "waiting":
                with CommandQueue.attach("queue") as other, other.take(0) as command:
                    assert command.data == b"command"
                    command.reply(b"other")
                assert ticket.wait(0).data == b"other"
            else:
                began = time.monotonic()
                reply = ticket.wait(1)
                assert time.monotonic() - began < 1
                assert reply in (("started, unknown", None, False), ("done", b"answer", False))
            in_time(all_slots_are_free)
            yield stores
            content[:] = sent
            ticket._reply = None
        ticket.withdraw()
    content[:] = kept


def deaths() -> Iterator[int]:
    part, *numbers = sys.argv[1:]
    with CommandQueue.create("queue", SLOTS, 16) as queue:
        path = queue.path
    content = content_of(path)
    yield from (callers if part == "callers" else takers)(content, *(int(number) for number in numbers))
    os.unlink(path)


def main() -> None:
    count_deaths(deaths)
