"""Who feeds whom, from traces, process information and semaphores."""

from __future__ import annotations

import json
import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.parameters.graph import read_graph
from pymilk.parameters.process_folders import process_path
from pymilk.parameters.process_layout import V1
from pymilk.parameters.trace import TraceEntry
from pymilk.times import now_ns

#: A living process that is not this one, and one that has ended.
OTHER, NOBODY = os.getppid(), 2**22 + 12345

S = 1_000_000_000


def put(stream: Stream, *entries: TraceEntry) -> None:
    section = stream.section("trace", writable=True)
    for at, each in enumerate(entries):
        section[at] = (each.trigger_mode, each.pid, each.trigger_inode, divmod(each.started_ns, S),
                       divmod(each.updated_ns, S), each.semaphore, each.status, each.counter)  # fmt: skip


def step(pid: int, source: Stream | int | None, started: int, updated: int, counter: int = 0) -> TraceEntry:
    inode = source.inode if isinstance(source, Stream) else source or 0
    return TraceEntry(3, pid, inode, started, updated, 0, 2, counter)


def process(folder: Path, name: str, pid: int, trigger: Stream | None = None) -> None:
    """Leave the file of a process."""
    content = bytearray(V1.nbytes)
    struct.pack_into("<i", content, V1.fields["PID"].offset, pid)
    struct.pack_into("<qq", content, V1.fields["createtime"].offset, *divmod(now_ns(), S))
    if trigger is not None:
        struct.pack_into("<Q", content, V1.fields["triggerstreaminode"].offset, trigger.inode)
        at = V1.fields["triggerstreamname"].offset
        content[at : at + len(trigger.name)] = trigger.name.encode()
    Path(process_path(str(folder), name, pid)).write_bytes(content)


@pytest.fixture
def chain(make_stream):
    """Streams a, b and c: this process makes b from a, its parent makes c from b."""
    a, b, c = (make_stream(name, (2, 2), np.uint8) for name in ("a", "b", "c"))
    root = step(os.getpid(), a, 10 * S, 11 * S, 5)
    put(b, root)
    put(c, step(OTHER, b, 12 * S, 13 * S, 6), root)
    return a, b, c


def feeds(graph) -> set[tuple[str, int, bool, str]]:
    return {(feed.stream, feed.pid, feed.reads, feed.by) for feed in graph.feeds}


def test_empty_directory():
    graph = read_graph()
    assert (graph.streams, graph.processes, graph.feeds, str(graph)) == ({}, {}, [], "")
    assert graph.to_dot() == 'digraph pymilk {\n  rankdir=LR;\n}'


def test_chain(chain):
    graph = read_graph()
    me = os.getpid()
    assert feeds(graph) >= {
        ("a", me, True, "trace"), ("b", me, False, "trace"),
        ("b", OTHER, True, "trace"), ("c", OTHER, False, "trace"),
    }  # fmt: skip
    node = graph.streams["c"]
    assert [(each.pid, each.source, each.counter) for each in node.steps] == [(OTHER, "b", 6), (me, "a", 5)]
    assert node.root_ns == 10 * S
    assert node.latency == 3.0
    assert graph.streams["b"].latency == 1.0
    assert graph.streams["a"].steps == ()
    assert graph.outputs(me, "a") == ["b"]
    assert graph.readers("b") == [OTHER]


def test_tree(chain):
    lines = list(read_graph().lines())
    assert lines[0].startswith("a  frame 0")
    assert lines[1].startswith("└─ [")
    assert f" {os.getpid()}" in lines[1]
    assert lines[2].startswith("   └─ b")
    assert lines[3].startswith("      └─ [")
    assert f" {OTHER}" in lines[3]
    assert lines[4].startswith("         └─ c")
    assert len(lines) == 5


def test_names_and_rates_of_process_information(chain, shm_dir):
    process(shm_dir, "calib", os.getpid(), chain[0])
    graph = read_graph()
    assert graph.processes[os.getpid()].name == "calib"
    assert graph.processes[os.getpid()].alive
    assert "[calib" in str(graph)


