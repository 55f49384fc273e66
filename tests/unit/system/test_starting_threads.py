"""What comes out of the start of a thread that a signal handler has interrupted."""

from __future__ import annotations

import threading

import pytest

from pymilk.errors import StreamStorageError
from pymilk.system.threads import start_thread


class Interrupt(Exception):
    """What the signal handler raises."""


class Failing(threading.Thread):
    """Fails to start with an error, while it handles another exception or none."""

    def __init__(self, error: Exception, handled: Exception | None = None) -> None:
        super().__init__()
        self._fault, self._handled = error, handled

    def start(self) -> None:
        if self._handled is None:
            raise self._fault
        try:
            raise self._handled
        except Interrupt:
            raise self._fault  # noqa: B904 (as threading does it)


@pytest.mark.parametrize("error", [KeyError("thread"), RuntimeError("release unlocked lock")])
def test_the_exception_of_the_handler_comes_out(error: Exception) -> None:
    with pytest.raises(Interrupt) as caught:
        start_thread(Failing(error, Interrupt()))
    assert caught.value.__suppress_context__


def test_an_exception_that_was_handled_before_is_none_of_its() -> None:
    try:
        raise Interrupt
    except Interrupt:
        with pytest.raises(StreamStorageError, match="no thread can be started"):
            start_thread(Failing(RuntimeError("can't start new thread")))
        with pytest.raises(KeyError):
            start_thread(Failing(KeyError("something else")))
