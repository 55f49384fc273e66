"""The list of streams, sent again and again to each page.

By a WebSocket: of others, a browser keeps six to a server, and a page that is open longer than that many
others would not be loaded at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from .greeting import GONE, Socket, greeted, hear
from .listing import Listing
from .settings import Settings

__all__ = ["LIST_SECONDS", "Lists"]

#: Seconds between two lists that are sent by themselves.
LIST_SECONDS = 1.0


class Lists:
    """Pages that are told the list.

    Parameters
    ----------
    settings : Settings
    listing : Listing
    ending : callable
        Tells whether the server ends.
    """

    def __init__(self, settings: Settings, listing: Listing, ending: Callable[[], bool]) -> None:
        self._settings, self._listing, self._ending = settings, listing, ending

    async def serve(self, socket: WebSocket) -> None:
        """Answer a WebSocket."""
        await socket.accept()
        try:
            if await greeted(socket, self._settings) is None:
                return
            both = [asyncio.create_task(_until_gone(socket)), asyncio.create_task(self._send(socket))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                for found in await asyncio.gather(*both, return_exceptions=True):
                    if isinstance(found, Exception) and not isinstance(found, GONE):
                        raise found
        except WebSocketDisconnect:
            pass

    async def _send(self, socket: Socket) -> None:
        while not self._ending():
            await socket.send_text(json.dumps(await self._listing.streams()))
            await asyncio.sleep(LIST_SECONDS)


async def _until_gone(socket: Socket) -> None:
    """Hear a page that has nothing to say."""
    while True:
        try:
            await hear(socket)
        except ValueError:
            continue
