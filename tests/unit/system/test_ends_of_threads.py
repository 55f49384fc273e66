"""What is done at the end of a thread, and at that of the interpreter: all of it, whatever fails."""

from __future__ import annotations

import io
import logging
import threading

import pytest

from pymilk.errors import BridgeError, StreamArgumentError, StreamStorageError
from pymilk.system import ending
from pymilk.system.faults import fault_of, words_of_fault
from pymilk.system.threads import do_all
from pymilk.util.threadHandler import ThreadHandler
from support.faults import FAULTS, Failing, each_fault, threads_run_out


@each_fault
def test_all_steps_are_done(fault: BaseException) -> None:
    done: list[int] = []
    steps = [lambda: done.append(1), Failing(fault), lambda: done.append(2), Failing(KeyError()), done.clear]
    assert do_all(*steps[:3]) is fault
    assert done == [1, 2]
    assert do_all(*steps) is fault
    assert done == []
    assert do_all() is None


@each_fault
def test_all_objects_are_closed_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    if not isinstance(fault, Exception):
        pytest.skip("the end of the interpreter itself")
    caplog.set_level(logging.WARNING, "pymilk")

    class Open:
        closed = False

        def __init__(self, fails: bool) -> None:
            self.fails = fails

        def close(self) -> None:
            self.closed = True
            if self.fails:
                raise fault

    made = [Open(fails) for fails in (False, True, False, True)]
    monkeypatch.setattr(ending, "_open", made)
    ending._close_all()
    assert all(each.closed for each in made)
    assert ("could not be closed" in caplog.text) == (not isinstance(fault, StreamArgumentError))


def test_words_of_faults() -> None:
    words = {name: words_of_fault(made()) for name, made in FAULTS.items()}
    assert words["memory"] == "there is no memory for it"
    assert words["library"] == "ValueError: within a library"
    assert words["check"] == "of an own check"
    assert words_of_fault(KeyboardInterrupt()) == "KeyboardInterrupt"
    fault = ValueError("within a library")
    made = fault_of(fault, "the sender of 'rtc'", BridgeError)
    assert isinstance(made, BridgeError)
    assert made.__cause__ is fault
    assert "the sender of 'rtc' was ended" in str(made)
    assert "within a library" in str(made)
    assert fault_of(made, "another") is made


def test_a_handler_without_a_thread() -> None:
    with threads_run_out(named="ThreadHandler"), pytest.raises(StreamStorageError, match="no thread"):
        ThreadHandler()


@each_fault
def test_a_bar_that_cannot_be_drawn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    """The work goes on without it, and nothing is printed."""
    pytest.importorskip("rich", reason="extra cli")
    from rich.console import Console

    from pymilk.cli import progress

    if not isinstance(fault, Exception):
        pytest.skip("no library of pictures raises it")
    caplog.set_level(logging.WARNING, "pymilk")
    printed: list[object] = []
    failing = Failing(fault)
    monkeypatch.setattr(progress, "watch", failing)
    monkeypatch.setattr(threading, "excepthook", printed.append)
    with progress.bar_of_time(Console(file=io.StringIO()), "measuring", 60.0):
        assert failing.called.wait(30)
    assert printed == []
    assert "measuring" in caplog.text
