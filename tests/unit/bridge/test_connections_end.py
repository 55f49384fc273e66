"""The end of the thread that looks after connections: it waits for the engine, which must not outlive it."""

from __future__ import annotations

import threading
from typing import Any, cast

from pymilk.bridge import Links
from pymilk.bridge.connections import Connections
from pymilk.bridge.engine import Engine
from support.waiting import PATIENCE


class Slow:
    """An engine that answers when it is let."""

    failed = False

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.calls = self.answers = 0

    def neighbours(self) -> list[Any]:
        self.calls += 1
        self.asked.set()
        assert self.let.wait(PATIENCE)
        self.answers += 1
        return []


def test_the_end_waits_for_a_call_in_progress() -> None:
    engine = Slow()
    connections = Connections(Links(connect=("tcp/127.0.0.1:9",)), cast(Engine, engine)).watch()
    assert engine.asked.wait(PATIENCE)
    closer = threading.Thread(target=connections.close)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    assert engine.answers == 0
    engine.let.set()
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert engine.answers == engine.calls
    for thread in threading.enumerate():
        if thread.name == "pymilk-bridge-links":
            thread.join(PATIENCE)
    assert engine.answers == engine.calls == 1
