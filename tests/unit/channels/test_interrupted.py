"""What a read had taken when an exception of a signal handler came is read next, wherever it came."""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from pymilk import errors
from pymilk.channels import AudioStream, CommandQueue, MessageLog, SharedState, Table, VideoStream
from support.interrupts import Interrupt, interrupted, traced
from support.waiting import PATIENCE

#: More places than a read has.
MANY = 600

#: Records that are written before the read, and those that it takes.
COUNT = 6


class Case:
    """A channel, and what is read from it: numbers from 1 on."""

    def __init__(self, kind: str, watched: bool, count: int = COUNT) -> None:
        self.kind, self.count = kind, count
        self.writer, self.reader = getattr(self, f"make_{kind}")()
        if watched:
            self.reader.fileno()

    def make_log(self) -> Any:
        writer = MessageLog.create("c", replace=True)
        reader = MessageLog.attach("c")
        for number in range(1, self.count + 1):
            writer.append(f"{number}")
        return writer, reader

    def make_table(self) -> Any:
        writer = Table.create("c", [("n", "i8")], rows=16, replace=True)
        reader = Table.attach("c")
        for number in range(1, self.count + 1):
            writer.append((number,))
        return writer, reader

    def make_video(self) -> Any:
        writer = VideoStream.create("c", 4, 2, "gray8", frames=16, replace=True)
        reader = VideoStream.attach("c")
        for number in range(1, self.count + 1):
            writer.write(np.full((2, 4), number, np.uint8))
        return writer, reader

    def make_audio(self) -> Any:
        writer = AudioStream.create("c", 4, 1, "s16le", blocks=16, replace=True)
        reader = AudioStream.attach("c")
        for number in range(1, self.count + 1):
            writer.write(np.full((4, 1), number, np.int16))
        return writer, reader

    def close(self) -> None:
        self.reader.close()
        self.writer.remove()


def is_told(reader: Any) -> bool:
    """Tell whether the descriptor of a channel says that there is something to read."""
    return bool(select.select([reader], [], [], PATIENCE)[0])


def messages(batch: Any) -> list[int]:
    return [int(each) for each in batch]


def rows(found: Any) -> list[int]:
    return found["n"].tolist()


def value(piece: Any) -> list[int]:
    return [int(np.asarray(piece.data).flat[0])]


READS: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], list[int]]]] = {
    "log.read": ("log", lambda log: log.read(0), lambda message: [int(message.data)]),
    "next(log)": ("log", lambda log: next(iter(log)), lambda message: [int(message.data)]),
    "log.read_many": ("log", lambda log: log.read_many(), messages),
    "log.read_many(2)": ("log", lambda log: log.read_many(2), messages),
    "table.read": ("table", lambda table: table.read(0), rows),
    "table.read(limit)": ("table", lambda table: table.read(0, 2), rows),
    "table.read_many": ("table", lambda table: table.read_many(), rows),
    "next(table)": ("table", lambda table: next(iter(table)), rows),
    "video.read": ("video", lambda video: video.read(0), value),
    "video.read in place": ("video", lambda video: video.read(0, copy=False), value),
    "next(video)": ("video", lambda video: next(iter(video)), value),
    "audio.read": ("audio", lambda audio: audio.read(0), value),
}


def rest(case: Case, read: Callable[[Any], Any], numbers: Callable[[Any], list[int]]) -> Iterator[int]:
    while True:
        try:
            found = numbers(read(case.reader))
        except errors.ChannelTimeoutError:
            return
        if not found:
            return
        yield from found


@pytest.mark.parametrize("watched", [False, True], ids=["plain", "with a descriptor"])
@pytest.mark.parametrize("what", READS)
def test_what_was_not_handed_over_is_read_next(what: str, watched: bool) -> None:
    kind, read, numbers = READS[what]
    polite = read if not what.startswith("next") else lambda reader: reader.read(0)
    for step in range(1, MANY):
        case = Case(kind, watched)
        found: Any = None
        with interrupted(step, "/pymilk/"):
            try:
                found = read(case.reader)
            except Interrupt as error:
                assert not hasattr(error, "capture"), step
                if watched:
                    assert is_told(case.reader), step
            else:
                step = MANY
        got = [] if found is None else numbers(found)
        got += rest(case, polite, numbers)
        assert got == list(range(1, COUNT + 1)), step
        assert case.reader.lost == 0
        case.close()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


