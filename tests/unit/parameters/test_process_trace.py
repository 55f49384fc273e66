"""The process trace of streams: read whole, written in front of what the source has."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk import errors
from pymilk._core import Stream
from pymilk.parameters.trace import TraceEntry, read_trace, root_time_ns, used_entries
from pymilk.parameters.trace_writer import TraceWriter

S = 1_000_000_000


def entry(pid=1, inode=0, started=0, updated=0, counter=0, semaphore=0, mode=3, status=2) -> TraceEntry:
    return TraceEntry(mode, pid, inode, started, updated, semaphore, status, counter)


def put(stream: Stream, *entries: TraceEntry) -> None:
    """Store entries as a program would."""
    section = stream.section("trace", writable=True)
    for at, each in enumerate(entries):
        section[at] = (each.trigger_mode, each.pid, each.trigger_inode, divmod(each.started_ns, S),
                       divmod(each.updated_ns, S), each.semaphore, each.status, each.counter)  # fmt: skip


@pytest.fixture
def streams(make_stream):
    return [make_stream(name, (2, 2), np.uint8) for name in ("a", "b", "c")]


def test_new_stream_has_ten_unused_entries(streams):
    entries = read_trace(streams[0])
    assert entries == [TraceEntry(0, 0, 0, 0, 0, -1, 0, 0)] * 10
    assert used_entries(entries) == []


def test_all_entries_are_read(streams):
    stored = [entry(pid=at, inode=100 + at, started=at * S + 1, updated=at * S + 2, counter=2**63 + at,
                    semaphore=at - 1, mode=at % 5, status=at % 4) for at in range(1, 11)]  # fmt: skip
    put(streams[0], *stored)
    with Stream.attach("a", writable=False) as stream:
        assert read_trace(stream) == stored


def test_used_entries_end_at_the_first_unused_one(streams):
    unused = TraceEntry(0, 0, 0, 0, 0, -1, 0, 0)
    assert used_entries([entry(1), entry(2), unused, entry(3)]) == [entry(1), entry(2)]
    assert used_entries([entry(1)]) == [entry(1)]


def test_a_step_is_put_in_front(streams):
    a, b, c = streams
    put(a, entry(pid=11, updated=5 * S))
    TraceWriter(b, a).write(6 * S, 7 * S, counter=3, semaphore=2)
    TraceWriter(c, b).write(8 * S, 9 * S, counter=4, semaphore=-1)
    pid = os.getpid()
    assert read_trace(c)[:4] == [
        entry(pid, b.inode, 8 * S, 9 * S, 4, -1),
        entry(pid, a.inode, 6 * S, 7 * S, 3, 2),
        entry(11, updated=5 * S),
        TraceEntry(0, 0, 0, 0, 0, -1, 0, 0),
    ]
    assert len(read_trace(c)) == 10


def test_the_oldest_entries_fall_off(streams):
    a, b, _ = streams
    put(a, *[entry(pid=at) for at in range(1, 11)])
    TraceWriter(b, a).write(S, S, 0, 0)
    assert [each.pid for each in read_trace(b)] == [os.getpid(), *range(1, 10)]


def test_stream_that_is_its_own_source_gets_none(streams):
    TraceWriter(streams[0], streams[0]).write(S, S, 0, 0)
    assert used_entries(read_trace(streams[0])) == []


def test_read_only_output(streams):
    with Stream.attach("b", writable=False) as output, pytest.raises(errors.StreamReadOnlyError):
        TraceWriter(output, streams[0])


def test_root_time():
    assert root_time_ns([]) is None
    # The source writes its own trace: when it published.
    assert root_time_ns([entry(1, 7, 3 * S, 4 * S), entry(2, 0, 1 * S, 2 * S)]) == 2 * S
    # It does not: when the first step began.
    assert root_time_ns([entry(1, 7, 3 * S, 4 * S), entry(2, 8, 1 * S, 2 * S)]) == 1 * S
    assert root_time_ns([entry(1, 8, 0, 2 * S)]) == 2 * S
    assert root_time_ns([entry(1)]) is None


def test_stream_that_is_cut(streams):
    os.truncate(streams[0].path, 0)
    with pytest.raises(errors.StreamDamagedError):
        read_trace(streams[0])


def test_hostile_entries(streams):
    """Whatever is stored is told, and no sum overflows."""
    section = streams[0].section("trace", writable=True)
    section.view("u1")[:] = 0xFF
    newest = read_trace(streams[0])[0]
    assert (newest.pid, newest.trigger_inode, newest.counter) == (-1, 2**64 - 1, 2**64 - 1)
    assert newest.started_ns == -S - 1
