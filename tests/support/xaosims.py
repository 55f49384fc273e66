"""Objects of the xaosim interface."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pymilk.compat.xaosim import shm

from .engine import without_engine

SHAPES = [(5,), (3, 4), (2, 3, 4)]
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed, but what a test has read by then; and by an engine that failed before."""
    yield
    out, err = capfd.readouterr()
    assert (out, without_engine(err)) == ("", "")


@pytest.fixture
def make() -> Iterator[Make]:
    """Make objects of the interface that are closed after the test."""
    made: list[shm] = []

    def start(*args: Any, kind: type[shm] = shm, **kwargs: Any) -> shm:
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield start
    for each in made:
        each.close(erase_file=False)


def ramp(shape: tuple[int, ...], dtype: Any = np.float32, first: int = 0) -> np.ndarray:
    """A frame in which every pixel differs."""
    return (np.arange(np.prod(shape)) + first).astype(dtype).reshape(shape)


def state(pid: int | str) -> str:
    """What a process, or a task of one, does: "S" while it sleeps."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start work in a thread; the list gets what it returns or raises."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


# -- attach and create --------------------------------------------------------------------------------

TOUCHING = [
    lambda s: s.get_data(),
    lambda s: s.get_data(check=0),
    lambda s: s.get_latest_data(),
    lambda s: s.get_latest_data(3),
    lambda s: s.get_latest_data_slice(),
    lambda s: s.set_data(np.zeros(3)),
    lambda s: s.get_counter(),
    lambda s: s.increment_counter(),
    lambda s: s.read_meta_data(),
    lambda s: s.read_keywords(),
    lambda s: s.read_keyword(0),
    lambda s: s.write_keywords(),
    lambda s: s.write_keyword(0),
    lambda s: s.update_keyword(0, "A", 1, ""),
    lambda s: s.catch_up_with_sem(0),
    lambda s: s.post_sems(),
    lambda s: s.nsem,
]


# -- two processes ------------------------------------------------------------------------------------

READER = """
import sys
import numpy as np
from pymilk.compat.xaosim import shm
def say(*words):
    print(*words, flush=True)
s = shm("cam", nosem=False)
"""
