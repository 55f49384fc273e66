"""Who feeds whom: streams and the processes between them, as a graph.

What is known comes from three places: the process traces of the streams (which process made the newest frame,
from which stream), the process information (which stream triggers a loop), and the semaphores (who waits on a
stream, who posts). Traces are the surest, since they name input and output together.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from .._core import Stream
from ..errors import StreamError
from ..streams.directory import list_streams
from ..system.processes import command_of, process_alive
from ..times import now_ns
from .listing import list_processes
from .status import ProcessStatus
from .trace import TraceEntry, read_trace, root_time_ns, used_entries

__all__ = ["Feed", "Graph", "ProcessNode", "Step", "StreamNode", "read_graph"]


@dataclass(frozen=True)
class Step:
    """One step that led to the newest frame of a stream, newest first.

    Attributes
    ----------
    pid : int
    process : str
        Its name, as far as it is known.
    source : str or None
        Stream that triggered it: its name, or its inode if it is not in the directory. None without.
    counter : int
        Of that stream.
    started_ns, updated_ns : int
        Nanoseconds of CLOCK_TAI.
    """

    pid: int
    process: str
    source: str | None
    counter: int
    started_ns: int
    updated_ns: int


@dataclass(frozen=True)
class StreamNode:
    """A stream and the way of its newest frame.

    Attributes
    ----------
    name : str
    inode : int
    counter : int
    frame_ns : int or None
        When its newest frame was published.
    age : float or None
        Seconds since then.
    root_ns : int or None
        When the frame at the source was there from which this one was made; that of the frame itself for a
        stream without trace.
    latency : float or None
        Seconds from there to here.
    steps : tuple of Step
    """

    name: str
    inode: int
    counter: int
    frame_ns: int | None
    age: float | None
    root_ns: int | None
    latency: float | None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class ProcessNode:
    """A process that reads or writes streams."""

    pid: int
    name: str
    alive: bool
    rate: float | None = None
    doing: str | None = None


@dataclass(frozen=True)
class Feed:
    """One connection.

    Attributes
    ----------
    stream : str
    pid : int
    reads : bool
        True: from the stream into the process. False: from the process into the stream.
    by : str
        How it is known: "trace", "process" (information) or "semaphore".
    """

    stream: str
    pid: int
    reads: bool
    by: str


@dataclass
class Graph:
    """Streams, processes and who feeds whom. Made by `read_graph`."""

    streams: dict[str, StreamNode] = field(default_factory=dict)
    processes: dict[int, ProcessNode] = field(default_factory=dict)
    feeds: list[Feed] = field(default_factory=list)

    def readers(self, stream: str) -> list[int]:
        """Return the processes that read a stream."""
        return [feed.pid for feed in self.feeds if feed.reads and feed.stream == stream]

    def writers(self, stream: str) -> list[int]:
        """Return the processes that write a stream."""
        return [feed.pid for feed in self.feeds if not feed.reads and feed.stream == stream]

    def outputs(self, pid: int, source: str | None = None) -> list[str]:
        """Return the streams that a process writes; with `source` those that it makes from that one.

        An output whose trace names another source is left out then.
        """
        found = []
        for feed in self.feeds:
            if feed.reads or feed.pid != pid:
                continue
            node = self.streams.get(feed.stream)
            told = node.steps[0].source if node is not None and node.steps else None
            if source is None or told is None or told == source:
                found.append(feed.stream)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "streams": [asdict(node) for node in self.streams.values()],
            "processes": [asdict(node) for node in self.processes.values()],
            "feeds": [asdict(feed) for feed in self.feeds],
        }

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_dot(self) -> str:
        """Return the graph in the language of Graphviz: boxes are streams, ellipses are processes."""
        lines = ["digraph pymilk {", "  rankdir=LR;"]
        for node in self.streams.values():
            lines.append(f"  {_quoted('s:' + node.name)} [shape=box, label={_quoted(_stream_text(node))}];")
        for name in sorted({feed.stream for feed in self.feeds} - set(self.streams)):
            lines.append(f"  {_quoted('s:' + name)} [shape=box, style=dashed, label={_quoted(name)}];")
        for process in self.processes.values():
            style = "" if process.alive else ", style=dashed"
            label = _quoted(_process_text(process))
            lines.append(f"  {_quoted(f'p:{process.pid}')} [shape=ellipse, label={label}{style}];")
        for feed in self.feeds:
            stream, pid = _quoted("s:" + feed.stream), _quoted(f"p:{feed.pid}")
            ends = (stream, pid) if feed.reads else (pid, stream)
            style = "" if feed.by == "trace" else " [style=dotted]"
            lines.append(f"  {ends[0]} -> {ends[1]}{style};")
        return "\n".join([*lines, "}"])

    def lines(self) -> Iterator[str]:
        """Yield the graph as a tree of text, from the sources down. What comes again is only named again."""
        shown: set[str] = set()
        names = {*self.streams, *(feed.stream for feed in self.feeds)}
        fed = {name for name in names if self._sources(name)}
        for name in sorted(names, key=lambda each: (each in fed, each)):
            # Sources first; what is then left is in circles.
            if name not in shown:
                yield from self._branch(name, shown)

    def _sources(self, name: str) -> bool:
        """Tell whether a stream is made from another stream."""
        return any(
            other != name and name in self.outputs(pid, other)
            for pid in self.writers(name)
            for other in {feed.stream for feed in self.feeds if feed.reads and feed.pid == pid}
        )

    def _branch(self, root: str, shown: set[str]) -> Iterator[str]:
        """Yield a stream, the processes that read it, and what they make of it; without recursion."""
        waiting: list[tuple[str, str, str | int, str]] = [("", "", root, "")]
        while waiting:
            first, rest, item, source = waiting.pop()
            children: list[str | int]
            if isinstance(item, str):
                yield first + self._stream_line(item, item in shown, top=not first)
                children = [] if item in shown else list(dict.fromkeys(self.readers(item)))
                shown.add(item)
                source = item
            else:
                yield first + _process_text(self.processes[item])
                children = [each for each in dict.fromkeys(self.outputs(item, source)) if each != source]
            for at, child in reversed(list(enumerate(children))):
                last = at == len(children) - 1
                mark, more = ("└─ ", "   ") if last else ("├─ ", "│  ")
                waiting.append((rest + mark, rest + more, child, source))

    def _stream_line(self, name: str, again: bool, top: bool) -> str:
        node = self.streams.get(name)
        if again:
            return f"{name} (see above)"
        writers = "".join(f"  from {_process_text(self.processes[pid])}" for pid in self.writers(name) if top)
        return (name if node is None else _stream_text(node)) + writers

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _stream_text(node: StreamNode) -> str:
    parts = [node.name, f"frame {node.counter}"]
    if node.age is not None:
        parts.append(f"age {_span(node.age)}")
    if node.latency is not None and node.steps:
        parts.append(f"{_span(node.latency)} after its source")
    return "  ".join(parts)


def _process_text(process: ProcessNode) -> str:
    rate = "" if process.rate is None else f", {process.rate:.1f} Hz"
    state = "ended" if not process.alive else process.doing
    extra = "" if state in (None, "running") else f", {state}"
    return f"[{process.name} {process.pid}{rate}{extra}]"


def _span(seconds: float) -> str:
    for limit, unit, name in ((1e-3, 1e-6, "us"), (1.0, 1e-3, "ms")):
        if abs(seconds) < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"


def _quoted(text: str) -> str:
    """Quote a text for Graphviz; what other programs stored may hold anything."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class _Seen:
    """What one look at a stream found."""

    node: StreamNode
    entries: list[TraceEntry]
    readers: list[int]
    writer: int | None


