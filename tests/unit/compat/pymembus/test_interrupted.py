"""Messages that a read had taken when an exception of a signal handler came are read next."""

from __future__ import annotations

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
