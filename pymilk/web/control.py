"""Recordings that were started here, keywords, parameters: what is changed, only with ``control``."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .._core import Stream
from ..arguments import shown
from ..errors import StreamArgumentError, StreamNotFoundError
from ..parameters import FPS
from ..recording import Recorder
from ..streams.keywords import Keywords
from ..system.threads import do_all
from .listing import Listing, plain
from .operations import Operation, given_object, json_answer

__all__ = ["Control"]

_FILE = re.compile(r"[A-Za-z0-9_{}:-][A-Za-z0-9_.{}:-]{0,119}\.(npy|fits|h5|zarr)")

_OBJECT = {"type": "object"}
_VALUES = {"type": "object", "additionalProperties": {"type": ["number", "string", "boolean"]}}
_RECORDING: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "pattern": f"^{_FILE.pattern}$"},
        "frames": {"type": "integer", "minimum": 1},
        "seconds": {"type": "number", "exclusiveMinimum": 0},
    },
}


class Control:
    """Recordings, and what those who may do more than look can ask for.

    Parameters
    ----------
    listing : Listing
    folder : str
        Where recordings go; the page chooses names in it, nothing else.
    allowed : bool
        Whether anything may be changed.
    """

    def __init__(self, listing: Listing, folder: str, allowed: bool) -> None:
        self._listing, self._folder, self._allowed = listing, folder, allowed
        self._recorders: dict[str, Recorder] = {}
        self._lock = asyncio.Lock()

    def operations(self) -> list[Operation]:
        """Return those that are allowed."""
        looking = [Operation("GET", "/recorders", self.recorders, schema=_OBJECT)]
        if not self._allowed:
            return looking
        return [
            *looking,
            Operation("POST", "/streams/{name}/keywords", self.set_keywords, schema=_OBJECT, body=_VALUES),
            Operation("POST", "/fps/{name}", self.set_parameters, schema=_OBJECT, body=_VALUES),
            Operation("POST", "/streams/{name}/record", self.record, schema=_OBJECT, body=_RECORDING,
                      code=201),
            Operation("DELETE", "/streams/{name}/record", self.stop, schema=_OBJECT),
        ]

    def close(self) -> None:
        """End all recordings."""
        fault = do_all(*(recorder.stop for recorder in self._recorders.values()))
        self._recorders.clear()
        if fault is not None:
            raise fault

    async def set_keywords(self, request: Request) -> Response:
        """Set keywords of a stream: an object of names and values. All of them, or none if one is refused."""
        given = await given_object(request)

        def change(path: str) -> None:
            with Stream.attach(path) as stream:
                Keywords(stream).merge(given)

        await asyncio.to_thread(change, self._listing.path(request.path_params["name"]))
        return json_answer({})

    async def set_parameters(self, request: Request) -> Response:
        """Set parameters of an FPS: an object of keys and values. All of them, or none if one is refused."""
        given = await given_object(request)

        def change(name: str) -> None:
            with FPS(name, writable=True) as fps:
                fps.update(given)

        await asyncio.to_thread(change, self._listing.checked(request.path_params["name"]))
        return json_answer({})

    async def recorders(self, request: Request) -> Response:
        """Return the reports of all recordings that were started here: an object of streams and reports."""
        return json_answer({name: plain(each.report.to_dict()) for name, each in self._recorders.items()})

    async def record(self, request: Request) -> Response:
        """Start a recording: an object with ``file``, and perhaps ``frames`` or ``seconds``."""
        given = await given_object(request)
        unknown = sorted(set(given) - set(_RECORDING["properties"]))
        if unknown:
            raise StreamArgumentError(
                f"a recording has {', '.join(_RECORDING['properties'])}, "
                f"and no {shown(', '.join(unknown), 60)}",
                argument="body", found=unknown,
            )  # fmt: skip
        file = given.get("file")
        if not isinstance(file, str) or not _FILE.fullmatch(file):
            raise StreamArgumentError(
                "file is a name without a folder that ends in .npy, .fits, .h5 or .zarr",
                argument="file", found=file,
            )  # fmt: skip
        name = request.path_params["name"]
        path = self._listing.path(name)
        async with self._lock:  # two that ask at once
            running = self._recorders.get(name)
            if running is not None and running.running:
                raise StreamArgumentError(f"stream {name!r} is being recorded", argument="name", found=name)
            target = os.path.join(self._folder, file)
            recorder = Recorder(path, target, frames=given.get("frames"), seconds=given.get("seconds"))
            await asyncio.to_thread(recorder.start)
            self._recorders[name] = recorder
        return json_answer({}, 201)

    async def stop(self, request: Request) -> Response:
        """End a recording; returns its report."""
        name = request.path_params["name"]
        recorder = self._recorders.get(name)
        if recorder is None:
            raise StreamNotFoundError(f"stream {shown(name, 80)} is not recorded from here", stream=name[:80])
        await asyncio.to_thread(recorder.stop)
        return json_answer(plain(recorder.report.to_dict()))
