"""Waiting for any of several streams, rings and channels at once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._core import Bell, PrivateRing, Reader, Stream, checked_timeout, wait_for_any
from ..arguments import bad_argument, check_items
from ..errors import StreamTimeoutError
from ..streams.waiting import Awaited, CanBeAwaited, awaited

if TYPE_CHECKING:
    from ..channels import AudioStream, CommandQueue, MessageLog, SharedState, Table, Ticket, VideoStream
    from ..ring import RingReader
    from ..shm import SHM

    Channel = MessageLog | CommandQueue | Ticket | SharedState | Table | VideoStream | AudioStream

__all__ = ["wait_any"]


def wait_any(
    items: Sequence[SHM | Stream | RingReader | Channel], timeout: float | None = None
) -> list[int]:
    """Wait until at least one of several streams, rings or channels has something new.

    Parameters
    ----------
    items : sequence of SHM, Stream, RingReader, or channels that are read
        An `SHM` has a new frame if one was published since this object last read or waited; a `RingReader`
        if there are unread frames, a channel if there are unread messages, changes, rows or frames; a
        `CommandQueue` if there is a command that nobody has taken, a `Ticket` if there is a reply; a `Stream`
        if a frame is published during the call. Each only once.
    timeout : float or None, default None
        Seconds; None waits without limit, 0 only looks.

    Returns
    -------
    list of int
        Indices of those that have something new, in order; never empty.

    Raises
    ------
    StreamTimeoutError
        None of them had something new in time.
    StreamArgumentError
        No items, one of them twice, or something else than those.
    StreamClosedError, ChannelClosedError, StreamChangedError, ChannelRemovedError
        One of them was closed, recreated with another shape or dtype, or removed and read to its end.

    Notes
    -----
    The calling thread sleeps on all of them at once, without the GIL: no core is kept busy. That takes Linux
    5.16 or newer, and up to 128 items; beyond, and for streams without a free semaphore, it looks every 50
    us at first and every millisecond later. Ctrl-C ends it.
    """
    asked = "one or more streams or rings, each once"
    given = check_items("items", items, asked)
    if not given or len({id(item) for item in given}) < len(given):
        raise bad_argument("items", items, asked)
    limit = checked_timeout(timeout)
    deadline = None if limit is None else time.monotonic() + limit
    waiting = [_item(item) for item in given]
    known = [awaited(item) for item in waiting]
    ready = [index for index, (_, _, is_there) in enumerate(known) if is_there()]
    _look_only([(known[index][0], known[index][1]) for index in ready])
    first = True
    while not ready:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if left == 0 and not first:
            raise StreamTimeoutError(
                f"none of {len(given)} streams and channels had something new within {limit:g} s",
                timeout=limit if limit is not None else math.inf,
            )
        first = False
        for index in wait_for_any([(source, number) for source, number, _ in known], left):
            known[index] = awaited(waiting[index])
            if known[index][2]():
                ready.append(index)
    return ready


def _look_only(found: Sequence[tuple[Reader | PrivateRing | Bell, int]]) -> None:
    """Let the readers of streams that have something note it as a frame that was waited for.

    The next read is that of this frame then, and tells its number (pymilk/protocol/late.pxd).
    """
    readers = [known for known in found if isinstance(known[0], Reader)]
    if readers:
        wait_for_any(readers, 0)


def _item(item: Any) -> CanBeAwaited:
    """Return what can be asked what to wait for."""
    if isinstance(item, Stream):
        return _CountedStream(item)
    if isinstance(item, CanBeAwaited):
        return item
    raise bad_argument("items", item, "a list of SHM, Stream, RingReader and channel objects")


class _CountedStream:
    """A stream that has a new frame once its counter has moved since the call."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._number = stream.counter

    def _awaited(self) -> Awaited:
        return self._stream.free_reader(), self._number, lambda: self._stream.counter != self._number
