"""A signal at every place where Python lets its handler run, and what is left then."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from support.interrupts import places, traced
from support.told import Told

#: Seconds that threads and processes which were told to end may take.
_PATIENCE = 5.0


class Instants:
    """Sends SIGINT at the place of one number, counted from the beginning of a block.

    The way into ``__enter__``, ``__exit__`` and the function that it calls does not count: nothing of an
    object runs before them, and a block that was not entered does not close one that runs since it was made.
    """

    def __init__(self, number: int) -> None:
        self.passed, self.where = 0, ""
        self._number = number
        self._tracing = traced("/pymilk/", self._at)

    def _at(self, frame: FrameType) -> None:
        code = frame.f_code
        if code.co_name in ("__enter__", "__exit__", "unbroken") and frame.f_lasti == min(places(code)):
            return
        self.passed += 1
        if self.passed == self._number:
            self.where = f"{code.co_filename.rpartition('/pymilk/')[2]}:{code.co_name}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> Instants:
        self._tracing.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._tracing.__exit__(*exc)


@contextlib.contextmanager
def own_garbage() -> Iterator[None]:
    """Let `gc.collect` look within a block at what was made there only.

    It takes 0.1 s and more in a process that has run thousands of tests, and is asked for at hundreds of
    places.
    """
    frozen = gc.get_freeze_count() > 0  # the tests themselves, see conftest.py
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if frozen:
            gc.collect()
            gc.freeze()


def held(folder: Path) -> set[str]:
    """Return what this process holds: descriptors, threads, children, files of a folder."""
    found = {f"thread {each.name}" for each in threading.enumerate()}
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{each}")
            if "/fd" not in target:  # that of listdir itself
                found.add(f"descriptor {each} of {target}")
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            children = Path(f"/proc/self/task/{task}/children").read_text()
            found |= {f"child {each}" for each in children.split()}
    return found | {f"file {each.name}" for each in folder.iterdir()}


def nothing_is_left(
    work: Callable[[], object], folder: Path, stay: tuple[str, ...] = (), *, every: int = 1
) -> int:
    """Do some work again and again, with a signal at another place each time; it must leave nothing.

    Parameters
    ----------
    work : callable
    folder : Path
        In which it makes files.
    stay : tuple of str
        Names of files that may be there afterwards.
    every : int
        Look at each place of this many.

    Returns
    -------
    int
        Places.
    """
    for _ in range(2):
        work()  # what is loaded and made once
    with Instants(0) as all_of_them:
        work()
    with own_garbage():
        _try_each(work, folder, set(stay), range(1, all_of_them.passed + 1, every))
    return all_of_them.passed


def _try_each(work: Callable[[], object], folder: Path, stay: set[str], numbers: Iterable[int]) -> None:
    before = held(folder) | {f"file {each}" for each in stay}
    for number in numbers:
        instant = Instants(number)
        with contextlib.suppress(Told), instant:
            work()
        gc.collect()
        deadline = time.monotonic() + _PATIENCE
        while (left := held(folder) - before) and time.monotonic() < deadline:
            time.sleep(0.002)
            gc.collect()
        assert not left, f"{sorted(left)} after a signal at {instant.where}, place {number}"
