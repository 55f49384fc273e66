"""Many streams and many cycles, and what a process holds."""

from __future__ import annotations

import gc
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import (
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamLockedError,
    StreamNotFoundError,
    StreamTimeoutError,
)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def mappings() -> int:
    with open("/proc/self/maps") as lines:
        return sum(".im.shm" in line for line in lines)


def memory() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def many_streams(count: int) -> None:
    gc.collect()  # what other tests have left
    before, mapped = descriptors(), mappings()
    streams = [Stream.create(f"s{number}", (2, 2), np.uint32, nbkw=0, nbsem=1) for number in range(count)]
    # A stream needs its descriptor for a moment only.
    assert descriptors() == before
    readers = [Stream.attach(f"s{number}") for number in range(count)]
    for number, stream in enumerate(streams):
        stream.publish(np.full((2, 2), number, np.uint32))
    for number, reader in enumerate(readers):
        assert reader.wait(30, after=0) == 1
        assert reader.sem_index == 0
        assert (reader.read()[0] == number).all()
    assert descriptors() == before
    assert mappings() == mapped + 2 * count
    for stream in readers:
        stream.close()
    for stream in streams:
        stream.destroy()
    del stream, reader, streams, readers
    gc.collect()
    assert mappings() == mapped


def cycles() -> list[Callable[[], Any]]:
    """What is done over and over: the ways that work, and those that end in an error."""
    folder = Path(os.environ["MILK_SHM_DIR"])
    Stream.create("good", (8, 8), np.float32, nbkw=2).close()
    (folder / "junk.im.shm").write_bytes(b"x" * 5000)
    held = Stream.create("held", (2, 2), np.uint8, exclusive=True)
    frame = np.zeros((8, 8), np.float32)

    def fails(kind: type[StreamError], call: Any, *args: Any, **options: Any) -> Callable[[], None]:
        def cycle() -> None:
            with pytest.raises(kind):
                call(*args, **options)

        return cycle

    def use() -> None:
        with SHM("good") as shm:
            shm.set_data(frame)
            shm.get_data()
            assert shm.semID is not None

    def wait() -> None:
        with Stream.attach("good") as stream, pytest.raises(StreamTimeoutError):
            stream.wait(0)

    def publish_refused() -> None:
        with Stream.attach("held") as stream, pytest.raises(StreamLockedError):
            stream.publish(np.zeros((2, 2), np.uint8))

    def ring() -> None:
        with SHM("good") as shm, shm.ring_reader(depth=4):
            pass

    return [
        lambda: Stream.create("new", (4, 4), np.uint8).destroy(),
        lambda: Stream.create("good", (8, 8), np.float32, nbkw=2).close(),
        lambda: Stream.attach("good", exclusive=True).close(),
        lambda: Stream.create("own", (4, 4), np.uint8, exclusive=True).close(),
        use,
        wait,
        ring,
        publish_refused,
        fails(StreamNotFoundError, Stream.attach, "absent"),
        fails(StreamFormatError, Stream.attach, "junk"),
        fails(StreamExistsError, Stream.create, "good", (8, 8), np.float32, exist_ok=False),
        fails(StreamLockedError, Stream.attach, "held", exclusive=True),
        fails(StreamLockedError, Stream.create, "held", (2, 2), np.uint8),
        fails(StreamLockedError, Stream.create, "held", (2, 2), np.uint8, exclusive=True),
        lambda: held.exclusive or pytest.fail("the lock was lost"),
    ]


def no_leak(count: int, slack: int) -> None:
    kinds = cycles()
    for cycle in kinds * 2:
        cycle()
    gc.collect()
    before = descriptors(), mappings(), threading.active_count()
    for _ in range(count // 10):
        for cycle in kinds:
            cycle()
    gc.collect()
    start = memory()
    for _ in range(count):
        for cycle in kinds:
            cycle()
    gc.collect()
    assert (descriptors(), mappings(), threading.active_count()) == before
    grown = memory() - start
    print(f"\n{count} cycles of {len(kinds)} kinds: memory grew by {grown} bytes")
    assert grown <= slack
    assert not [path for path in Path(os.environ["MILK_SHM_DIR"]).iterdir() if path.name.startswith(".")]
