"""What changes something: keywords, parameters, recordings. Only with ``control``."""

from __future__ import annotations

import asyncio
import os
import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .._core import Stream
from ..errors import StreamArgumentError, StreamError, StreamNotFoundError
from ..recording import Recorder
from ..streams.keywords import Keywords
from .api import failed
from .listing import Listing, plain
from .sources import path_of

__all__ = ["Control"]

_FILE = re.compile(r"[A-Za-z0-9_.{}:-]{1,120}\.(npy|fits|h5|zarr)")


class Control:
    """What those who may do more than look can ask for.

    Parameters
    ----------
    listing : Listing
    folder : str
        Where recordings go; the page chooses names in it, nothing else.
    """

    def __init__(self, listing: Listing, folder: str) -> None:
        self._listing, self._folder = listing, folder
        self._recorders: dict[str, Recorder] = {}

    def routes(self) -> list[Route]:
        """Return the routes, below ``/api``."""
        return [
            Route("/streams/{name}/keywords", self.keywords, methods=["POST"]),
            Route("/recorders", self.recorders, methods=["GET"]),
            Route("/streams/{name}/record", self.record, methods=["POST"]),
            Route("/streams/{name}/record", self.stop, methods=["DELETE"]),
        ]

    def close(self) -> None:
        """End all recordings."""
        for recorder in self._recorders.values():
            recorder.stop()
        self._recorders.clear()

    async def keywords(self, request: Request) -> Response:
        """Set keywords of a stream: an object of names and values."""
        try:
            given = await request.json()
            if not isinstance(given, dict):
                raise StreamArgumentError(
                    "keywords are an object of names and values", argument="keywords", found=given
                )
            with Stream.attach(self._path(request)) as stream:
                keywords = Keywords(stream)
                for name, value in given.items():
                    keywords[name] = value
        except (StreamError, OSError, ValueError) as error:
            return failed(error)
        return JSONResponse({})

    async def recorders(self, request: Request) -> Response:
        """Return the reports of all recordings that were started here."""
        return JSONResponse({name: plain(each.report.to_dict()) for name, each in self._recorders.items()})

    async def record(self, request: Request) -> Response:
        """Start a recording: an object with ``file``, and perhaps ``frames`` or ``seconds``."""
        name = request.path_params["name"]
        try:
            given = await request.json()
            file = given.get("file") if isinstance(given, dict) else None
            if not isinstance(file, str) or not _FILE.fullmatch(file) or file.startswith("."):
                raise StreamArgumentError(
                    "file is a name without a folder that ends in .npy, .fits, .h5 or .zarr",
                    argument="file", found=file,
                )  # fmt: skip
            running = self._recorders.get(name)
            if running is not None and running.running:
                raise StreamArgumentError(f"stream {name!r} is being recorded", argument="name", found=name)
            recorder = Recorder(
                self._path(request), os.path.join(self._folder, file),
                frames=given.get("frames"), seconds=given.get("seconds"),
            )  # fmt: skip
            await asyncio.to_thread(recorder.start)
        except (StreamError, OSError, ValueError) as error:
            return failed(error)
        self._recorders[name] = recorder
        return JSONResponse({}, 201)

    async def stop(self, request: Request) -> Response:
        """End a recording; returns its report."""
        name = request.path_params["name"]
        recorder = self._recorders.get(name)
        if recorder is None:
            return failed(StreamNotFoundError(f"stream {name!r:.80} is not recorded from here", stream=name))
        try:
            await asyncio.to_thread(recorder.stop)
        except (StreamError, OSError) as error:
            return failed(error)
        return JSONResponse(plain(recorder.report.to_dict()))

    def _path(self, request: Request) -> str:
        name = request.path_params["name"]
        if not self._listing.shows(name):
            raise StreamNotFoundError(f"stream {name!r:.80} is not shown here", stream=name)
        return path_of(name)
