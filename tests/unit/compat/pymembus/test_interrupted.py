"""Messages that a read had taken when an exception of a signal handler came are read next."""

from __future__ import annotations

import contextlib

import pytest

from pymilk.compat.pymembus import memmsg
from support.interrupts import Interrupt, interrupted

#: More places than a read has.
MANY = 500


def test_no_message_is_lost_or_read_twice() -> None:
    for step in range(1, MANY):
        memmsg.remove("/log")
        writer, reader = memmsg(), memmsg()
        assert writer.open("/log", 1024, True, True)
        assert reader.open("/log", 1024, False, False)
        sent = [f"m{number}" for number in range(4)]
        assert all(map(writer.write, sent))
        found = []
        with interrupted(step, "/pymilk/"):
            try:
                found.append(reader.read_with_overrun(0))
            except Interrupt:
                pass
            else:
                step = MANY
        while reader.poll():
            found.append(reader.read_with_overrun(0))
        reader.close()
        writer.close()
        assert found == [(each, False) for each in sent], step
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


def late() -> tuple[memmsg, memmsg]:
    """Return a writer, and a reader that comes when more is there than it is to read."""
    memmsg.remove("/log")
    writer, reader = memmsg(), memmsg()
    assert writer.open("/log", 256, True, True)
    assert all(writer.write(f"m{number}") for number in range(20))
    assert reader.open("/log", 256, False, False)
    return writer, reader


def rest(reader: memmsg) -> list[tuple[str, bool]]:
    found = []
    while reader.poll():
        found.append(reader.read_with_overrun(0))
    return found


def test_reader_that_comes_late_begins_with_the_newest_and_is_told_of_no_loss() -> None:
    writer, reader = late()
    newest = rest(reader)
    assert 2 < len(newest) < 20
    assert newest[-1] == ("m19", False)
    for step in range(1, MANY):
        reader.close()
        writer.close()
        writer, reader = late()
        found = []
        with interrupted(step, "/pymilk/compat/") as passed, contextlib.suppress(Interrupt):
            found.append(reader.read_with_overrun(0))
        assert found + rest(reader) == newest, step
        if len(passed) < step:
            reader.close()
            writer.close()
            return
    pytest.fail("a read has more places than that")
