"""The start and the end of a thread where a signal handler interrupts the one who waits."""

from __future__ import annotations

import signal
import threading

import pytest

from pymilk.errors import StreamStorageError
from pymilk.system.threads import join_thread, start_thread
from support.told import Told, told


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


def test_an_interrupted_wait_for_the_end_leaves_the_thread_alive() -> None:
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait, daemon=True)
    thread.start()
    try:
        for _ in range(3):
            with told(signal.SIGALRM):
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                with pytest.raises(Told):
                    join_thread(thread)
            assert thread.is_alive()
        join_thread(thread, 0)
        assert thread.is_alive()
    finally:
        may_end.set()
    join_thread(thread)
    assert not thread.is_alive()