def test_process_that_only_reads(chain, shm_dir):
    process(shm_dir, "viewer", 1, chain[2])
    assert ("c", 1, True, "process") in feeds(read_graph())


def test_semaphores_tell_readers_and_writers(make_stream):
    stream = make_stream("cam", (2, 2), np.uint8)
    reader = stream.reader()
    reader.arm()
    stream.section("sem_read_pid", writable=True)[5] = NOBODY
    stream.section("sem_write_pid", writable=True)[:3] = OTHER
    found = feeds(read_graph())
    assert ("cam", OTHER, False, "semaphore") in found
    assert ("cam", os.getpid(), True, "semaphore") in found
    assert not [each for each in found if each[1] == NOBODY]
    reader.close()


def test_unknown_source(make_stream):
    stream = make_stream("b", (2, 2), np.uint8)
    put(stream, step(OTHER, 12345, S, 2 * S))
    graph = read_graph()
    assert graph.streams["b"].steps[0].source == "inode 12345"
    lines = list(graph.lines())
    assert lines[0] == "inode 12345"
    assert lines[2].startswith("   └─ b")
    assert '"s:inode 12345" [shape=box, style=dashed' in graph.to_dot()


def test_circles_end(make_stream):
    a, b = (make_stream(name, (2, 2), np.uint8) for name in ("a", "b"))
    put(a, step(OTHER, b, S, 2 * S))
    put(b, step(os.getpid(), a, S, 2 * S))
    lines = list(read_graph().lines())
    assert lines[0].startswith("a  frame")
    assert lines[-1].endswith("a (see above)")
    assert len(lines) == 5
    own = make_stream("own", (2, 2), np.uint8)
    put(own, step(OTHER, own, S, 2 * S))
    assert any(line.startswith("own  frame") for line in read_graph().lines())


def test_ended_process_is_shown_as_such(make_stream):
    a, b = (make_stream(name, (2, 2), np.uint8) for name in ("a", "b"))
    put(b, step(NOBODY, a, S, 2 * S))
    graph = read_graph()
    assert not graph.processes[NOBODY].alive
    assert f"[unknown {NOBODY}, ended]" in str(graph)
    assert "style=dashed" in graph.to_dot()


def test_long_chain_needs_no_recursion(make_stream):
    streams = [make_stream(f"s{at:04d}", (1,), np.uint8, nbsem=1, nbkw=1) for at in range(300)]
    for at, (source, stream) in enumerate(pairwise(streams)):
        put(stream, step(500_000 + at, source, S, 2 * S))
    assert len(list(read_graph().lines())) == 2 * 300 - 1


def test_text_of_others_in_dot(make_stream):
    make_stream('a"b\\c', (2, 2), np.uint8)
    assert '"s:a\\"b\\\\c" [shape=box, label="a\\"b\\\\c  frame 0"];' in read_graph().to_dot()


def test_files_that_are_no_streams_are_left_out(chain, shm_dir):
    (shm_dir / "broken.im.shm").write_bytes(b"x" * 100)
    assert set(read_graph().streams) == {"a", "b", "c"}


def test_json(chain):
    found = json.loads(read_graph().to_json())
    assert {node["name"] for node in found["streams"]} == {"a", "b", "c"}
    assert {node["pid"] for node in found["processes"]} == {os.getpid(), OTHER}
    assert {"stream": "a", "pid": os.getpid(), "reads": True, "by": "trace"} in found["feeds"]


def test_hostile_traces(make_stream):
    stream = make_stream("bad", (2, 2), np.uint8)
    stream.section("trace", writable=True).view("u1")[:] = 0xFF
    graph = read_graph()
    assert "bad" in str(graph)
    json.loads(graph.to_json())
    graph.to_dot()


def test_looking_writes_nothing(chain, shm_dir):
    before = {path.name: path.read_bytes() for path in shm_dir.iterdir()}
    str(read_graph())
    assert {path.name: path.read_bytes() for path in shm_dir.iterdir()} == before
