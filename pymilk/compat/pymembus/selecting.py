"""`select`: the first of several conditions that is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .arguments import milliseconds

__all__ = ["select"]


def select(wait_ms: int, conditions: Sequence[Callable[[], object]]) -> int:
    """Return the index of the first condition that is true; ask all of them every millisecond.

    Parameters
    ----------
    wait_ms : int
        Milliseconds. 0 asks once.
    conditions : sequence of callable
        What one raises is raised.

    Returns
    -------
    int
        -1 if none was in time, or there are none.
    """
    deadline = time.monotonic() + milliseconds(wait_ms, "wait_ms")
    while conditions:
        for index, condition in enumerate(conditions):
            if condition():
                return index
        if time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    return -1