@pytest.mark.parametrize("what", ["log.read", "table.read(limit)", "video.read in place", "audio.read"])
def test_descriptor_tells_of_the_last_one_that_was_not_handed_over(what: str) -> None:
    kind, read, numbers = READS[what]
    for step in range(1, MANY):
        case = Case(kind, True, count=1)
        found: Any = None
        with interrupted(step, "/pymilk/"):
            try:
                found = read(case.reader)
            except Interrupt:
                pass
            else:
                step = MANY
        if found is None:
            assert is_told(case.reader), step
        assert numbers(read(case.reader) if found is None else found) == [1], step
        case.close()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


def test_messages_that_were_overwritten_are_counted_once() -> None:
    for step in range(1, MANY):
        writer, got, lost = MessageLog.create("c", 8192, replace=True), 0, 0
        reader = MessageLog.attach("c")
        for number in range(500):
            writer.append(f"{number:40}")
        with interrupted(step, "/pymilk/"):
            try:
                batch = reader.read_many(3)
            except Interrupt:
                batch = None
            else:
                step = MANY
        while batch is None or len(batch):
            got, lost = got + len(batch or ()), lost + (batch.lost if batch else 0)
            batch = reader.read_many(3)
        assert got + lost == 500, step
        assert lost == reader.lost, step
        reader.close()
        writer.remove()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


def test_changes_that_were_not_handed_over_are_read_next() -> None:
    for step in range(1, MANY):
        with SharedState.create("c", {"a": 1}, replace=True) as state, SharedState.attach("c") as reader:
            reader.read(0)
            reader.fileno()
            state["b"] = 2
            found: Any = None
            with interrupted(step, "/pymilk/"):
                try:
                    found = reader.read(0)
                except Interrupt:
                    pass
                else:
                    step = MANY
            assert found or is_told(reader), step
            assert (found or reader.read(0)).values == {"b": 2}, step
            with pytest.raises(errors.ChannelTimeoutError):
                reader.read(0)
            state.remove()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


def test_changes_are_unread_after_a_timeout_of_a_handler() -> None:
    """As of one that waits for another channel: it does not say that nothing was read here."""
    for step in range(1, MANY):
        with SharedState.create("c", {"a": 1}, replace=True) as state, SharedState.attach("c") as reader:
            found: Any = None
            passed: list[int] = []

            def wait(frame: Any, passed: list[int] = passed, step: int = step) -> None:
                passed.append(frame.f_lasti)
                if len(passed) == step:
                    raise errors.ChannelTimeoutError("nothing came", channel="other", timeout=0.0)

            with contextlib.suppress(errors.ChannelTimeoutError), traced("/pymilk/channels/", wait):
                found = reader.read(0)
            assert (found or reader.read(0)).values == {"a": 1}, step
            state.remove()
        if len(passed) < step:
            return
    pytest.fail("a read has more places than that")


def test_command_whose_taker_was_interrupted_is_answered() -> None:
    """It waits to be taken, or its caller is told: it does not wait for somebody who does not know of it."""
    told = 0
    for step in range(1, MANY):
        with CommandQueue.create("c", slots=2, replace=True) as queue, CommandQueue.attach("c") as caller:
            ticket = caller.send("park")
            command: Any = None
            with interrupted(step, "/pymilk/"):
                try:
                    command = queue.take(0)
                except Interrupt:
                    pass
                else:
                    step = MANY
            if command is None and ticket.state == "waiting":
                command = queue.take(0)
            if command is None:
                reply = ticket.wait(0)
                assert (reply.state, reply.error, reply.data[:9]) == ("done", True, "Interrupt"), step
                told += 1
            else:
                command.reply("done")
                assert ticket.wait(0).data == "done", step
            assert (queue.waiting, queue.started) == (0, 0), step
            queue.remove()
        if step == MANY:
            assert told
            return
    pytest.fail("a take has more places than that")


