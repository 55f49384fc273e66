"""A source of frames, and who waits for the next one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")

from pymilk import SHM
from pymilk.web import sources
from pymilk.web.sources import Source, Sources, path_of


def test_who_wants_something_else_does_not_wait_for_the_next_frame(shm_dir: Any) -> None:
    async def look() -> None:
        source = Source(path_of("cam"))
        shown = await source.frame(None, None, 0.0, lambda: False)
        assert shown is not None
        last = (shown.counter, shown.file)
        assert await asyncio.wait_for(source.frame(last, None, 1e6, lambda: True), 30) is None
        assert shown.said["file"] == str(shown.file)
        source.close()

    with SHM("cam", np.zeros((2, 2), "u1")):
        asyncio.run(look())


def test_a_view_that_goes_while_its_frame_is_taken(shm_dir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that takes it has the stream for itself until it is done: nobody else takes, or closes."""
    monkeypatch.setattr(sources, "_LARGE_NBYTES", 0)
    begun, go = threading.Event(), threading.Event()
    said: list[str] = []

    async def look() -> None:
        all_of_them = Sources()
        source = all_of_them.take("cam")
        feed = source._feed
        take, close = feed.take, feed.close

        def slowly(index: int | None = None) -> Any:
            said.append("begins")
            begun.set()
            assert go.wait(30)
            said.append("ends")
            return take(index)

        monkeypatch.setattr(feed, "take", slowly)
        monkeypatch.setattr(feed, "close", lambda: (said.append("closes"), close()))

        async def view() -> None:
            try:
                await source.frame(None, None, 10.0, lambda: False)
            finally:
                all_of_them.give_back("cam", source)

        gone = asyncio.create_task(view())
        await asyncio.to_thread(begun.wait, 30)
        gone.cancel()
        other = asyncio.create_task(source.frame(None, None, 10.0, lambda: False))
        await asyncio.sleep(0.05)
        assert said == ["begins"]
        other.cancel()
        go.set()
        for each in (gone, other):
            with contextlib.suppress(asyncio.CancelledError):
                await each
        assert said == ["begins", "ends", "closes"]

    with SHM("cam", np.zeros((2, 2), "u1")):
        asyncio.run(look())
