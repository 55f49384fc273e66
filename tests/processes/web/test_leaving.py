"""Pages that go in the middle, or say what is no text: nothing is logged, and the others are served."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk import SHM
from pymilk.web import Settings, WebServer
from pymilk.web.credit import PROTOCOL
from support.pages import Page


class RawPage:
    """A page by bytes: it can end as a process that is killed, with what it was sent and did not read."""

    def __init__(self, server: WebServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        lines = ["GET /view HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==", "", ""]  # fmt: skip
        self._socket.sendall("\r\n".join(lines).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._socket.recv(1)
        self.say({"token": server.settings.token, "stream": "cam", "protocol": PROTOCOL})

    def say(self, message: object) -> None:
        content = json.dumps(message).encode()  # below 126 bytes, and with a mask of zeros
        self._socket.sendall(bytes([0x81, 0x80 | len(content), 0, 0, 0, 0]) + content)

    def read(self, count: int) -> None:
        while count > 0:
            content = self._socket.recv(count)
            assert content, "the server has ended the view"
            count -= len(content)

    def cut(self) -> None:
        self._socket.close()


def test_pages_that_go_while_frames_are_sent(shm_dir: Any, caplog: pytest.LogCaptureFixture) -> None:
    with SHM("cam", np.zeros((700, 700), "u2")) as cam, WebServer(Settings(port=0)) as server:
        for turn in range(8):
            page = RawPage(server)
            page.say({"ready": None})
            page.read(100_000)
            page.say({"ready": None})
            cam.set_data(np.full((700, 700), turn, "u2"))
            page.cut()
        page = Page(server, "cam")
        page.next()
        page.close()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("first", [True, False])
def test_a_message_of_bytes(shm_dir: Any, caplog: pytest.LogCaptureFixture, first: bool) -> None:
    with SHM("cam", np.zeros((4, 4), "u2")), WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        if not first:
            page.next()
        page.socket.send(b"\x00\x01\xff")
        assert page.ended() == 4400
    assert caplog.records == []
