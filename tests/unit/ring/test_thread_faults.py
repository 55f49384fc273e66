"""Collectors and relays whose thread fails where nobody foresaw it: waits end, and raise the cause."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Relay
from pymilk.errors import StreamNotFoundError, StreamStorageError
from pymilk.ring import receiver
from pymilk.streams.waiting import Follower
from support.faults import (
    Failing,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.waiting import until

MakeSHM = Callable[..., SHM]

#: What the thread calls at its beginning; at its end, everything fails that can.
BEGINNING: dict[str, tuple[Any, str]] = {
    "scheduling": (receiver, "schedule_thread"),
    "arming": (receiver.ReceiverThread, "_first"),
}


@contextlib.contextmanager
def threads_that_fail(fault: BaseException, place: str, ending: bool) -> Iterator[None]:
    """Let threads of receivers fail there, and with `ending` in what they do then, too."""
    where, name = BEGINNING[place]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(where, name, Failing(fault))
        if ending:
            close = Failing(KeyError("at the end"), Follower.close, thread="pymilk-receiver")
            patched.setattr(Follower, "close", close)
        yield


@pytest.mark.parametrize("ending", [False, True])
@pytest.mark.parametrize("place", BEGINNING)
@each_fault
def test_a_collector(make: MakeSHM, fault: BaseException, place: str, ending: bool) -> None:
    shm = make("cam", ((2, 2), np.uint16))
    with threads_that_fail(fault, place, ending):
        ring = within(lambda: shm.ring_reader(4))
        assert comes_from(raised_within(lambda: ring.read(1, timeout=None)), fault)
        until(lambda: not threads_of_pymilk())
    within(ring.close)


def test_who_waits_when_a_collector_ends_and_fails_in_that(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch
) -> None:
    shm = make("cam", ((2, 2), np.uint16))
    ring = shm.ring_reader(4)
    errors: list[BaseException] = []
    waits = threading.Thread(
        target=lambda: errors.append(raised_within(lambda: ring.read(1, timeout=None)))
    )
    waits.start()
    close = Failing(MemoryError(), Follower.close, thread="pymilk-receiver")
    with monkeypatch.context() as patched:
        patched.setattr(Follower, "close", close)
        assert ring._collector is not None
        ring._collector.reader.stop()
        assert close.called.wait(30)
        waits.join()
    assert comes_from(errors[0], close.fault)
    within(ring.close)


@pytest.mark.parametrize("ending", [False, True])
@pytest.mark.parametrize("place", BEGINNING)
@each_fault
def test_a_relay(make: MakeSHM, fault: BaseException, place: str, ending: bool) -> None:
    make("cam", ((2, 2), np.uint16))
    with threads_that_fail(fault, place, ending):
        relay = within(lambda: Relay("cam", "ring", 4))
        assert comes_from(raised_within(relay.wait), fault)
        assert comes_from(raised_within(relay.tend), fault)
        assert not relay.running
    within(relay.close)
    with pytest.raises(StreamNotFoundError):
        SHM("ring")


class Kept:
    """A stream that cannot be deleted."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def destroy(self) -> None:
        raise OSError("it cannot be deleted")


def test_a_relay_that_cannot_delete_its_target(make: MakeSHM) -> None:
    make("cam", ((2, 2), np.uint16))
    relay = Relay("cam", "ring", 4)
    relay.target = Kept(relay.target)  # type: ignore[assignment]
    with pytest.raises(OSError, match="cannot be deleted"):
        relay.close()
    assert relay.source.closed
    assert relay.target.closed
    assert not relay.running
    with SHM("ring") as left:
        left.destroy()


def test_without_a_thread(make: MakeSHM) -> None:
    shm = make("cam", ((2, 2), np.uint16))
    with threads_run_out():
        for _ in range(20):  # more than there are semaphores
            with pytest.raises(StreamStorageError, match="no thread"):
                shm.ring_reader(4)
            with pytest.raises(StreamStorageError, match="no thread"):
                Relay("cam", "ring", 4)
    with pytest.raises(StreamNotFoundError):
        SHM("ring")
    with shm.ring_reader(4) as ring:
        shm.set_data(np.ones((2, 2), np.uint16))
        assert within(lambda: ring.read(1, timeout=None)).received == 1


def test_a_task_without_a_thread(make: MakeSHM) -> None:
    shm = make("cam", ((2, 2), np.uint16), ring=8)

    async def first(ring: Any) -> int:
        async for block in ring.ablocks(timeout=30):
            return len(block)
        return 0

    with shm.ring_reader() as ring:
        with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
            asyncio.run(first(ring))

        async def both() -> int:
            task = asyncio.create_task(first(ring))
            await asyncio.sleep(0)
            shm.set_data(np.ones((2, 2), np.uint16))
            return await task

        assert asyncio.run(both()) == 1
