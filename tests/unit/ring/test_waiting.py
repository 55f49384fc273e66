"""Ring readers that wait, and their file descriptors."""

from __future__ import annotations

import asyncio
import copy
import os
import select
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM, RingReader
from pymilk.errors import (
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamTimeoutError,
    StreamUnsupportedError,
)
from support.rings import (
    CAPACITY,
    DTYPE,
    Both,
    account,
    create,
    each_source,
    is_busy,
    numbers_of,
    shared_sources,
    stamped,
)
from support.waiting import PATIENCE, until

MakeSHM = Callable[..., SHM]


# --- waiting -----------------------------------------------------------------------------------


@each_source
def test_timeouts(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for timeout in (0, 0.03):
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError, match="its counter is 1") as caught:
            next(both.ring.blocks(timeout=timeout))
        assert time.monotonic() - began >= timeout
        error = caught.value
        assert (error.stream, error.timeout, error.counter) == ("cam", timeout, 1)
        assert error.capture is None
    both.feed()
    assert numbers_of(next(both.ring.blocks(timeout=0))) == [2]


@each_source
def test_close_ends_a_wait_of_another_thread(make: MakeSHM, source: str) -> None:
    shm = create(make, source)
    raised: list[BaseException] = []

    def wait(ring: RingReader) -> None:
        try:
            next(ring.blocks(timeout=None))
        except BaseException as error:
            raised.append(error)

    # Often: how the end of a collector's thread is seen depends on how far it is.
    for _ in range(10):
        ring = shm.ring_reader(CAPACITY)
        thread = threading.Thread(target=wait, args=[ring])
        thread.start()
        until(lambda ring=ring: is_busy(ring))
        ring.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [type(error) for error in raised] == [StreamClosedError] * 10
    assert {error.stream for error in raised} == {"cam"}


@each_source
def test_new_file_of_another_shape_during_a_wait(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for number in range(5):
        name = f"cam{number}"
        shm = create(make, source, name=name)
        with shm.ring_reader(CAPACITY) as ring:
            replacing = threading.Thread(
                target=lambda ring=ring, name=name: (
                    until(lambda: is_busy(ring)),
                    make(name, np.zeros((5, 5), DTYPE)),
                )
            )
            replacing.start()
            with pytest.raises(StreamChangedError) as caught:
                next(ring.blocks(timeout=None))
            replacing.join()
            assert (caught.value.stream, caught.value.field) == (name, "shape")
    assert not both.ring.closed


@each_source
def test_closing_the_stream_ends_a_wait(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    closer = threading.Thread(target=lambda: (until(lambda: is_busy(both.ring)), both.shm.close()))
    closer.start()
    with pytest.raises(StreamClosedError, match="'cam'"):
        both.ring.read(1, timeout=None)
    closer.join()
    assert both.ring.closed


@each_source
def test_two_threads_at_once(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    got: list[list[int]] = []
    thread = threading.Thread(
        target=lambda: got.append(numbers_of(both.ring.read(2, timeout=PATIENCE)))
    )
    thread.start()
    until(lambda: is_busy(both.ring))
    for call in (
        lambda: next(both.ring.blocks()),
        lambda: both.ring.read(1),
        lambda: both.ring.peek(1),
        lambda: both.ring.skip(1),
        lambda: both.ring.rewind(1),
        lambda: asyncio.run(anext(both.ring.ablocks())),
    ):
        with pytest.raises(StreamBusyError, match="'cam': another thread is reading") as caught:
            call()
        assert caught.value.stream == "cam"
    # These may be used from any thread.
    both.feed(1)
    assert (both.ring.latest() == 2).all()
    assert numbers_of(both.ring.dump(frames=1)) == [2]
    assert both.ring.lag <= 1
    assert both.ring.report.received <= 2
    both.feed(1)
    thread.join(PATIENCE)
    assert got == [[2, 3]]
    assert account(both.ring) == (2, 0, 0)


@each_source
def test_waiting_burns_no_core(make: MakeSHM, source: str) -> None:
    both = Both(make, source, wait="sleep")
    began, used = time.monotonic(), time.process_time()
    with pytest.raises(StreamTimeoutError):
        next(both.ring.blocks(timeout=0.5))
    assert time.process_time() - used < 0.4 * (time.monotonic() - began)


# --- descriptors -------------------------------------------------------------------------------


def test_descriptor_of_a_collector(make: MakeSHM) -> None:
    both = Both(make, "collector")
    fd = both.ring.fileno()
    assert both.ring.fileno() == fd
    poll = select.poll()
    poll.register(both.ring, select.POLLIN)
    assert poll.poll(0) == []
    for _ in range(3):
        both.shm.set_data(stamped(both.number + 1))
        both.number += 1
        assert poll.poll(PATIENCE * 1000) == [(fd, select.POLLIN)]
        assert numbers_of(both.ring.read(1)) == [both.number]
        assert poll.poll(0) == []
    # It stays readable for as long as something is unread.
    both.feed(3)
    for number in (5, 6, 7):
        assert poll.poll(0) == [(fd, select.POLLIN)]
        assert numbers_of(next(both.ring.blocks(1, timeout=0))) == [number]
    assert poll.poll(0) == []
    both.ring.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_descriptor_that_is_asked_for_late(make: MakeSHM) -> None:
    both = Both(make, "collector")
    both.feed(2)
    assert select.select([both.ring], [], [], 0)[0] == [both.ring]
    both.ring.skip(2)
    assert len(both.ring.peek(1)) == 0
    assert select.select([both.ring], [], [], 0)[0] == []


def test_descriptor_in_an_event_loop(make: MakeSHM) -> None:
    both = Both(make, "collector")
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def readable() -> None:
            while len(both.ring.peek(1)):
                seen.extend(numbers_of(next(both.ring.blocks(timeout=0))))
            if len(seen) == 5:
                done.set()

        loop.add_reader(both.ring.fileno(), readable)
        for _ in range(5):
            both.feed()
            await asyncio.sleep(0)
        await asyncio.wait_for(done.wait(), PATIENCE)
        loop.remove_reader(both.ring.fileno())

    asyncio.run(main())
    assert seen == [2, 3, 4, 5, 6]


@shared_sources
def test_shared_rings_have_no_descriptor(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    with pytest.raises(
        StreamUnsupportedError, match=r"'cam'.*use blocks, ablocks or wait_any"
    ) as caught:
        both.ring.fileno()
    assert type(caught.value) is StreamUnsupportedError
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, ValueError)  # both builtins, as io.UnsupportedOperation
    assert isinstance(caught.value, OSError)
    assert str(caught.value)
    assert copy.copy(caught.value).stream == "cam"


@each_source
def test_wait_takes_nothing(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    with pytest.raises(StreamTimeoutError):
        both.ring.wait(timeout=0.002)
    both.feed(2)
    for _ in range(2):
        both.ring.wait(timeout=PATIENCE)
        assert both.ring.lag == 2
    assert both.ring.read(2).info["cnt0"].tolist() == [2, 3]
