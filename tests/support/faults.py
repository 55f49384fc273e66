"""Faults that nobody foresaw, put into what a thread calls, and those who wait for the thread."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pymilk.errors import StreamArgumentError
from support.waiting import PATIENCE


class Panic(BaseException):
    """What an engine raises that fails within itself: no `Exception`."""


#: By name: what libraries, the system and own checks raise.
FAULTS: dict[str, Callable[[], BaseException]] = {
    "memory": lambda: MemoryError(),
    "disk": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "descriptors": lambda: OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "library": lambda: ValueError("within a library"),
    "check": lambda: StreamArgumentError("of an own check", argument="timeout", found=-1.0),
    "panic": lambda: Panic("within an engine"),
}

#: For the fixture `fault` of tests/unit/conftest.py.
each_fault = pytest.mark.parametrize("fault", FAULTS, indirect=True)


class Failing:
    """Stands in the place of a function, and raises.

    Parameters
    ----------
    fault : BaseException
    instead : callable, optional
        Called before it raises, with the same arguments.
    calls : int, optional
        Raise so many times only; `instead` answers later ones.
    thread : str, default ""
        Raise only in threads whose names begin so: what earlier tests left may be collected meanwhile.
    """

    def __init__(
        self,
        fault: BaseException,
        instead: Callable[..., Any] | None = None,
        calls: int | None = None,
        thread: str = "",
    ) -> None:
        self.fault, self.instead, self.left, self.thread = fault, instead, calls, thread
        self.called = threading.Event()

    def __call__(self, *args: Any, **named: Any) -> Any:
        found = None if self.instead is None else self.instead(*args, **named)
        if not threading.current_thread().name.startswith(self.thread):
            return found
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return found
        self.called.set()
        raise self.fault

    def __get__(self, owner: Any, kind: Any) -> Any:
        """Be a method."""
        return self if owner is None else lambda *args, **named: self(owner, *args, **named)


def within(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or raise what it raises; fails if it never ends."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="waits", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for ever"
    if errors:
        raise errors[0]
    return results[0]


def raised_within(call: Callable[[], Any]) -> BaseException:
    """Return what a call raises."""
    try:
        within(call)
    except AssertionError:
        raise
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def comes_from(error: BaseException | None, fault: BaseException) -> bool:
    """Tell whether an error is this fault, a copy of it, or was caused by it."""
    while error is not None:
        if error is fault or (type(error), str(error)) == (type(fault), str(fault)):
            return True
        error = error.__cause__
    return False


@contextlib.contextmanager
def threads_run_out(after: int = 0, named: str = "pymilk") -> Iterator[None]:
    """Let the system give no thread of pymilk any more, after so many of them."""
    start, given = threading.Thread.start, [0]

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(named):
            given[0] += 1
            if given[0] > after:
                raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        yield


def threads_of_pymilk() -> list[str]:
    """Return the names of its threads that live."""
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("pymilk"))
