"""An exception, or a signal, at every place where Python lets a signal handler run."""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

#: Instructions after which Python looks for signals; an exception can come before the next one.
_LOOKING = ("CALL", "RESUME", "JUMP_BACKWARD")


class Interrupt(Exception):
    """What the signal handler raises."""


@functools.cache
def places(code: CodeType) -> frozenset[int]:
    """Offsets of the instructions that follow one where Python looks for signals."""
    found = []
    before = ""
    for each in dis.get_instructions(code):
        if before.startswith(_LOOKING):
            found.append(each.offset)
        before = each.opname
    return frozenset(found)


@contextlib.contextmanager
def traced(module: str, at: Callable[[FrameType], object]) -> Iterator[None]:
    """Call for each such place that is passed in the code of some files."""
    callers: set[FrameType | None] = set()  # called a function of Python: no look when that returns

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "call" and frame.f_code.co_name != "__init__":
            callers.add(frame.f_back)
        if module not in frame.f_code.co_filename or frame.f_code.co_name == "__del__":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and frame in callers:
            callers.discard(frame)
        elif event == "opcode" and frame.f_lasti in places(frame.f_code):
            at(frame)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        callers.clear()


@contextlib.contextmanager
def interrupted(step: int, module: str = "/pymilk/ring/") -> Iterator[list[int]]:
    """Raise `Interrupt` at the place of this number in the code of some files; give the places passed."""
    passed: list[int] = []

    def at(frame: FrameType) -> None:
        passed.append(frame.f_lasti)
        if len(passed) == step:
            raise Interrupt

    with traced(module, at):
        yield passed
