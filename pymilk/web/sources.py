"""Streams that are looked at: one reader for all views of a stream, which takes nothing from anybody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._types import Array
from ..names import SUFFIX, stream_directory
from ..times import now_ns
from ..view.feed import Feed

__all__ = ["Shown", "Source", "Sources", "path_of"]

#: Seconds between two looks at the counter while a view waits for a frame: usually, while the frame is due by
#: the rate of the stream, and how long it counts as due.
_LOOK_SECONDS = 0.004
_DUE_LOOK_SECONDS = 0.0005
_DUE_SECONDS = 0.003
#: Frames of this size and more are copied in another thread: the server goes on meanwhile.
_LARGE_NBYTES = 2_097_152


def pause_before(written: float, rate: float | None, now: float) -> float:
    """Return the seconds until a counter is looked at again.

    Parameters
    ----------
    written : float
        When the last frame was written.
    rate : float or None
        Frames a second, if known.
    now : float
        On the same clock as `written`.

    Returns
    -------
    float
        Frames that come evenly are looked for when they are due, without many looks before.
    """
    if not rate or rate < 0:
        return _LOOK_SECONDS
    left = written + 1 / rate - now
    if left < -_DUE_SECONDS:  # it is late, or frames do not come evenly
        return _LOOK_SECONDS
    return min(_LOOK_SECONDS, max(_DUE_LOOK_SECONDS, left))


def path_of(name: str) -> str:
    """Return the path of a stream by its name alone, which `Listing.checked` has seen."""
    return os.path.join(stream_directory(), name + SUFFIX)


@dataclass(frozen=True)
class Shown:
    """A frame that all views may have.

    Attributes
    ----------
    image : ndarray, one or two axes
        Not to be changed.
    counter : int
        Its ``cnt0``.
    file : int
        Another one for each file of the stream.
    said : dict
        ``name``, ``cnt0``, ``file`` and ``written_ns`` (both as text: they have more digits than numbers of a
        page), ``torn``, ``slice``, ``slices``, ``age``.
    """

    image: Array
    counter: int
    file: int
    said: dict[str, Any]


class Source:
    """The newest frame of a stream, for as many views as want it.

    The stream is attached read-only, without a semaphore and without a slot of its ring: neither its writer
    nor any reader notices. Its counter is looked at while somebody waits for a frame, and a frame is copied
    once for all.

    Parameters
    ----------
    path : str

    Raises
    ------
    StreamError
        As `pymilk.Stream.attach`.
    """

    def __init__(self, path: str) -> None:
        self._feed = Feed(path)
        self._lock = asyncio.Lock()
        self._kept: dict[int | None, Shown] = {}
        self._written = 0.0  # when the last frame was, by time.monotonic()
        self.users = 0

    def close(self) -> None:
        """Detach."""
        self._feed.close()

    def state(self) -> dict[str, Any]:
        """Return what is known of the stream between two frames."""
        feed = self._feed
        return {"rate": feed.rate, "trouble": feed.trouble, "counter": feed.counter}

    async def frame(
        self, after: tuple[int, int] | None, index: int | None, timeout: float, given_up: Callable[[], bool]
    ) -> Shown | None:
        """Return the newest frame, as soon as it is another one.

        Parameters
        ----------
        after : (counter, file) or None
            What was shown last. None: any frame will do.
        index : int or None
            Slice of a cube.
        timeout : float
            Seconds after which None is returned.
        given_up : callable
            Tells that something else is wanted meanwhile: None is returned, too.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            async with self._lock:
                shown = await self._newest(index)
            if shown is not None and (after is None or (shown.counter, shown.file) != after):
                return shown
            left = deadline - loop.time()
            if left <= 0 or given_up():
                return None
            await asyncio.sleep(min(pause_before(self._written, self._feed.rate, time.monotonic()), left))

    async def _newest(self, index: int | None) -> Shown | None:
        feed = self._feed
        news = feed.look()
        if news:
            self._kept.clear()
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        if feed.nbytes >= _LARGE_NBYTES:
            image = await _to_its_end(feed.take, index)
        else:
            image = feed.take(index)
        image.setflags(write=False)
        age = (now_ns() - feed.written_ns) / 1e9 if feed.written_ns else None
        self._written = time.monotonic() - (age if age is not None and 0 <= age < 1 else 0.0)
        said = {
            "name": feed.name,
            "cnt0": feed.counter,
            "file": str(feed.inode),
            "torn": feed.torn,
            "slice": feed.slice,
            "slices": feed.slices,
            "written_ns": str(feed.written_ns),
            "age": age,
        }
        shown = Shown(image, feed.counter, feed.inode, said)
        self._kept[index] = shown
        return shown


async def _to_its_end(take: Callable[[int | None], Array], index: int | None) -> Array:
    """Take a frame in another thread; also who is cancelled meanwhile waits until that does so no more.

    What takes it is for one thread at a time, and is closed when the last view has gone.
    """
    taking = asyncio.ensure_future(asyncio.to_thread(take, index))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        await asyncio.wait({taking})
        with contextlib.suppress(Exception):
            taking.result()  # nobody wants it, nor what went wrong with it
        raise


class Sources:
    """All sources in use, by name: each is open as long as a view has it.

    Parameters
    ----------
    place : callable
        Returns the path of a stream by its name.
    """

    def __init__(self, place: Callable[[str], str] = path_of) -> None:
        self._place = place
        self._open: dict[str, Source] = {}

    def take(self, name: str) -> Source:
        """Return the source of a stream; `give_back` it."""
        source = self._open.get(name)
        if source is None:
            source = self._open[name] = Source(self._place(name))
        source.users += 1
        return source

    def give_back(self, name: str, source: Source) -> None:
        """Close it if nobody else has it."""
        source.users -= 1
        if not source.users:
            if self._open.get(name) is source:
                del self._open[name]
            source.close()

    def close(self) -> None:
        """Close all."""
        for source in self._open.values():
            source.close()
        self._open.clear()
