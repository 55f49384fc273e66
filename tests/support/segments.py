"""Segments of shared memory with names of their own, and what lies in them."""

from __future__ import annotations

import fcntl
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pymilk.compat.magscope import VideoBuffer

MEMORY = Path("/dev/shm")

_numbers = itertools.count()


class CountingLock:
    """A lock that is not re-entrant, and counts how often it was taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0

    def __enter__(self) -> None:
        assert self._lock.acquire(timeout=30), "the lock is held: it would be for ever"
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class FileLock:
    """A lock between processes that are started separately."""

    def __init__(self, path: object) -> None:
        self._fd = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)


@contextmanager
def new_name() -> Iterator[str]:
    """Hand out a name that nobody has; segments that begin with it are removed afterwards."""
    name = f"pymilk-test-{os.getpid()}-{next(_numbers)}"
    try:
        yield name
    finally:
        for path in MEMORY.glob(f"{name}*"):
            path.unlink()


def video_buffer(name: str) -> type[VideoBuffer]:
    """Return a VideoBuffer whose segments have another name: several tests may run at once."""
    return type("VideoBuffer", (VideoBuffer,), {"name": name})


def segments(name: str) -> dict[str, int]:
    """Return the segments that begin with a name, without that, and their sizes."""
    return {path.name.removeprefix(name): path.stat().st_size for path in MEMORY.glob(f"{name}*")}


def words(name: str) -> list[int]:
    """Return the numbers of a segment: 8 bytes each, big-endian."""
    return [int(each) for each in np.frombuffer((MEMORY / name).read_bytes(), ">u8")]


def put_words(name: str, *numbers: int) -> None:
    """Store numbers at the beginning of a segment, as another program does."""
    with (MEMORY / name).open("r+b") as file:
        file.write(np.array(numbers, ">u8").tobytes())


def values(name: str, dtype: Any) -> np.ndarray[Any, Any]:
    """Return a copy of what is in a segment."""
    return np.frombuffer((MEMORY / name).read_bytes(), dtype)
