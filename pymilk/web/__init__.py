"""Streams in a browser: the server behind ``pymilk web``, and its page.

Needs the extra ``web`` (starlette, uvicorn, websockets). docs/web.md says what is sent and what is protected.
"""

from __future__ import annotations

from .server import WebServer
from .settings import Settings

__all__ = ["Settings", "WebServer"]
