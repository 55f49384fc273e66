"""The thread that does one thing again and again."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import sysconfig
import threading
import weakref
from typing import Any

import pytest

from pymilk.errors import StreamArgumentError, StreamClosedError
from pymilk.util.threadHandler import ThreadHandler

#: Longer than anything here takes; a test that reaches it fails.
LIMIT = 30


class Counter(ThreadHandler):
    """Tells of each call, and may be told to wait in one, or to fail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.gate = threading.Event()
        self.gate.set()
        self.count = 0
        self.error: BaseException | None = None
        super().__init__(*args, **kwargs)

    def threadCall(self) -> None:
        self.count += 1
        self.calls.put(self.count)
        assert self.gate.wait(LIMIT)
        if self.error is not None:
            raise self.error


def paused_by_failure(handler: Counter, error: BaseException) -> None:
    """Let a call fail, and wait until the thread has taken note."""
    handler.error = error
    handler.threadRun()
    handler.calls.get(timeout=LIMIT)
    wait_for_failure(handler)


def last_call(handler: Counter) -> int:
    """Return the number of the last call, once there has been none for a while."""
    with contextlib.suppress(queue.Empty):
        while handler.calls.get(timeout=0.02) < 10**6:
            pass
    return handler.count


def wait_for_failure(handler: ThreadHandler) -> None:
    for _ in range(LIMIT * 1000):
        if handler.exception_to_raise is not None:
            return
        handler.thread.join(0.001)
    raise AssertionError("the exception was not kept")


def test_it_starts_paused() -> None:
    with Counter() as handler:
        assert handler.thread.is_alive()
        assert handler.thread.daemon
        with pytest.raises(queue.Empty):
            handler.calls.get(timeout=0.05)
        assert handler.count == 0


@pytest.mark.parametrize("sleep_ms", [0, 10, 1e9])
@pytest.mark.parametrize("daemonize", [False, True])
def test_run_and_pause(sleep_ms: float, daemonize: bool) -> None:
    """At once, even where the thread looks up every eleven days only."""
    with Counter(sleep_ms, daemonize) as handler:
        assert handler.thread.daemon is daemonize
        for _ in range(3):
            handler.threadRun()
            for _ in range(3):
                handler.calls.get(timeout=LIMIT)
            handler.threadPause()
            known = handler.count
            assert last_call(handler) <= known + 1  # one may have been under way
    assert not handler.thread.is_alive()


def test_no_call_begins_after_a_pause_that_came_during_one() -> None:
    with Counter() as handler:
        handler.gate.clear()
        handler.threadRun()
        assert handler.calls.get(timeout=LIMIT) == 1
        handler.threadPause()
        handler.gate.set()
        with pytest.raises(queue.Empty):
            handler.calls.get(timeout=0.05)
        assert handler.count == 1


def test_a_call_may_pause_itself() -> None:
    class Once(Counter):
        def threadCall(self) -> None:
            super().threadCall()
            self.threadPause()

    with Once() as handler:
        for n in (1, 2):
            handler.threadRun()
            assert handler.calls.get(timeout=LIMIT) == n
            with pytest.raises(queue.Empty):
                handler.calls.get(timeout=0.02)


def test_a_call_may_close_its_handler() -> None:
    class Last(Counter):
        def threadCall(self) -> None:
            super().threadCall()
            self.close()

    handler = Last()
    handler.threadRun()
    handler.thread.join(LIMIT)
    assert not handler.thread.is_alive()
    assert handler.count == 1


def test_close_waits_for_the_call() -> None:
    handler = Counter()
    handler.gate.clear()
    handler.threadRun()
    handler.calls.get(timeout=LIMIT)
    threading.Timer(0.05, handler.gate.set).start()
    handler.close()
    assert handler.gate.is_set()
    assert not handler.thread.is_alive()
    handler.close()
    handler.threadPause()
    with pytest.raises(StreamClosedError, match="closed"):
        handler.threadRun()