def test_command_whose_caller_was_interrupted_holds_no_slot() -> None:
    for step in range(1, MANY):
        with CommandQueue.create("c", slots=1, replace=True) as queue, CommandQueue.attach("c") as caller:
            ticket: Any = None
            with interrupted(step, "/pymilk/"):
                try:
                    ticket = caller.send("park")
                except Interrupt:
                    pass
                else:
                    step = MANY
            if ticket is None:
                if queue.waiting:
                    queue.take(0).reply()  # it was sent, and nobody waits for the reply
                assert (queue.waiting, queue.started) == (0, 0), step
                caller.send("again")
            queue.remove()
        if step == MANY:
            return
    pytest.fail("a send has more places than that")


def test_answer_that_was_interrupted_goes_out_once() -> None:
    for step in range(1, MANY):
        with CommandQueue.create("c", slots=2, replace=True) as queue, CommandQueue.attach("c") as caller:
            ticket = caller.send("park")
            try:
                with queue.take(0) as command, interrupted(step, "/pymilk/"):
                    command.reply("did it")
            except Interrupt:
                pass
            else:
                step = MANY
            reply = ticket.wait(0)
            assert reply.state == "done", step
            assert reply.data == "did it" or reply.error, step
            queue.remove()
        if step == MANY:
            return
    pytest.fail("a reply has more places than that")


def test_command_of_a_server_that_was_interrupted_is_answered() -> None:
    for step in range(1, MANY):
        with CommandQueue.create("c", slots=2, replace=True) as queue, CommandQueue.attach("c") as caller:
            ticket = caller.send("park")
            CommandQueue.attach("c").remove()  # `serve` returns behind the last command
            with interrupted(step, "/pymilk/channels/") as passed, contextlib.suppress(Interrupt):
                queue.serve(lambda data: f"did {data}")
            if queue.waiting:
                queue.take(0).reply()
            assert ticket.wait(0).state == "done", step
        if len(passed) < step:
            return
    pytest.fail("a server has more places than that")


@pytest.mark.parametrize("what", ["take", "send"])
def test_the_exception_goes_on_where_the_handler_closes_the_queue(what: str) -> None:
    for step in range(1, MANY):
        with CommandQueue.create("c", slots=2, replace=True) as queue, CommandQueue.attach("c") as other:
            if what == "take":
                other.send("park")
            passed: list[int] = []

            def close(frame: Any, passed: list[int] = passed, step: int = step, queue: Any = queue) -> None:
                passed.append(frame.f_lasti)
                if len(passed) == step:
                    queue.close()
                    raise Interrupt

            call = partial(queue.take, 0) if what == "take" else partial(queue.send, "park")
            with contextlib.suppress(Interrupt), traced("/pymilk/channels/", close):
                call()
            other.remove()
        if len(passed) < step:
            return
    pytest.fail("a call has more places than that")


def test_tickets_of_a_child_wait_for_no_thread_of_the_parent(queue: CommandQueue) -> None:
    """What a child does after a fork, while another thread of the parent looks at a ticket."""
    ticket, looking, over = queue.send("park"), threading.Event(), threading.Event()

    def look(turn: Any) -> None:
        with turn:
            looking.set()
            over.wait(PATIENCE)

    thread = threading.Thread(target=look, args=(queue._turn,))
    thread.start()
    try:
        assert looking.wait(PATIENCE)
        queue._after_fork()
        with pytest.raises(errors.ChannelClosedError):
            _ = ticket.state
        assert thread.is_alive()
    finally:
        over.set()
        thread.join()


@pytest.fixture
def queue() -> Iterator[CommandQueue]:
    with CommandQueue.create("turns", replace=True) as made:
        yield made
