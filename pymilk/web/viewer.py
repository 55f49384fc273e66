"""One view: a WebSocket, and the credit that its page gives.

The page says ``ready`` when it has painted; then it gets the newest frame, and no other until it says so
again. A page that is slow, or stopped, so costs one frame of memory, and nobody else anything. docs/web.md
has the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import StreamError
from .account import Account
from .listing import Listing
from .regions import Region, cut_of, packed, pixels_of
from .settings import Settings
from .sources import Shown, Source, Sources

__all__ = ["View", "Views"]

#: Seconds between two messages while no frame comes.
_STATE_SECONDS = 0.5
#: Images of this size and more are cut and made smaller in another thread.
_LARGE_NBYTES = 2_097_152

#: Codes with which a view is ended.
_WRONG, _REFUSED, _MISSING, _FULL = 4400, 4401, 4404, 4429


class Socket(Protocol):
    """How a view hears its page, and is heard: a WebSocket of starlette, or a channel of a notebook."""

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next message, as ASGI has it."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a frame."""

    async def send_text(self, data: str) -> None:
        """Send what is known between frames."""

    async def close(self, code: int, reason: str) -> None:
        """End, with a code and a sentence."""


class View:
    """A page that looks at a stream.

    Attributes
    ----------
    name : str
        Of the stream; "" before it has asked for one.
    account : Account
    nbytes : int
        Sent so far.
    """

    def __init__(self, socket: Socket, settings: Settings, sources: Sources, listing: Listing) -> None:
        self.name = ""
        self._listing = listing
        self.account = Account()
        self.nbytes = 0
        self._socket, self._settings, self._sources = socket, settings, sources
        self._region = Region()
        self._asked = 0
        # A page shows the last frame sent, or the one before while the last is on its way.
        self._sent: deque[tuple[int, Shown]] = deque(maxlen=2)
        self._next_cut = 0.0
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Serve the page until it goes."""
        try:
            given = await asyncio.wait_for(self._hear(), self._settings.opening)
        except asyncio.TimeoutError:
            await self._end(_REFUSED, "no token came in time")
            return
        except ValueError as error:
            await self._end(_WRONG, str(error))
            return
        token = str(given.get("token")).encode(errors="surrogatepass")
        if not hmac.compare_digest(token, self._settings.token.encode()):
            await self._end(_REFUSED, "the token is missing or wrong")
            return
        name = given.get("stream")
        if not isinstance(name, str):
            await self._end(_WRONG, "stream is the name of one")
            return
        await self.serve(name)

    async def serve(self, name: str) -> None:
        """Send frames of a stream to a page that may look, until it goes."""
        try:
            source = self._sources.take(self._listing.checked(name))
        except (StreamError, OSError) as error:
            await self._end(_MISSING, str(error))
            return
        self.name = name
        sender = asyncio.create_task(self._send(source))
        try:
            await self._listen(sender)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._sources.give_back(name, source)

    async def _listen(self, sender: asyncio.Task[None]) -> None:
        """Take what the page says, as long as frames can be sent."""
        while not sender.done():
            hears = asyncio.create_task(self._hear())
            done, _ = await asyncio.wait({hears, sender}, return_when=asyncio.FIRST_COMPLETED)
            if hears not in done:
                hears.cancel()
                await asyncio.gather(hears, return_exceptions=True)
                break
            try:
                given = hears.result()
                if "view" in given:
                    region = Region.read(given["view"])
                    # Another region may have the same frame once more; the same one has to wait for the next.
                    self._asked += region != self._region
                    self._region = region
                if "cut" in given:
                    await self._cut(given["cut"])
                if given.get("ready"):
                    self._ready.set()
            except (ValueError, StreamError) as error:
                await self._end(_WRONG, str(error))
                return
        failed = sender.exception()
        if isinstance(failed, (StreamError, OSError)):
            await self._end(_MISSING, str(failed))
        elif failed is not None and not isinstance(failed, (WebSocketDisconnect, RuntimeError)):
            raise failed

    async def _send(self, source: Source) -> None:
        """Send a frame for each credit, and between frames what is known of the stream."""
        last: tuple[int, int] | None = None
        asked = -1
        loop = asyncio.get_running_loop()
        next_one = loop.time()
        while True:
            await self._ready.wait()
            region = self._region
            after = last if asked == self._asked else None
            shown = await source.frame(after, region.index, _STATE_SECONDS)
            if shown is None:
                await self._say({"kind": "state", **source.state(), **self._counted()})
                continue
            self._ready.clear()
            asked, last = self._asked, (shown.counter, shown.file)
            self.account.note(*last)
            await self._send_frame(shown, region, source)
            # Not faster than agreed, however fast the page is.
            next_one = max(next_one + 1 / self._settings.rate, loop.time())
            await asyncio.sleep(max(0.0, next_one - loop.time()))

    async def _send_frame(self, shown: Shown, region: Region, source: Source) -> None:
        if shown.image.nbytes >= _LARGE_NBYTES or region.jpeg:
            pixels, cut = await asyncio.to_thread(pixels_of, shown.image, region)
        else:
            pixels, cut = pixels_of(shown.image, region)
        number = self._sent[-1][0] + 1 if self._sent else 1
        self._sent.append((number, shown))
        content = packed(
            {"kind": "frame", "frame": number, **shown.said, **cut, **source.state(), **self._counted()},
            pixels,
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
        shown = dict(self._sent).get(frame)
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

    def _counted(self) -> dict[str, int]:
        account = self.account
        return {"shown": account.shown, "skipped": account.skipped, "lives": account.lives}

    async def _say(self, said: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(said))

    async def _hear(self) -> dict[str, Any]:
        """Return the next message; ValueError if it is none."""
        try:
            message = await self._socket.receive()
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

    async def _end(self, code: int, why: str) -> None:
        with contextlib.suppress(RuntimeError):  # it has gone
            await self._socket.close(code, why.encode()[:120].decode(errors="ignore"))


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
        if len(self._views) >= self._settings.viewers:
            await socket.close(_FULL, f"there are {self._settings.viewers} views already")
            return
        view = View(socket, self._settings, self._sources, self._listing)
        self._views.add(view)
        try:
            await view.run()
        except WebSocketDisconnect:
            pass
        finally:
            self._views.discard(view)

    def describe(self) -> list[dict[str, Any]]:
        """Return the account of each view."""
        return [
            {"stream": view.name, "shown": view.account.shown, "skipped": view.account.skipped,
             "lives": view.account.lives, "last": view.account.last, "nbytes": view.nbytes}
            for view in self._views if view.name
        ]  # fmt: skip
