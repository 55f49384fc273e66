"""The first message of a page, in which it shows its token; and the last one of the server: why it ends."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import MutableMapping
from typing import Any, Protocol

from starlette.websockets import WebSocketDisconnect

from .settings import Settings

__all__ = ["GONE", "REFUSED", "WRONG", "Socket", "end", "greeted", "hear"]

#: Codes with which a WebSocket is ended: a message that is none, and no token.
WRONG, REFUSED = 4400, 4401

#: What is raised when a page has gone: in hearing it, and in sending to it.
GONE = (WebSocketDisconnect, RuntimeError)


class Socket(Protocol):
    """How a page is heard, and hears: a WebSocket of starlette, or a channel of a notebook."""

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next message, as ASGI has it."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a frame."""

    async def send_text(self, data: str) -> None:
        """Send what is known between frames."""

    async def close(self, code: int, reason: str) -> None:
        """End, with a code and a sentence."""


async def hear(socket: Socket) -> dict[str, Any]:
    """Return the next message; ValueError if it is none."""
    try:
        message = await socket.receive()
    except RuntimeError:  # it was found out in sending that the page has gone
        raise WebSocketDisconnect(1006) from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    try:
        given = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        raise ValueError("a message is an object of JSON") from None
    if not isinstance(given, dict):
        raise ValueError("a message is an object of JSON")
    return given


async def greeted(socket: Socket, settings: Settings) -> dict[str, Any] | None:
    """Return the first message of a page that has the token; others are sent away, and None is returned."""
    try:
        given = await asyncio.wait_for(hear(socket), settings.opening)
    except asyncio.TimeoutError:
        await end(socket, REFUSED, "no token came in time")
        return None
    except ValueError as error:
        await end(socket, WRONG, str(error))
        return None
    token = str(given.get("token")).encode(errors="surrogatepass")
    if not hmac.compare_digest(token, settings.token.encode()):
        why = "the token is missing or wrong: open the page by the whole address printed"
        await end(socket, REFUSED, why)
        return None
    return given


async def end(socket: Socket, code: int, why: str) -> None:
    """End it, with a code and a sentence."""
    with contextlib.suppress(RuntimeError):  # it has gone
        await socket.close(code, why.encode()[:120].decode(errors="ignore"))
