"""A server of a process that has forked another one: the child has its socket, and must not keep the port."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from support.children import Child
from support.timed_calls import PRELUDE

SERVER = """
import socket
from pymilk.web import Settings, WebServer
server = WebServer(Settings(port=0)).start()
here, there = os.pipe(), os.pipe()
pid = os.fork()
if not pid:
    os.close(here[1])
    assert not server.running
    server.wait()
    os.write(there[1], b"x")
    os.read(here[0], 1)
    server.stop()
    os._exit(0)
os.close(here[0])
os.read(there[0], 1)
with socket.create_connection(("127.0.0.1", server.port), timeout=30):
    pass
server.stop()
try:
    socket.create_connection(("127.0.0.1", server.port), timeout=30).close()
    say("somebody takes connections, and answers none")
except ConnectionRefusedError:
    with WebServer(Settings(port=server.port)) as again:
        say("free", again.running)
os.close(here[1])
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def test_port_is_free_while_a_child_lives(spawn: Callable[..., Child]) -> None:
    child = spawn(PRELUDE + SERVER)
    child.expect("free True")
    assert child.finish() == (0, "", "")
