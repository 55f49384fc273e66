"""A caller that leaves, stopped between two of its instructions while others use its slot again."""

from __future__ import annotations

import contextlib
import mmap
import signal
import sys
from collections.abc import Callable
from typing import Any

from pymilk.channels import CommandQueue, Ticket
from pymilk.errors import ChannelFullError
from support.killing import SINGLESTEP, Victim, permitted, ptrace

CONTINUE = 7


def send() -> list[Ticket]:
    return [CommandQueue.attach("queue").send(b"victim")]


def throw_away(tickets: list[Ticket]) -> None:
    tickets.clear()


def leave(tickets: list[Ticket]) -> None:
    tickets[0].leave()


class Race:
    """A queue of one slot, a victim that leaves its command, and a rival that wants the slot."""

    def __init__(self, act: Callable[[Any], None]) -> None:
        self.queue = CommandQueue.create("queue", slots=1, size=16, replace=True)
        with open(self.queue.path, "rb") as file:
            self.memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.victim = Victim(send, act)
        self.rival: Ticket | None = None

    def slot(self) -> bytes:
        """Return the bytes of the slot."""
        return self.memory[4096:4160]

    def steps(self, count: int) -> bool:
        """Let the victim do so many instructions; False if it ended before."""
        return all(self.victim.go(SINGLESTEP) == signal.SIGTRAP for _ in range(count))

    def until_it_changes(self) -> int:
        """Let the victim go on until it has changed the slot; returns how many instructions that took."""
        before, count = self.slot(), 0
        while self.slot() == before:
            assert self.steps(1), "it changed nothing"
            count += 1
        return count

    def use_again(self) -> None:
        """Send the command of the rival, if the slot is free."""
        with contextlib.suppress(ChannelFullError):
            self.rival = self.queue.send(b"rival", 0)

    def finish(self) -> None:
        """Let the victim end, and see that the rival has what it asked for."""
        if self.victim.alive:
            ptrace(CONTINUE, self.victim.pid)
            assert self.victim._wait() == signal.SIGSTOP, "the victim failed"
            self.victim.kill()
        self.queue._sweep()
        if self.rival is None:
            if self.queue.waiting:  # it was thrown away before it was taken
                assert not self.queue.take(0).reply()
            self.rival = self.queue.send(b"rival", 0)
        assert self.rival.state == "waiting"
        with self.queue.take(0) as command:
            assert command.data == b"rival"
            assert command.reply(b"answer")
        assert self.rival.wait(0).data == b"answer"
        self.queue.remove()
        self.memory.close()


def thrown_while_it_is_taken(distance: int) -> None:
    """The command is taken once the victim has changed the slot, and answered so many instructions later."""
    race = Race(throw_away)
    race.until_it_changes()
    command = race.queue.take(0)
    race.steps(distance)
    command.reply(b"late")
    race.use_again()
    race.finish()


def left_while_it_is_answered(distance: int, begin: int) -> None:
    """The command was taken, and is answered so many instructions before or behind the one that leaves it."""
    race = Race(leave)
    command = race.queue.take(0)
    race.steps(begin + distance)
    command.reply(b"late")
    race.use_again()
    race.finish()


def instructions_of_leave() -> int:
    """Return after how many instructions a command that was taken is left."""
    race = Race(leave)
    command = race.queue.take(0)
    count = race.until_it_changes()
    assert not command.reply()
    race.finish()
    return count


def main() -> None:
    """Try all distances below a number; print how many there were, or why there can be none."""
    if not permitted():
        print("not permitted")
        return
    most = int(sys.argv[1])
    for distance in range(most):
        thrown_while_it_is_taken(distance)
    begin = instructions_of_leave()
    for distance in range(-most // 2, most // 2):
        left_while_it_is_answered(distance, begin)
    print(2 * most)
