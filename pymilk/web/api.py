"""What can be asked for under ``/api``: streams, their frames, and the accounts of the views."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tempfile
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .._core import Stream
from ..inspection import stream_details
from ..parameters import FPS, list_fps
from ..shm import SHM
from ..streams.keywords import Keywords
from ..view.feed import Feed
from ..view.levels import fractions, real_values, zscale
from ..view.png import png_bytes
from .listing import Listing, plain
from .lists import LIST_SECONDS
from .operations import Operation, json_answer
from .viewer import Views

__all__ = ["Api"]

#: Looks in this time whether the server ends.
_LOOKS = 20

#: Of JSON.
_OBJECT = {"type": "object"}
_OBJECTS = {"type": "array", "items": _OBJECT}
_BYTES = {"type": "string", "format": "binary"}
_COUNT = {"type": "integer", "minimum": 0}
_ACCOUNTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "stream": {"type": "string"},
            **dict.fromkeys(("shown", "skipped", "lives", "nbytes"), _COUNT),
            "last": {"type": ["integer", "null"], "description": "cnt0 of the last frame painted"},
            "file": {"type": ["string", "null"], "description": "what tells its file from the next one"},
        },
    },
}


class Api:
    """What is answered to those who may look.

    Parameters
    ----------
    listing : Listing
    views : Views
    ending : callable
        Tells whether the server ends, and with it what goes on and on.
    """

    def __init__(self, listing: Listing, views: Views, ending: Callable[[], bool]) -> None:
        self._listing, self._views, self._ending = listing, views, ending

    def operations(self) -> list[Operation]:
        """Return all of them."""
        return [
            Operation("GET", "/streams", self.streams, schema=_OBJECTS),
            Operation("GET", "/events", self.events, "text/event-stream", {"type": "string"}),
            Operation("GET", "/views", self.views, schema=_ACCOUNTS),
            Operation("GET", "/streams/{name}", self.stream, schema=_OBJECT),
            Operation("GET", "/streams/{name}/keywords", self.keywords, schema=_OBJECT),
            Operation("GET", "/streams/{name}/frame.fits", self.fits, "application/fits", _BYTES),
            Operation("GET", "/streams/{name}/frame.npy", self.npy, "application/octet-stream", _BYTES),
            Operation("GET", "/streams/{name}/frame.png", self.png, "image/png", _BYTES),
            Operation("GET", "/fps", self.fps, schema={"type": "array", "items": {"type": "string"}}),
            Operation("GET", "/fps/{name}", self.parameters, schema=_OBJECT),
        ]

    async def streams(self, request: Request) -> Response:
        """List the streams, with rates and ages."""
        return json_answer(await self._listing.streams())

    async def views(self, request: Request) -> Response:
        """Tell what each view has painted, by what its page has said so far, and what not."""
        return json_answer(self._views.describe())

    async def events(self, request: Request) -> Response:
        """Send the list of streams again and again, as server-sent events."""
        if request.method == "HEAD":  # what goes on and on has no end to wait for
            return Response(media_type="text/event-stream")

        async def lists() -> AsyncIterator[str]:
            while not self._ending():
                yield f"data: {json.dumps(await self._listing.streams())}\n\n"
                for _ in range(_LOOKS):
                    if not self._ending():
                        await asyncio.sleep(LIST_SECONDS / _LOOKS)

        return StreamingResponse(lists(), media_type="text/event-stream")

    async def stream(self, request: Request) -> Response:
        """Tell all that is known of a stream: header, keywords, semaphores, processes."""

        def look(path: str) -> dict[str, Any]:
            with Stream.attach(path, writable=False, prefault=False) as stream:
                return stream_details(stream)

        path = self._listing.path(request.path_params["name"])
        return json_answer(plain(await asyncio.to_thread(look, path)))

    async def keywords(self, request: Request) -> Response:
        """Return the keywords of a stream: an object of names and values."""

        def look(path: str) -> dict[str, Any]:
            with Stream.attach(path, writable=False, prefault=False) as stream:
                return dict(Keywords(stream))

        path = self._listing.path(request.path_params["name"])
        return json_answer(plain(await asyncio.to_thread(look, path)))

    async def fps(self, request: Request) -> Response:
        """List the names of the FPS: parameters of processes."""
        names = await asyncio.to_thread(list_fps)
        return json_answer([name for name in names if self._listing.shows(name)])

    async def parameters(self, request: Request) -> Response:
        """Return the parameters of an FPS: an object of keys and values."""

        def look(name: str) -> dict[str, Any]:
            with FPS(name, writable=False) as fps:
                return fps.as_dict()

        name = self._listing.checked(request.path_params["name"])
        return json_answer(plain(await asyncio.to_thread(look, name)))

    async def npy(self, request: Request) -> Response:
        """Return the newest frame as an NPY file."""

        def content(path: str) -> bytes:
            file = io.BytesIO()
            with Stream.attach(path, writable=False) as stream:
                np.save(file, stream.read()[0], allow_pickle=False)
            return file.getvalue()

        return await self._file(request, content, "application/octet-stream", "npy")

    async def fits(self, request: Request) -> Response:
        """Return the newest frame as a FITS file, with the keywords of the stream in its header."""

        def content(path: str) -> bytes:
            with tempfile.TemporaryDirectory() as folder, SHM(path) as shm:
                shm.save_as_fits(f"{folder}/frame.fits")
                return Path(f"{folder}/frame.fits").read_bytes()

        return await self._file(request, content, "application/fits", "fits")

    async def png(self, request: Request) -> Response:
        """Return the newest frame as a picture: grey, from the smallest to the largest value."""
        return await self._file(request, lambda path: png_bytes(_picture(path)), "image/png", "png")

    async def _file(
        self, request: Request, content: Callable[[str], bytes], kind: str, suffix: str
    ) -> Response:
        name = request.path_params["name"]
        path = self._listing.path(name)
        headers = {"content-disposition": _as_file(f"{name}.{suffix}")}
        return Response(await asyncio.to_thread(content, path), media_type=kind, headers=headers)


def _as_file(name: str) -> str:
    """Return a header that has a file saved under a name, whatever letters that has."""
    plain_name = re.sub(r'[^ -~]|["%\\]', "_", name)
    exact = urllib.parse.quote(name, safe="", errors="surrogateescape")
    more = "" if plain_name == name else f"; filename*=UTF-8''{exact}"
    return f'attachment; filename="{plain_name}"{more}'


def _picture(path: str) -> Any:
    """Return the newest frame in grey, row 0 at the bottom; pixels that are not finite are black."""
    with Feed(path) as feed:
        frame = feed.take()
    image = real_values(np.atleast_2d(frame))
    grey = (np.nan_to_num(fractions(image, zscale(image)), nan=0.0) * 255).astype(np.uint8)
    return np.repeat(grey[::-1, :, None], 3, axis=2)