# --- exceptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["threadPause", "threadRun", "close"])
@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_exception_comes_back_once(call: str, kind: type[BaseException]) -> None:
    with Counter() as handler:
        error = kind("no")
        paused_by_failure(handler, error)
        assert handler.exception_to_raise is error
        with pytest.raises(kind) as caught:
            getattr(handler, call)()
        assert caught.value is error
        assert "threadCall" in [entry.name for entry in caught.traceback]
        assert handler.exception_to_raise is None
        assert handler.count == 1
        assert handler.thread.is_alive() == (call != "close")
        getattr(handler, call)()
        handler.error = None


def test_it_goes_on_after_an_exception() -> None:
    with Counter() as handler:
        paused_by_failure(handler, ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            handler.threadRun()
        handler.error = None
        handler.threadRun()
        assert handler.calls.get(timeout=LIMIT) == 2
        handler.threadPause()


def test_a_handler_that_leaves_it_to_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    with Counter(re_raise_exceptions=False) as handler:
        error = ValueError("no")
        with caplog.at_level(logging.ERROR, "pymilk"):
            paused_by_failure(handler, error)
            handler.threadPause()
            handler.close()
        assert handler.exception_to_raise is error
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]


def test_the_block_raises_what_was_left() -> None:
    handler = Counter()
    paused_by_failure(handler, ValueError("no"))
    with pytest.raises(ValueError, match="no"), handler as entered:
        assert entered is handler
    assert not handler.thread.is_alive()


def test_an_exception_of_the_block_is_not_hidden() -> None:
    handler = Counter()
    paused_by_failure(handler, ValueError("no"))
    with pytest.raises(KeyError), handler:
        raise KeyError("block")
    assert not handler.thread.is_alive()
    with pytest.raises(ValueError, match="no"):
        handler.close()


def test_no_call_is_defined() -> None:
    handler = ThreadHandler()
    handler.threadRun()
    wait_for_failure(handler)
    with pytest.raises(NotImplementedError, match="must be overloaded"):
        handler.close()


@pytest.mark.parametrize("sleep_ms", [-1, "10", None, float("nan"), float("inf")])
def test_what_is_no_time(sleep_ms: Any) -> None:
    with pytest.raises(StreamArgumentError, match="sleep_ms"):
        ThreadHandler(sleep_ms)


# --- its end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("daemonize", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_the_thread_ends_with_the_handler(running: bool, daemonize: bool) -> None:
    handler = Counter(daemonize=daemonize)
    thread, seen = handler.thread, weakref.ref(handler)
    if running:
        handler.threadRun()
        handler.calls.get(timeout=LIMIT)
    gc.disable()  # without its help
    try:
        del handler
        thread.join(LIMIT)
        assert not thread.is_alive()
        assert seen() is None
    finally:
        gc.enable()


def test_a_subclass_with_a_destructor_of_its_own() -> None:
    class Own(Counter):
        def __del__(self) -> None:
            gone.set()

    gone = threading.Event()
    handler = Own()
    thread = handler.thread
    handler.threadRun()
    handler.calls.get(timeout=LIMIT)
    del handler
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert gone.is_set()


def test_the_handler_goes_during_a_call() -> None:
    """Its last user is the thread itself then."""
    handler = Counter()
    thread, gate = handler.thread, handler.gate
    gate.clear()
    handler.threadRun()
    handler.calls.get(timeout=LIMIT)
    del handler
    gate.set()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_an_exception_that_nobody_asked_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = Counter()
    thread = handler.thread
    paused_by_failure(handler, ValueError("nobody asked"))
    with caplog.at_level(logging.ERROR, "pymilk"):
        del handler
        gc.collect()  # its traceback knows it
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert "nobody asked" in caplog.text


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="such a Python lets objects of two threads go when the one that made them has time for it",
)
def test_a_handler_that_was_told_of_its_exception_goes_at_once() -> None:
    handler = Counter()
    thread, seen = handler.thread, weakref.ref(handler)
    paused_by_failure(handler, ValueError("no"))
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            handler.threadPause()
        handler.error = None
        del handler
        thread.join(LIMIT)
        assert not thread.is_alive()
        assert seen() is None
    finally:
        gc.enable()


def test_a_handler_that_was_never_made() -> None:
    class Broken(ThreadHandler):
        def __init__(self) -> None:
            pass

    Broken().__del__()
