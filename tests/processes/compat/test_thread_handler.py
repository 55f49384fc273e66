"""The thread that does one thing again and again, at the exit of the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

#: Longer than anything here takes; a test that reaches it fails.
LIMIT = 30

SCRIPT = """
import sys, threading
from pymilk.util.threadHandler import ThreadHandler

class Worker(ThreadHandler):
    first = threading.Event()

    def threadCall(self):
        self.first.set()
        sum(range(1000))

worker = Worker(sleep_ms=1, daemonize=sys.argv[1] == "daemon")
if sys.argv[2] == "running":
    worker.threadRun()
    worker.first.wait()
print("here", flush=True)
"""


@pytest.mark.parametrize("state", ["paused", "running"])
@pytest.mark.parametrize("kind", ["daemon", "waited for"])
def test_exit_of_the_interpreter(kind: str, state: str, spawn: Callable[..., Any]) -> None:
    """Without hanging, and without a word, although nobody closed the handler."""
    assert spawn(SCRIPT, kind, state).finish(LIMIT) == (0, "here\n", "")


def test_the_call_under_way_ends_before_the_interpreter(spawn: Callable[..., Any]) -> None:
    script = """
import threading
from pymilk.util.threadHandler import ThreadHandler

class Worker(ThreadHandler):
    begun = threading.Event()

    def threadCall(self):
        self.begun.set()
        threading.main_thread().join()
        print("ended", flush=True)

worker = Worker(sleep_ms=1, daemonize=False)
worker.threadRun()
worker.begun.wait()
"""
    assert spawn(script).finish(LIMIT) == (0, "ended\n", "")
