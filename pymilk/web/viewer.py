"""One view: a WebSocket, and the credit that its page gives.

The page says ``ready``, and which frame it painted last; then it gets the newest one, and no other until it
says so again. A page that is slow, or stopped, so costs two frames of memory, and nobody else anything.
docs/web.md has the messages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import StreamArgumentError, StreamError
from .account import Account
from .credit import PROTOCOL, Credit
from .greeting import GONE, WRONG, Socket, end, greeted, hear
from .listing import Listing
from .regions import Region, cut_of, packed, pixels_of
from .settings import Settings
from .sources import Shown, Source, Sources

__all__ = ["View", "Views"]

#: Seconds between two messages while no frame comes.
_STATE_SECONDS = 0.5
#: Images of this size and more are cut and made smaller in another thread.
_LARGE_NBYTES = 2_097_152

#: Further codes with which a view is ended.
_MISSING, _FULL = 4404, 4429


class View:
    """A page that looks at a stream.

    Attributes
    ----------
    name : str
        Of the stream; "" before it has asked for one.
    credit : Credit
        Frames on their way, and the account of those that the page has painted.
    nbytes : int
        Sent so far.
    """

    def __init__(self, socket: Socket, settings: Settings, sources: Sources, listing: Listing) -> None:
        self.name = ""
        self._listing = listing
        self.credit = Credit()
        self.nbytes = 0
        self._socket, self._settings, self._sources = socket, settings, sources
        self._region = Region()
        self._asked = 0
        self._next_cut = 0.0
        self._ready = asyncio.Event()

    async def run(self, enter: Callable[[View], str] = lambda view: "") -> None:
        """Serve the page until it goes.

        Parameters
        ----------
        enter : callable
            Called once the page has shown the token: tells why there is no place for it, or "".
        """
        given = await greeted(self._socket, self._settings)
        if given is None:
            return
        if full := enter(self):
            await self._end(_FULL, full)
            return
        try:
            name = self._greeted(given)
        except StreamError as error:
            await self._end(WRONG, str(error))
            return
        await self.serve(name)

    def _greeted(self, given: dict[str, Any]) -> str:
        """Check the rest of the first message; returns the name of the stream."""
        if given.get("protocol") != PROTOCOL:
            raise StreamArgumentError(
                f"this server has version {PROTOCOL} of the protocol, the page another one: load it again",
                argument="protocol", found=given.get("protocol"),
            )  # fmt: skip
        name = given.get("stream")
        if not isinstance(name, str):
            raise StreamArgumentError("stream is the name of one", argument="stream", found=name)
        if given.get("account") is not None:
            self.credit = Credit(Account.read(given["account"]))
        return name

    async def serve(self, name: str) -> None:
        """Send frames of a stream to a page that may look, until it goes."""
        try:
            source = self._sources.take(self._listing.checked(name))
        except (StreamError, OSError) as error:
            await self._end(_MISSING, str(error))
            return
        self.name = name
        both = [asyncio.create_task(self._listen()), asyncio.create_task(self._send(source))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            listened, sent = await asyncio.gather(*both, return_exceptions=True)
            self._sources.give_back(name, source)
        await self._tell_end(listened, sent)

    def describe(self) -> dict[str, Any]:
        """Return the stream, the account of what was painted, the last of it, and the bytes sent."""
        account = self.credit.account
        counter, file = account.last or (None, None)
        return {"stream": self.name, **account.counts(), "last": counter,
                "file": None if file is None else str(file), "nbytes": self.nbytes}  # fmt: skip

    async def _tell_end(self, listened: object, sent: object) -> None:
        """Say what went wrong to a page that is still there."""
        if isinstance(sent, (StreamError, OSError)):
            await self._end(_MISSING, str(sent))
        elif isinstance(listened, (ValueError, StreamError)):
            await self._end(WRONG, str(listened))
        else:
            for error in (sent, listened):
                if isinstance(error, Exception) and not isinstance(error, GONE):
                    raise error

    async def _listen(self) -> None:
        """Take what the page says, as long as it is sound."""
        while True:
            given = await hear(self._socket)
            if "view" in given:
                region = Region.read(given["view"])
                # Another region may have the same frame once more; the same one has to wait for the next.
                self._asked += region != self._region
                self._region = region
            if "cut" in given:
                await self._cut(given["cut"])
            if "ready" in given and self.credit.take(given["ready"]):
                self._ready.set()

    async def _send(self, source: Source) -> None:
        """Send a frame for each credit, and between frames what is known of the stream."""
        last: tuple[int, int] | None = None
        sent_for = -1
        loop = asyncio.get_running_loop()
        next_one = loop.time()
        while True:
            await self._ready.wait()
            region, asked = self._region, self._asked
            after = last if asked == sent_for else None
            shown = await source.frame(after, region.index, _STATE_SECONDS, partial(self._asked_since, asked))
            if shown is None:
                if not self._asked_since(asked):
                    await self._say({"kind": "state", **source.state(), **self.credit.account.counts()})
                continue
            self._ready.clear()
            sent_for, last = asked, (shown.counter, shown.file)
            await self._send_frame(self.credit.send(shown), shown, region, source)
            # Not faster than agreed, however fast the page is.
            next_one = max(next_one + 1 / self._settings.rate, loop.time())
            await asyncio.sleep(max(0.0, next_one - loop.time()))

    def _asked_since(self, asked: int) -> bool:
        return asked != self._asked

    async def _send_frame(self, number: int, shown: Shown, region: Region, source: Source) -> None:
        if shown.image.nbytes >= _LARGE_NBYTES or region.jpeg:
            pixels, cut = await asyncio.to_thread(pixels_of, shown.image, region)
        else:
            pixels, cut = pixels_of(shown.image, region)
        counts = self.credit.account.counts()
        content = packed(
            {"kind": "frame", "frame": number, **shown.said, **cut, **source.state(), **counts}, pixels
        )
        self.nbytes += len(content)
        await self._socket.send_bytes(content)

    async def _cut(self, given: object) -> None:
        """Send pixels of a frame that was sent, as the stream holds them."""
        region = Region.read(given)
        assert isinstance(given, dict)
        answer = {"kind": "cut", "id": given.get("id")}
        frame = given.get("frame")
        if type(answer["id"]) is not int or type(frame) is not int:
            raise ValueError("id and frame of a cut are numbers")
        shown = self.credit.sent(frame)
        if shown is None:
            await self._say({**answer, "gone": True})
            return
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._next_cut - loop.time()))
        self._next_cut = loop.time() + 1 / self._settings.rate
        pixels, cut = await asyncio.to_thread(cut_of, shown.image, region)
        content = packed({**answer, **shown.said, **cut}, pixels)
        self.nbytes += len(content)
        await self._socket.send_bytes(content)

    async def _say(self, said: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(said))

    async def _end(self, code: int, why: str) -> None:
        await end(self._socket, code, why)


class Views:
    """All views of a server.

    Parameters
    ----------
    settings : Settings
    sources : Sources
    listing : Listing
        Says which streams may be looked at.
    """

    def __init__(self, settings: Settings, sources: Sources, listing: Listing) -> None:
        self._settings, self._sources, self._listing = settings, sources, listing
        self._views: set[View] = set()

    async def serve(self, socket: WebSocket) -> None:
        """Answer a WebSocket."""
        await socket.accept()
        view = View(socket, self._settings, self._sources, self._listing)
        try:
            await view.run(self._enter)
        except WebSocketDisconnect:
            pass
        finally:
            self._views.discard(view)

    def _enter(self, view: View) -> str:
        """Let a view in that has shown the token: those who have none take nobody's place."""
        if len(self._views) >= self._settings.viewers:
            return f"there are {self._settings.viewers} views already"
        self._views.add(view)
        return ""

    def describe(self) -> list[dict[str, Any]]:
        """Return the account of each view."""
        return [view.describe() for view in self._views if view.name]
