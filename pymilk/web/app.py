"""The application: the page, what it asks for, and the guard before both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

from ..system.threads import do_all
from .api import Api
from .control import Control
from .guard import Guard
from .listing import Listing
from .lists import Lists
from .operations import Operation, document, json_answer, routes_of
from .settings import Settings
from .sources import Sources
from .viewer import Views

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "static"


def make_app(settings: Settings, ending: Callable[[], bool], folder: str | None = None) -> Any:
    """Return the ASGI application of a server.

    Parameters
    ----------
    settings : Settings
    ending : callable
        Tells whether the server ends.
    folder : str, optional
        Where recordings go that are started from the page. Default: the working directory.
    """
    listing, sources = Listing(settings.patterns), Sources()
    views = Views(settings, sources, listing)
    control = Control(listing, folder or os.getcwd(), settings.control)

    async def about(request: Request) -> Response:
        """Tell what this server lets its users do."""
        return json_answer({"control": settings.control})

    async def openapi(request: Request) -> Response:
        """Describe all this, by OpenAPI."""
        return json_answer(document(operations))

    operations = [
        *Api(listing, views, ending).operations(),
        *control.operations(),
        Operation("GET", "/about", about, schema={"type": "object"}),
        Operation("GET", "/openapi.json", openapi, schema={"type": "object"}),
    ]

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            fault = do_all(control.close, sources.close)
            if fault is not None:
                raise fault

    app = Starlette(
        routes=[
            Mount("/api", routes=routes_of(operations)),
            WebSocketRoute("/view", views.serve),
            WebSocketRoute("/list", Lists(settings, listing, ending).serve),
            Mount("/", app=StaticFiles(directory=_PAGE, html=True)),
        ],
        lifespan=life,
    )
    return Guard(app, settings)
