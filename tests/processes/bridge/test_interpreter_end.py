"""The end of an interpreter whose connections are being looked after at that moment."""

from __future__ import annotations

import pytest

pytest.importorskip("zenoh", reason="extra net")

from support.engine import without_engine

ASKING = """
import threading, time
from pymilk.bridge import Links
from pymilk.bridge.connections import Connections
from pymilk.bridge.zenoh import open_engine
from pymilk.system.ending import close_at_exit
from support.waiting import PATIENCE

engine, asked = open_engine(Links(), 1000), threading.Event()

class Slow:
    def neighbours(self):
        asked.set()
        engine.ask("pymilk/nobody", 0.5)
        return []

class Last:
    def __del__(self, sleep=time.sleep):
        sleep(1)  # while the interpreter ends: until after the answer

connections, last = Connections(Links(connect=("tcp/127.0.0.1:9",)), Slow()).watch(), Last()
close_at_exit(connections)
assert asked.wait(PATIENCE)
"""


def test_no_thread_is_left_in_the_engine(spawn):
    """One that came back from it after the end of the interpreter would abort the process."""
    code, out, err = spawn(ASKING).finish()
    assert (code, out, without_engine(err)) == (0, "", "")
