"""What the body of a loop publishes has its process trace before it is counted, however it is published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.parameters import ProcessInfo, TraceEntry, read_trace, tracing
from pymilk.parameters.trace_writer import TraceWriter


@pytest.fixture
def process() -> Iterator[ProcessInfo]:
    with ProcessInfo.create("myloop") as process:
        yield process


def frame(value: float) -> np.ndarray[Any, Any]:
    return np.full((3, 4), value, np.float32)


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", frame(0))


def started(process: ProcessInfo, cam: SHM, make: Callable[..., SHM], **options: Any) -> Iterator[Any]:
    """Begin a loop whose body is at work with frame 1."""
    loop = process.loop(cam, **options)
    threading.Timer(0.001, lambda: make("cam").set_data(frame(1))).start()
    next(loop)
    return loop


def newest(stream: str) -> TraceEntry:
    with Stream.attach(stream, writable=False) as attached:
        return read_trace(attached)[0]


WAYS: dict[str, Callable[[SHM], Any]] = {
    "set_data": lambda out: out.set_data(frame(5)),
    "in another order": lambda out: out.set_data(np.asfortranarray(frame(5))),
    "set_many": lambda out: out.set_many(np.stack([frame(5), frame(6)])),
    "repost": lambda out: out.repost(),
    "IMAGE": lambda out: out.IMAGE.write(frame(5).T),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_publish(process: ProcessInfo, cam: SHM, make: Callable[..., SHM], way: str) -> None:
    out = make("out", frame(0))
    loop = started(process, cam, make)
    WAYS[way](out)
    entry = newest("out")  # within the iteration
    with Stream.attach("cam") as source, Stream.attach("out") as target:
        assert (entry.pid, entry.trigger_inode, entry.counter) == (process.pid, source.inode, source.counter)
        assert entry.started_ns <= entry.updated_ns <= target.write_time_ns
    loop.close()


def test_streams_of_the_core(process: ProcessInfo, cam: SHM, make: Callable[..., SHM]) -> None:
    with Stream.create("out", (3, 4), np.float32) as out:
        loop = started(process, cam, make)
        with out.claim() as pixels:
            pixels[...] = 5
            assert not newest("out").used
        assert newest("out").pid == process.pid
        first = newest("out").updated_ns
        out.publish(frame(6))
        assert newest("out").updated_ns > first
        with pytest.raises(ZeroDivisionError), out.claim():
            raise ZeroDivisionError
        loop.close()


def test_the_trace_is_there_before_the_count(
    process: ProcessInfo, cam: SHM, make: Callable[..., SHM], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = make("out", frame(0))
    counters = []

    class Noted(TraceWriter):
        def write(self, *arguments: Any) -> None:
            super().write(*arguments)
            if self.writes:  # of another stream than the source
                counters.append(out.get_counter())

    monkeypatch.setattr(tracing, "TraceWriter", Noted)
    loop = started(process, cam, make, output=out)
    before = out.get_counter()
    out.set_data(frame(5))
    assert (counters, out.get_counter()) == ([before], before + 1)
    make("cam").set_data(frame(2))
    next(loop)
    assert counters == [before]  # and not once more after the iteration
    loop.close()


def test_the_trace_handed_on_is_that_of_the_frame(process: ProcessInfo, make: Callable[..., SHM]) -> None:
    """The source may go on to another frame, with another trace, before something is made of this one."""
    make("raw", frame(0))
    cam, out = make("cam", frame(0)), make("out", frame(0))
    with Stream.attach("raw") as raw, Stream.attach("cam") as stream:
        writer = TraceWriter(stream, raw)
        loop = process.loop(cam, output=out)

        def publish(counter: int) -> None:
            writer.write(1, 2, counter, 0)
            stream.publish(frame(counter))

        threading.Timer(0.001, publish, [71]).start()
        image = next(loop)
        publish(72)
        out.set_data(image)
        with Stream.attach("out") as made:
            first, second, *_ = read_trace(made)
        assert first.counter == stream.counter - 1
        assert second.counter == 71
        loop.close()


def test_only_the_body_of_the_loop_is_traced(
    process: ProcessInfo, cam: SHM, make: Callable[..., SHM]
) -> None:
    out, other = make("out", frame(0)), make("other", frame(0))
    out.set_data(frame(1))
    loop = started(process, cam, make)
    thread = threading.Thread(target=other.set_data, args=(frame(1),))
    thread.start()
    thread.join()
    loop.close()
    out.set_data(frame(2))
    assert not newest("out").used
    assert not newest("other").used
    assert not newest("cam").used  # which the loop published nothing in


def test_outputs_that_other_threads_publish(process: ProcessInfo, cam: SHM, make: Callable[..., SHM]) -> None:
    out = make("out", frame(0))
    loop = started(process, cam, make, output=[out])
    thread = threading.Thread(target=out.set_data, args=(frame(1),))
    thread.start()
    thread.join()
    assert not newest("out").used
    make("cam").set_data(frame(2))
    next(loop)
    with Stream.attach("out") as stream:
        assert newest("out").updated_ns == stream.write_time_ns
    thread = threading.Thread(target=process.publish, args=(out, frame(2)))
    thread.start()
    thread.join()
    with Stream.attach("out") as stream:
        assert newest("out").updated_ns <= stream.write_time_ns
    assert newest("out").counter == cam.get_counter()
    loop.close()


def test_loops_within_loops(process: ProcessInfo, cam: SHM, make: Callable[..., SHM]) -> None:
    out, deep = make("out", frame(0)), make("deep", frame(0))
    with ProcessInfo.create("inner") as inner:
        outer_loop = started(process, cam, make)
        make("mid", frame(0))
        mid = make("mid")
        inner_loop = inner.loop(mid)
        threading.Timer(0.001, lambda: make("mid").set_data(frame(1))).start()
        next(inner_loop)
        deep.set_data(frame(1))
        inner_loop.close()
        out.set_data(frame(1))
        outer_loop.close()
    with Stream.attach("cam") as source, Stream.attach("mid") as between:
        assert newest("deep").trigger_inode == between.inode
        assert newest("out").trigger_inode == source.inode


def test_loops_without_a_stream_trace_nothing(process: ProcessInfo, make: Callable[..., SHM]) -> None:
    out = make("out", frame(0))
    for number in process.loop(range(2)):
        out.set_data(frame(number))
    assert not newest("out").used


def test_an_output_that_is_gone_does_not_end_the_loop(
    process: ProcessInfo, cam: SHM, make: Callable[..., SHM]
) -> None:
    out = make("out", frame(0))
    loop = started(process, cam, make, output=out)
    out.destroy()
    make("cam").set_data(frame(2))
    assert next(loop)[0, 0] == 2
    loop.close()


def test_traces_of_an_shm(cam: SHM) -> None:
    assert len(read_trace(cam)) == 10
    with pytest.raises(ValueError, match="SHM or a Stream"):
        read_trace("cam")


def test_closed_outputs_are_let_go_of(process: ProcessInfo, cam: SHM, make: Callable[..., SHM]) -> None:
    loop = started(process, cam, make)
    for number in range(4):
        with Stream.create(f"out{number}", (3, 4), np.float32) as out:
            out.publish(frame(number))
            assert newest(f"out{number}").pid == process.pid
    assert process._running is not None
    assert process._running._tracing is not None
    assert len(process._running._tracing._outputs) == 1
    loop.close()
