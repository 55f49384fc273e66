"""Who is let in: names of the server, origins of pages, the token, and headers of every answer."""

from __future__ import annotations

import hmac
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .settings import Settings

__all__ = ["Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Scripts, styles and connections of this server alone; no page may hold this one in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]

#: Bytes of a request's body.
_BODY_NBYTES = 65536


class Guard:
    """Answer only those who asked for this server by its name, from its own page, with the token.

    The page itself has no secrets and is given to everybody who can connect; what is under ``/api`` is not. A
    view shows its token in its first message, because browsers send no headers of ours with it.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._names = settings.names()
        self._scheme = settings.scheme
        self._bearer = f"Bearer {settings.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge a request, and pass it on or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if raw := scope.get("raw_path"):
            # Names of streams may have bytes that are no text.
            path = urllib.parse.unquote(raw.decode("latin-1"), errors="surrogateescape")
            scope = {**scope, "path": path}
        code, why = self._judge(scope)
        if code == 200:
            await self._app(scope, _bounded(receive), _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4000 + code, "reason": why})
        else:
            await _refuse(_with_headers(send), code, why)

    def _judge(self, scope: Scope) -> tuple[int, str]:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"origin", b"authorization", b"content-length"):
                return 400, f"more than one {name.decode('latin-1')}"
            headers[name] = value
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _without_port(host) not in self._names:
            # Also of a foreign name that leads here: a page there could read what it gets.
            return 403, "this server is not known by that name; --name says further names of it"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"{self._scheme}://{host}":
            return 403, "only the page of this server itself may ask"
        if int(headers.get(b"content-length", b"0") or b"0") > _BODY_NBYTES:
            return 413, f"more than {_BODY_NBYTES} bytes"
        if scope["type"] == "http" and scope["path"].startswith("/api"):
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._bearer):
                return 401, "the token is missing or wrong: open the page by the whole address printed"
        return 200, ""


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() and not name.endswith(":") else host


def _bounded(receive: Receive) -> Receive:
    """Let no request bring more than the largest body, whatever its length said."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > _BODY_NBYTES:
                return {"type": "http.disconnect"}
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        await send(message)

    return sent


async def _refuse(send: Send, code: int, why: str) -> None:
    body = why.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
