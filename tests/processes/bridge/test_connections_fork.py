"""The looking after connections in a child: its thread stayed with the parent, perhaps within the engine."""

from __future__ import annotations

FORKED = """
import os, signal, threading
from pymilk.bridge import Links
from pymilk.bridge.connections import Connections
from support.waiting import PATIENCE

asked, let = threading.Event(), threading.Event()

class Slow:
    def neighbours(self):
        asked.set()
        let.wait(PATIENCE)
        return []

connections = Connections(Links(connect=("tcp/127.0.0.1:9",)), Slow()).watch()
assert asked.wait(PATIENCE)
if (child := os.fork()) == 0:
    signal.alarm(20)  # ends it where it waits for a thread that is not there
    connections.close()
    os._exit(7 if any(connections.told().values()) else 0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
let.set()
connections.close()
"""


def test_the_end_in_a_child_waits_for_no_thread_of_the_parent(spawn) -> None:
    child = spawn(FORKED)
    child.expect("0")
    assert child.finish()[0] == 0