def read_graph(directory: str | None = None, processes: list[ProcessStatus] | None = None) -> Graph:
    """Find out which processes read and write the streams of a directory.

    Parameters
    ----------
    directory : str, optional
        Of the streams; default `pymilk.stream_directory`.
    processes : list of ProcessStatus, optional
        Default: `list_processes`.

    Returns
    -------
    Graph

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no stream directory, or it cannot be listed.

    Notes
    -----
    Each stream is attached read-only for a moment. Files that are no usable streams are left out. Nothing is
    written. Traces hold what other programs stored: circles and unknown inodes are expected.
    """
    listed = list_processes() if processes is None else processes
    known = {each.pid: each for each in listed if not each.stale}
    good = [entry["path"] for entry in list_streams(directory) if "error" not in entry]
    looks = [look for look in map(_look, good) if look is not None]
    names = {look.node.inode: look.node.name for look in looks}
    graph = Graph()
    for look in looks:
        graph.streams[look.node.name] = _with_steps(look, names, known)
        _add_traced(graph, look, names, known)
    for look in looks:  # what the traces tell does not come again
        _add_seen(graph, look, known)
    for status in known.values():
        source = names.get(status.trigger_inode or 0) or status.trigger
        if source in graph.streams:
            _add(graph, Feed(source, status.pid, True, "process"), known)
    return graph


