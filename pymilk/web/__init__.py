"""Streams in a browser: the server behind ``pymilk web`` and its page; and the same view in a notebook.

The server needs the extra ``web`` (starlette, uvicorn, websockets, Pillow), a notebook the extra ``notebook``
(anywidget as well). docs/web.md says what is sent and what is protected.
"""

from typing import TYPE_CHECKING, Any

from ..system.extras import optional_library

if TYPE_CHECKING:
    from .notebook import LiveView, live
    from .report import WebReport
    from .server import WebServer
    from .settings import Settings
    from .tokens import kept_token

_ROOMS = {
    "LiveView": "notebook", "Settings": "settings", "WebReport": "report", "WebServer": "server",
    "kept_token": "tokens", "live": "notebook",
}  # fmt: skip

__all__ = ["LiveView", "Settings", "WebReport", "WebServer", "kept_token", "live"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        found = getattr(optional_library(f"{__name__}.{_ROOMS[name]}", "web", "pages in a browser"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
