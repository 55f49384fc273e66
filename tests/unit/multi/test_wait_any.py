"""`wait_any` over streams, readers and rings."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Stream, wait_any
from pymilk.errors import StreamArgumentError, StreamClosedError, StreamTimeoutError
from support.foreign_writer import Foreign
from support.rings import CAPACITY, SOURCES, Both, create, each_source, stamped
from support.waiting import PATIENCE, until

MakeSHM = Callable[..., SHM]


@pytest.fixture
def many(make: MakeSHM) -> Iterator[tuple[list[SHM], list[Any]]]:
    """Writers, and all kinds of things to wait for: an SHM, a Stream, and three rings."""
    writers = [create(make, "collector", name=f"cam{k}") for k in range(2)]
    writers += [create(make, source, name=f"cam{k}") for k, source in enumerate(SOURCES, 2)]
    with Stream.attach("cam1") as stream:
        rings = [make(f"cam{k}").ring_reader(CAPACITY) for k in (2, 3, 4)]
        assert [ring.source for ring in rings] == list(SOURCES)
        yield writers, [make("cam0"), stream, *rings]


Many = tuple[list[SHM], list[Any]]


def test_wait_any_is_woken_by_each(many: Many) -> None:
    writers, items = many
    for number, k in enumerate([0, 1, 2, 3, 4, 3, 1], 10):
        woken = threading.Event()

        def publish(k: int = k, number: int = number, woken: threading.Event = woken) -> None:
            while not woken.wait(0.02):
                writers[k].set_data(stamped(number))
                if k != 1:
                    break  # a Stream waits for what is still to come, and may not have begun to

        writer = threading.Thread(target=publish)
        writer.start()
        assert wait_any(items, timeout=PATIENCE) == [k]
        woken.set()
        writer.join()
        if k == 0:
            assert (items[0].get_data() == number).all()
        elif k > 1:
            assert (items[k].read(1).frames == number).all()


def test_wait_any_tells_of_all_that_are_ready(many: Many) -> None:
    writers, items = many
    for k in (4, 0, 2):
        writers[k].set_data(stamped(2))
    until(lambda: items[4].lag)
    for timeout in (None, 0, 5):
        assert wait_any(items, timeout=timeout) == [0, 2, 4]
    items[0].get_data()
    assert wait_any(items) == [2, 4]
    items[4].skip(1)
    assert wait_any(tuple(items)) == [2]
    items[2].read(1)
    with pytest.raises(StreamTimeoutError):
        wait_any(items, timeout=0)


def test_wait_any_timeout(many: Many) -> None:
    for items in (many[1], *([item] for item in many[1])):
        for timeout in (0, 0.05):
            began = time.monotonic()
            with pytest.raises(StreamTimeoutError, match=f"none of {len(items)} streams") as caught:
                wait_any(items, timeout=timeout)
            assert time.monotonic() - began >= timeout
            assert caught.value.timeout == timeout
            assert isinstance(caught.value, TimeoutError)


def test_wait_any_burns_no_core(many: Many) -> None:
    began, used = time.monotonic(), time.process_time()
    with pytest.raises(StreamTimeoutError):
        wait_any(many[1], timeout=0.7)
    assert time.process_time() - used < 0.4 * (time.monotonic() - began)


def test_wait_any_needs_no_gil_of_others(many: Many) -> None:
    """Another thread computes while one waits."""
    writers, items = many
    turns = 0

    def compute() -> None:
        nonlocal turns
        deadline = time.monotonic() + PATIENCE
        while turns < 200_000 and time.monotonic() < deadline:
            turns += 1
        writers[3].set_data(stamped(2))

    thread = threading.Thread(target=compute)
    thread.start()
    assert wait_any(items, timeout=2 * PATIENCE) == [3]
    thread.join()
    assert turns == 200_000


def test_wait_any_after_frames_that_were_published_before(make: MakeSHM) -> None:
    """An SHM is ready for what it has not read; a Stream waits for what is still to come."""
    writer, reader = create(make, "collector"), make("cam")
    writer.set_data(stamped(2))
    assert wait_any([reader], timeout=0) == [0]
    with Stream.attach("cam") as stream, pytest.raises(StreamTimeoutError):
        wait_any([stream], timeout=0.02)


def test_a_frame_that_was_there_already_is_told_apart_from_the_next(make_stream: Any, shm_dir: Path) -> None:
    """The pixels of a writer that counts late stand under the number before for a while."""
    make_stream("cam", (32, 32), np.uint32)
    writer = Foreign(shm_dir / "cam.im.shm")
    numbers = itertools.count(1)
    for _ in range(10):  # a counter that is held up for 5 ms passes for one that counts nothing
        number = next(numbers)
        with SHM("cam") as shm:
            writer.publish(number, "open fill post close count")
            writer.publish(next(numbers), "open fill post close")
            counter = threading.Timer(0.001, writer.count, [number + 1])
            counter.start()
            assert wait_any([shm], timeout=PATIENCE) == [0]
            frame = shm.get_data()
            counter.join()
            assert (frame == number + 1).all()
            with contextlib.suppress(StreamTimeoutError):
                wait_any([shm], timeout=0)
                continue
            return
    pytest.fail("each frame came twice")


@pytest.mark.parametrize("k", range(5))
def test_wait_any_of_a_closed_item(many: Many, k: int) -> None:
    items = many[1]
    items[k].close()
    with pytest.raises(StreamClosedError, match=f"'cam{k}'") as caught:
        wait_any(items, timeout=0)
    assert caught.value.stream == f"cam{k}"


@pytest.mark.parametrize("k", range(5))
def test_wait_any_item_is_closed_meanwhile(many: Many, k: int) -> None:
    items = many[1]
    closer = threading.Timer(0.05, items[k].close)
    closer.start()
    with pytest.raises(StreamClosedError):
        wait_any(items, timeout=PATIENCE)
    closer.join()


def test_wait_any_bad_items(many: Many) -> None:
    items = many[1]
    for bad in (
        [],
        (),
        [items[0], items[1], items[0]],
        [items[2], items[2]],
        [items[0], "cam1"],
        [None],
    ):
        with pytest.raises(StreamArgumentError) as caught:
            wait_any(bad, timeout=0)
        assert caught.value.argument == "items"
        assert caught.value.found == bad or caught.value.found in bad
    for timeout in (-1, "soon", math.nan):
        with pytest.raises(StreamArgumentError) as caught:
            wait_any(items, timeout=timeout)
        assert caught.value.argument == "timeout"


def test_wait_any_of_the_same_stream_twice(make: MakeSHM) -> None:
    """Objects are to be different; they may look at one stream."""
    writer = create(make, "fast")
    items = [make("cam"), make("cam"), make("cam").ring_reader(), make("cam").ring_reader()]
    timer = threading.Timer(0.02, writer.set_data, [stamped(2)])
    timer.start()
    assert wait_any(items, timeout=PATIENCE)
    timer.join()
    assert wait_any(items, timeout=0) == [0, 1, 2, 3]


@each_source
def test_wait_any_while_another_thread_waits(make: MakeSHM, source: str) -> None:
    """Each wait has a semaphore of its own: none takes the posts of another one."""
    both = Both(make, source)
    shm = make("cam")
    got: dict[str, Any] = {}

    def wait(name: str, call: Callable[[], Any]) -> threading.Thread:
        thread = threading.Thread(target=lambda: got.update({name: call()}))
        thread.start()
        return thread

    threads = [
        wait("get_data", lambda: shm.get_data(check=True, timeout=PATIENCE)),
        wait("any", lambda: wait_any([shm, both.ring], timeout=PATIENCE)),
        wait("any shm", lambda: wait_any([make("cam")], timeout=PATIENCE)),
    ]
    while any(thread.is_alive() for thread in threads):
        both.feed()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert 2 <= got["get_data"][0, 0] <= both.number
    assert set(got["any"]) <= {0, 1}
    assert got["any shm"] == [0]
