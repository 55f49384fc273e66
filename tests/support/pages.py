"""A server of the page, and what a page says to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import struct
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pymilk.web import WebServer
from pymilk.web.credit import PROTOCOL

#: dtype of what is sent.
KINDS = {"uint8": "u1", "int8": "i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4"}


def get(
    server: WebServer, path: str, *, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Ask for a path as it is, with the token if none is given; returns code, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = {"authorization": f"Bearer {server.settings.token}", **headers}
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, content, given)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def views(server: WebServer) -> list[dict[str, Any]]:
    """Return the accounts of the views."""
    return list(json.loads(get(server, "/api/views")[1]))


class Page:
    """A page that looks at a stream, without a browser.

    Attributes
    ----------
    painted : dict or None
        The last frame, as a credit names it.
    """

    def __init__(self, server: WebServer, stream: str, **first: Any) -> None:
        self._open = contextlib.ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(f"ws://127.0.0.1:{server.port}/view", compression=None, max_size=None, open_timeout=10)
        )
        self.painted: dict[str, Any] | None = None
        with contextlib.suppress(ConnectionClosed):  # `ended` says why
            self.say({"token": server.settings.token, "stream": stream, "protocol": PROTOCOL, **first})

    def say(self, message: object) -> None:
        """Send an object, or text as it is."""
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def next(self, **view: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Give credit; returns header and pixels of the frame that comes."""
        header, content = self.raw(**view)
        pixels = np.frombuffer(content, KINDS.get(header["sent"], "<f4"))
        return header, pixels.reshape(header["size"])

    def raw(self, **view: Any) -> tuple[dict[str, Any], bytes]:
        """Give credit; returns header and content of the frame that comes."""
        self.credit(**view)
        while isinstance(content := self.socket.recv(10), str):
            pass
        (length,) = struct.unpack_from("<I", content)
        header = json.loads(content[4 : 4 + length])
        self.painted = {"cnt0": header["cnt0"], "file": header["file"]}
        return header, content[4 + length :]

    def credit(self, **view: Any) -> None:
        """Say that the last frame was painted, and ask for the next one."""
        self.say({"ready": self.painted, **({"view": view} if view else {})})

    def state(self) -> dict[str, Any]:
        """Give credit for the last frame; returns what is said until the next one comes."""
        self.credit()
        said = self.socket.recv(10)
        assert isinstance(said, str)
        return json.loads(said)

    def ended(self) -> int:
        """Wait until the server ends it; returns the code."""
        try:
            while True:
                self.socket.recv(10)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code
        finally:
            with contextlib.suppress(ConnectionClosed):
                self.close()

    def close(self) -> None:
        """Go."""
        self._open.close()
