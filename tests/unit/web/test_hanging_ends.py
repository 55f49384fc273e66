"""A server whose end hangs, as on a disk that does not answer: who waits for it can be interrupted."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

import uvicorn

from pymilk.web import Settings, WebServer
from support.told import Told, told


def test_an_interrupt_gets_through(shm_dir: object, monkeypatch: pytest.MonkeyPatch) -> None:
    serve, may_end = uvicorn.Server.serve, threading.Event()

    async def hang(server: uvicorn.Server, sockets: Any) -> None:
        await serve(server, sockets)
        while not may_end.is_set():
            await asyncio.sleep(0.01)

    def work() -> None:
        with server:
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    monkeypatch.setattr(uvicorn.Server, "serve", hang)
    server = WebServer(Settings(port=0))
    rescue = threading.Timer(10, may_end.set)
    rescue.start()
    try:
        with told(signal.SIGALRM), pytest.raises(Told):
            work()
        assert not may_end.is_set(), "the interrupt waited for the end"
        assert server.running
    finally:
        rescue.cancel()
        may_end.set()
    assert server.wait(10)
