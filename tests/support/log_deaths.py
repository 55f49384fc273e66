"""A writer of a message log, killed behind each of its stores, and what others find then."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from pymilk.channels import MessageLog
from pymilk.channels.log import HEADER_NBYTES
from support.killing import content_of, count_deaths, kill_at_each_store

#: Records written in peace. The room holds some of them; the next one makes the oldest give way.
BEFORE = 19
NBYTES = HEADER_NBYTES + 1024
TEXT = b"number %03d " * 4


def text(number: int) -> bytes:
    return TEXT.replace(b"%03d", b"%03d" % number)


def check(reader: MessageLog, seen: int, count: int) -> None:
    """Read all that is there: each record is right, and none is missing without being counted."""
    while seen < count:
        message = reader.read(timeout=1)
        assert message.number == seen + message.lost + 1
        assert message.data == (text(message.number) if message.number <= BEFORE else b"k" * 300)
        seen = message.number
    assert len(reader.read_many()) == 0


def logs(every: int, first: int, writers: str) -> Iterator[int]:
    """Kill a writer while it appends; it is the only one, or one of many."""
    with MessageLog.create("log", NBYTES) as log:
        path = log.path
        for number in range(1, BEFORE + 1):
            log.append(text(number))
    content = content_of(path)
    kept = content[:]
    deaths = kill_at_each_store(
        lambda: MessageLog.attach("log", write=True, writers=writers),
        lambda given: given.append(b"k" * 300),
        lambda: content[:],
        every,
        first,
    )
    for stores in deaths:
        with MessageLog.attach("log") as late, MessageLog.attach("log", start="oldest") as early:
            count = late.count
            assert count in (BEFORE, BEFORE + 1)
            check(early, early.read(timeout=1).number, count)
            with MessageLog.attach("log", write=True, writers=writers) as log:
                assert log.append(b"k" * 300) == count + 1
                # Its first store says that it begins.
                assert log.abandoned == late.abandoned == BEFORE + 1 - count
            assert late.read(timeout=1).data == early.read(timeout=1).data == b"k" * 300
        yield stores
        content[:] = kept
    os.unlink(path)


def main() -> None:
    count_deaths(lambda: logs(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
