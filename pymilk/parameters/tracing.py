"""Process traces of what a loop publishes.

Each stream that the body of a loop publishes gets a trace that names the loop, and the frame that started the
iteration. It is written just before the frame is counted, as programs of milk do: a reader that sees the new
counter finds the trace of that frame, and can hand it on. This holds for every way to publish a stream in the
thread of the loop. What other threads or programs publish for the loop gets its trace after the iteration, if
the stream was named as an output.
"""

from __future__ import annotations

import contextlib
import os
import threading
from _thread import get_ident
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from .._core import Stream, call_before_frame
from ..arguments import shown
from ..errors import ProcessInfoArgumentError, StreamError
from .trace import stream_of, trace_view
from .trace_writer import TraceWriter

__all__ = ["Source", "Tracing", "output_stream"]

#: Of `TraceWriter.write`: the output is updated now.
_NOW = -1


class Source(Protocol):
    """What the iterations are started by."""

    #: The stream, and the number of the frame that the iteration got.
    stream: Stream
    counter: int


class _Running:
    """The loops whose bodies are at work, by thread; and how many loops there are."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loops = 0
        self.bodies: dict[int, Tracing] = {}

    def begin(self) -> None:
        with self.lock:
            self.loops += 1
            call_before_frame(_before_frame)

    def end(self) -> None:
        with self.lock:
            self.loops -= 1
            if self.loops == 0:
                call_before_frame(None)


_running = _Running()


def _forget_parent() -> None:
    """Forget the loops of the parent process, in a child after fork."""
    global _running
    _running = _Running()
    call_before_frame(None)


os.register_at_fork(after_in_child=_forget_parent)


def _before_frame(stream: Stream) -> None:
    """Write the trace of a stream that is about to be announced, if the body of a loop does that."""
    tracing = _running.bodies.get(get_ident())
    if tracing is not None:
        tracing.before_frame(stream)


class _Output:
    """A stream that the loop publishes."""

    __slots__ = ("noted", "stream", "writer")

    def __init__(self, stream: Stream, source: Stream) -> None:
        self.stream = stream
        self.writer = TraceWriter(stream, source)
        #: Counter of the frame whose trace is written.
        self.noted = stream.counter


class Tracing:
    """The traces of one run of a loop.

    Parameters
    ----------
    source : Source
    items : iterable of SHM or Stream
        Outputs that are looked at after each iteration too.

    Raises
    ------
    ProcessInfoArgumentError
        One of the items is no stream.
    StreamReadOnlyError
        One of them was attached read-only.
    """

    def __init__(self, source: Source, items: Iterable[Any]) -> None:
        self._source = source
        self._items = list(items)
        self._outputs: dict[Stream, _Output] = {}  # by identity
        self._began_ns = 0
        self._follow()
        for item in self._items:
            self._output(output_stream(item))

    # -- one run, and one iteration

    def begin_run(self) -> None:
        """Have publishing told of from now on."""
        _running.begin()

    def end_run(self) -> None:
        """End that."""
        _running.end()

    def enter(self, began_ns: int) -> tuple[int, Tracing | None]:
        """Begin the body of an iteration in this thread; returns what `leave` takes."""
        self._began_ns = began_ns
        if self._outputs:
            if self._source.stream is not self._stream:
                self._follow()
            # Now: the source may go on to other frames before something is made of this one.
            self._older = self._older_view.tobytes()
        thread = get_ident()
        outer = _running.bodies.get(thread)
        _running.bodies[thread] = self
        return thread, outer

    def leave(self, entered: tuple[int, Tracing | None]) -> None:
        """End the body."""
        thread, outer = entered
        if outer is None:
            _running.bodies.pop(thread, None)
        else:
            _running.bodies[thread] = outer

    @contextlib.contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """Count what this thread publishes in the block as published by the body of the loop."""
        entered = self.enter(self._began_ns)
        try:
            yield
        finally:
            self.leave(entered)

    # -- the traces

    def before_frame(self, stream: Stream) -> None:
        """Write the trace of a frame that is about to be announced, if that is possible."""
        try:
            output = self._outputs.get(stream)
            if output is None or self._source.stream is not self._stream:
                output = self._output(stream)
            if output.writer.writes:
                self._write(output, _NOW)
                if self._items:
                    output.noted = stream.counter + 1
        except StreamError:
            pass

    def note_outputs(self) -> None:
        """Write the traces of the named outputs that others published in the iteration."""
        for item in self._items:
            with contextlib.suppress(StreamError):  # the output may be gone, which does not end the loop
                output = self._output(output_stream(item))
                counter = output.stream.counter
                if counter > output.noted:
                    self._write(output, output.stream.write_time_ns)
                output.noted = counter

    def _output(self, stream: Stream) -> _Output:
        """Return what belongs to a stream; made anew if that, or the source, was replaced."""
        if self._source.stream is not self._stream:
            self._follow()
        output = self._outputs.get(stream)
        if output is None:
            if not self._outputs:
                self._older = self._older_view.tobytes()
            # Streams that were closed are let go of: their memory would stay.
            self._outputs = {known: each for known, each in self._outputs.items() if not known.closed}
            output = self._outputs[stream] = _Output(stream, self._stream)
        return output

    def _follow(self) -> None:
        """Take over the stream that the loop has gone over to."""
        stream = self._stream = self._source.stream
        self._older_view = trace_view(stream)
        self._older = self._older_view.tobytes()
        self._semaphore: int | None = None
        for output in self._outputs.values():
            output.writer = TraceWriter(output.stream, stream)

    def _write(self, output: _Output, updated_ns: int) -> None:
        if self._semaphore is None:
            self._semaphore = self._stream.sem_index
        semaphore = -1 if self._semaphore is None else self._semaphore
        output.writer.write(self._began_ns, updated_ns, self._source.counter, semaphore, self._older)


def output_stream(item: Any) -> Stream:
    """Return the stream of an output; anything else raises."""
    stream = stream_of(item)
    if stream is None:
        raise ProcessInfoArgumentError(
            f"output is an SHM or a Stream, not {shown(item)}", argument="output", found=item
        )
    return stream
