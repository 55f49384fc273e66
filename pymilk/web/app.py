"""The application: the page, what it asks for, and the guard before both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from .api import Api
from .control import Control
from .guard import Guard
from .listing import Listing
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
    routes = Api(listing, views, ending).routes()
    control = Control(listing, folder or os.getcwd()) if settings.control else None
    if control is not None:
        routes += control.routes()

    async def about(request: Request) -> Response:
        """Tell what this server lets its users do."""
        return JSONResponse({"control": settings.control})

    routes += [Route("/about", about, methods=["GET"])]

    async def openapi(request: Request) -> Response:
        """Describe all this."""
        return JSONResponse(_described(routes))

    routes += [Route("/openapi.json", openapi, methods=["GET"])]

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        if control is not None:
            control.close()
        sources.close()

    app = Starlette(
        routes=[
            Mount("/api", routes=routes),
            WebSocketRoute("/view", views.serve),
            Mount("/", app=StaticFiles(directory=_PAGE, html=True)),
        ],
        lifespan=life,
    )
    return Guard(app, settings)


def _described(routes: list[Route]) -> dict[str, Any]:
    """Return the description of the routes by OpenAPI, from their docstrings."""
    paths: dict[str, Any] = {}
    for route in routes:
        entry = paths.setdefault(f"/api{route.path}", {})
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.param_convertors
        ]
        for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
            text = (route.endpoint.__doc__ or "").strip().splitlines()
            entry[method.lower()] = {
                "summary": text[0] if text else "",
                "parameters": parameters,
                "responses": {"200": {"description": "done"}, "401": {"description": "no token"}},
                "security": [{"token": []}],
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "pymilk web", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }
