"""The list of streams by a WebSocket: to those with the token, again and again, whatever they say."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.pages import get


@pytest.fixture
def server(shm_dir: Any) -> Iterator[WebServer]:
    with SHM("cam", np.zeros((2, 3), "u2")), WebServer(Settings(port=0, patterns=("c*",))) as made:
        yield made


@contextlib.contextmanager
def opened(server: WebServer, token: str | None, **options: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{server.port}/list", open_timeout=10, **options) as socket:
        if token is not None:
            socket.send(json.dumps({"token": token}))
        yield socket


def test_lists_come_again_and_again(server: WebServer) -> None:
    with SHM("other", np.zeros(3, "u1")), opened(server, server.settings.token) as socket:
        first = json.loads(socket.recv(30))
        assert [each["name"] for each in first] == ["cam"]
        assert {"shape", "dtype", "rate", "age", "writer_alive"} <= set(first[0])
        socket.send("what is none")
        socket.send(b"\x00")
        assert [each["name"] for each in json.loads(socket.recv(30))] == ["cam"]
    assert get(server, "/api/views")[1] == b"[]"  # it is no view


@pytest.mark.parametrize("token", ["", "0" * 32, None])
def test_nobody_else_gets_one(server: WebServer, token: str | None) -> None:
    if token is None:  # nothing is said
        object.__setattr__(server.settings, "opening", 0.1)
    with opened(server, token) as socket, pytest.raises(ConnectionClosed) as caught:
        socket.recv(30)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401


def test_foreign_pages_get_none(server: WebServer) -> None:
    token = server.settings.token
    with pytest.raises(InvalidStatus), opened(server, token, origin="http://evil.example") as socket:
        socket.recv(30)


def test_the_end_of_the_server_ends_it(server: WebServer) -> None:
    with opened(server, server.settings.token) as socket:
        socket.recv(30)
        server.stop()
        with pytest.raises(ConnectionClosed):
            assert [socket.recv(30) for _ in range(9)] == []  # one may have been on its way
