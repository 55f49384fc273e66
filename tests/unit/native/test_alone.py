"""`Alone`: one thread at a time, and never taken for ever."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from pymilk.errors import StreamBusyError
from pymilk.native.alone import Alone


class Told(BaseException):
    """What the handler raises."""


def test_another_thread_is_refused_in_words() -> None:
    alone = Alone("the tail of rtc/log", "rtc/log")
    found: list[BaseException] = []

    def come_in() -> None:
        try:
            with alone:
                pass
        except StreamBusyError as error:
            found.append(error)

    with alone:
        thread = threading.Thread(target=come_in)
        thread.start()
        thread.join()
    assert str(found[0]).startswith("the tail of rtc/log: another thread is reading from it, or another task")
    assert found[0].stream == "rtc/log"
    with alone:
        pass


def test_a_handler_within_it_is_refused_and_it_is_given_back() -> None:
    alone = Alone("the watch", "fps")
    with pytest.raises(StreamBusyError), alone, alone:
        pass
    with alone:
        pass
    with alone:
        alone.after_fork()
        with alone:
            pass


def test_it_is_never_left_taken() -> None:
    here = sys._getframe()

    def tell(number: int, frame: object) -> None:
        if frame is here and not over:
            over.append(True)
            raise Told

    over: list[bool] = []

    alone, raised = Alone("the watch", "fps"), 0
    before = signal.signal(signal.SIGALRM, tell)
    try:
        for micro in range(1, 200):
            over.clear()
            try:
                # Again and again: those that come in a callback of the garbage collector would be lost.
                signal.setitimer(signal.ITIMER_REAL, micro * 1e-6, 0.005)
                while True:
                    with alone:
                        pass
            except Told:
                raised += 1
            assert not alone.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised == 199
