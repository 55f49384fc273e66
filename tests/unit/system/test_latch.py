"""`Latch`: what is set wakes who waits, and an interrupt at any instruction leaves it whole."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pymilk.system import latch
from pymilk.system.latch import Latch


def interrupted_at(step: int, call: Callable[[], Any]) -> bool:
    """Call, and interrupt before instruction `step` of the class; false if there are fewer."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != latch.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if count == step:
                sys.settrace(None)
                frame.f_trace = None
                count += 1
                raise KeyboardInterrupt
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def set_by_another(flag: Any) -> bool:
    """Tell whether another thread can set it."""
    thread = threading.Thread(target=flag.set, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive() and flag.is_set()


def whole(make: Callable[[], Any], act: Callable[[Any], Any]) -> list[int]:
    """Return the instructions of an act at which an interrupt leaves the flag broken."""
    broken, step = [], 0
    while True:
        flag = make()
        if not interrupted_at(step, lambda flag=flag: act(flag)):
            return broken
        if not (set_by_another(flag) and flag.wait(1)):
            broken.append(step)
        step += 1


@pytest.mark.parametrize(
    "act",
    [lambda flag: flag.wait(0.0001), lambda flag: flag.set(), lambda flag: (flag.set(), flag.wait())],
    ids=["wait", "set", "set and wait"],
)
def test_interrupted_at_any_instruction(act: Callable[[Any], Any]) -> None:
    assert whole(Latch, act) == []


def test_set_wakes_all_that_wait() -> None:
    flag, woken = Latch(), []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(30))) for _ in range(3)]
    for each in threads:
        each.start()
    assert not flag.is_set()
    flag.set()
    for each in threads:
        each.join(30)
    assert woken == [True] * 3
    flag.set()
    assert flag.wait(0) is True
    assert flag.wait() is True


def test_not_set() -> None:
    flag = Latch()
    assert flag.wait(0) is False
    assert flag.wait(0.001) is False
    assert flag.wait(-1) is False
    flag.set()
    flag.clear()
    assert flag.wait(0.001) is False
    flag.set()
    assert flag.wait(0) is True