def _look(path: str) -> _Seen | None:
    """Read what a graph needs of one stream; None if it cannot be read any more."""
    with contextlib.suppress(StreamError), Stream.attach(path, writable=False, prefault=False) as stream:
        counter = stream.counter
        stamp = max(stream.write_time_ns, stream.last_access_time_ns) or None
        frame_ns = stamp if counter else None
        age = None if frame_ns is None else (now_ns() - frame_ns) / 1e9
        inode = stream.inode
        entries = used_entries(read_trace(stream))
        readers = [int(pid) for pid in stream.section("sem_read_pid") if process_alive(int(pid))]
        posters = [int(pid) for pid in stream.section("sem_write_pid") if pid > 0]
        writer = max(posters, key=posters.count) if posters else None
        stream.check_whole()
        node = StreamNode(stream.name, inode, counter, frame_ns, age, None, None)
        return _Seen(node, entries, readers, writer)
    return None


def _with_steps(look: _Seen, names: dict[int, str], known: dict[int, ProcessStatus]) -> StreamNode:
    """Return the node with the steps of its trace, and the time at the source."""
    steps = tuple(
        Step(
            entry.pid,
            _name_of(entry.pid, known),
            _source_of(entry, names),
            entry.counter,
            entry.started_ns,
            entry.updated_ns,
        )
        for entry in look.entries
    )
    node = look.node
    root = root_time_ns(look.entries) or node.frame_ns
    here = steps[0].updated_ns if steps and steps[0].updated_ns else node.frame_ns
    latency = None if root is None or here is None else (here - root) / 1e9
    return StreamNode(node.name, node.inode, node.counter, node.frame_ns, node.age, root, latency, steps)


def _source_of(entry: TraceEntry, names: dict[int, str]) -> str | None:
    """Return the stream that triggered a step; None without."""
    if not entry.trigger_inode:
        return None
    return names.get(entry.trigger_inode) or f"inode {entry.trigger_inode}"


def _add_traced(graph: Graph, look: _Seen, names: dict[int, str], known: dict[int, ProcessStatus]) -> None:
    """Add what entry 0 of the trace of a stream tells."""
    if look.entries and look.entries[0].pid > 0:
        newest = look.entries[0]
        _add(graph, Feed(look.node.name, newest.pid, False, "trace"), known)
        source = _source_of(newest, names)
        if source is not None:
            _add(graph, Feed(source, newest.pid, True, "trace"), known)


def _add_seen(graph: Graph, look: _Seen, known: dict[int, ProcessStatus]) -> None:
    """Add what the semaphores of a stream tell."""
    name = look.node.name
    if look.writer is not None and not graph.writers(name):
        _add(graph, Feed(name, look.writer, False, "semaphore"), known)
    for pid in look.readers:
        _add(graph, Feed(name, pid, True, "semaphore"), known)


def _add(graph: Graph, feed: Feed, known: dict[int, ProcessStatus]) -> None:
    """Add a connection unless it is there already, and its process."""
    if any((feed.stream, feed.pid, feed.reads) == (old.stream, old.pid, old.reads) for old in graph.feeds):
        return
    graph.feeds.append(feed)
    if feed.pid not in graph.processes:
        status = known.get(feed.pid)
        graph.processes[feed.pid] = ProcessNode(
            feed.pid,
            _name_of(feed.pid, known),
            process_alive(feed.pid),
            None if status is None else status.rate,
            None if status is None else status.doing,
        )


def _name_of(pid: int, known: dict[int, ProcessStatus]) -> str:
    return known[pid].name if pid in known else command_of(pid) or "unknown"
