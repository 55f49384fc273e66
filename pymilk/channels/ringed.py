"""Channels that are streams with a ring: what tables, video and audio have in common.

Whatever reads streams reads them too; what their frames mean is in keywords.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .._core import FRAME_ROW, Keyword, Reader, Stream, checked_timeout, frame_memory
from .._types import Array
from ..arguments import Replace, check_count
from ..axes import Orientation, Which3DState
from ..errors import (
    ChannelArgumentError,
    ChannelFormatError,
    ChannelReadOnlyError,
    ChannelRemovedError,
    ChannelTimeoutError,
    StreamBusyError,
    StreamTimeoutError,
)
from ..ring import RingReader
from ..streams.waiting import Awaited
from .base import Channel, check_start

__all__ = ["RingChannel", "create_stream", "open_stream"]

_T = TypeVar("_T")

#: Keywords of others that a new stream has room for.
_ROOM = 50

#: A wait looks this often whether the file is still there, in seconds.
_LOOK_SECONDS = 0.5


def create_stream(
    name: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: Any,
    depth: int,
    keywords: list[Keyword],
    *,
    replace: Replace,
    mode: int | None,
) -> Stream:
    """Make a stream with a ring of `depth` frames that can all be read, and be its only writer."""
    return Stream.create(
        name, shape, dtype, nbkw=min(65535, len(keywords) + _ROOM), cb_size=depth + 1, mode=mode,
        exclusive=True, replace=replace, keywords=keywords,
    )  # fmt: skip


def open_stream(
    name: str | os.PathLike[str], write: bool, read: Callable[[Stream], _T]
) -> tuple[Stream, _T]:
    """Attach a stream; returns it, and what `read` found in its keywords.

    Raises
    ------
    ChannelFormatError
        From `read`: the stream is no channel of that kind.
    """
    stream = Stream.attach(name, exclusive=True) if write else attach_to_read(name)
    try:
        return stream, read(stream)
    except BaseException:
        stream.close()
        raise


def attach_to_read(name: str | os.PathLike[str]) -> Stream:
    """Attach a stream, for its semaphores writable where this user may write."""
    try:
        return Stream.attach(name)
    except PermissionError:
        return Stream.attach(name, writable=False)


class RingChannel(Channel):
    """A stream with a ring, and what its frames mean.

    Parameters
    ----------
    stream : Stream
        Closed by `close`.
    writing : bool
    start : {"next", "oldest"}
        Where reading begins.

    Attributes
    ----------
    name, path : str
    stream : Stream
        Itself: for keywords, counters and times.
    writing : bool
    """

    #: What messages call it.
    _what = "channel"

    def __init__(self, stream: Stream, writing: bool, start: str = "next") -> None:
        self.stream, self.writing = stream, writing
        self.name, self.path = stream.name, stream.path
        self._ring: RingReader | None = None
        self._followed = stream
        self._watch: tuple[Stream, Reader] | None = None
        if not writing:
            self._ring = self._new_ring(start)

    def _new_ring(self, start: str) -> RingReader:
        shape = self.stream.frame_shape
        orientation = Orientation(shape, tri_dim=Which3DState.LAST2FRONT) if len(shape) == 3 else None
        try:
            return RingReader(self.stream, start=start, orientation=orientation)
        except BaseException:
            self.stream.close()
            raise

    def _check_frames(self, stream: Stream) -> None:
        """Raise `ChannelFormatError` if the frames of a new file mean something else."""
        raise NotImplementedError

    @staticmethod
    def _start(start: str) -> str:
        check_start(start)
        return "next" if start == "now" else start

    @property
    def reader(self) -> RingReader:
        """The ring reader: its place, `report`, views in place. A writer has one from its first use."""
        if self._ring is None:
            self._ring = self._new_ring("next")
        return self._ring

    @property
    def count(self) -> int:
        """Frames that were written."""
        return self.reader.stream.counter if self._ring is not None else self.stream.counter

    @property
    def capacity(self) -> int:
        """Frames that can be read behind the newest one."""
        return self.stream.cb_size - 1

    @property
    def unread(self) -> int:
        """Frames that are there and were not read by this object."""
        return self.reader.lag

    @property
    def lost(self) -> int:
        """Frames that this reader missed, as found so far."""
        return self.reader.lost

    def wait(self, timeout: float | None = None) -> None:
        """Wait for a frame that was not read yet, without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Raises
        ------
        ChannelTimeoutError
        ChannelRemovedError
            All was read, and the file is gone. A file that takes its place is followed.
        StreamClosedError, StreamDamagedError, StreamChangedError
        """
        limit = checked_timeout(timeout, self.name)
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            left = _LOOK_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                self.reader.wait(min(left, _LOOK_SECONDS))
                return
            except StreamTimeoutError:
                self._tell()
                if not os.path.exists(self.path):
                    raise ChannelRemovedError(
                        f"{self._what} {self.name!r} was removed: {self.path} is gone; attach it again once "
                        "it is made anew", channel=self.name, path=self.path,
                    ) from None  # fmt: skip
                if deadline is not None and time.monotonic() >= deadline:
                    raise ChannelTimeoutError(
                        f"{self._what} {self.name!r}: nothing new within {limit:g} s",
                        channel=self.name, path=self.path, timeout=limit,
                    ) from None  # fmt: skip

    def _take(self, limit: int | None) -> tuple[Array, Array]:
        """Copy the unread frames, at most `limit`; returns them and their rows. Waits for nothing."""
        try:
            return self._copy(limit)
        finally:
            self._tell()

    def _copy(self, limit: int | None) -> tuple[Array, Array]:
        ring = self.reader
        wanted = ring.lag
        if limit is not None:
            wanted = min(wanted, check_count("limit", limit, stream=self.name))
        if wanted == 0:
            ring.peek(1)  # raises if the file was cut
            return np.empty((0, *ring.shape), ring.dtype), np.empty(0, FRAME_ROW)
        try:
            capture = ring.read(wanted, frame_memory((wanted, *ring.shape), ring.dtype), timeout=0.0)
        except StreamTimeoutError as error:  # some were overwritten meanwhile
            capture = error.capture
        self._check_followed()
        if capture is None:
            return np.empty((0, *ring.shape), ring.dtype), np.empty(0, FRAME_ROW)
        return capture.frames, capture.info

    def _leave_unread(self, error: BaseException, undo: Callable[[], None]) -> None:
        """Make frames unread again that were taken and are not handed over, since this exception came."""
        if isinstance(error, StreamBusyError):
            return  # another thread has what was read
        undo()
        vars(error).pop("capture", None)  # it would have them, too
        self._tell()

    def _check_followed(self) -> None:
        """Raise `ChannelFormatError` if what was read last is of a new file with another content."""
        stream = self.reader.stream
        if stream is not self._followed:
            self._check_frames(stream)
            self._followed = stream

    def _newest(self, count: int) -> tuple[Array, Array]:
        """Copy the newest frames of the ring, read or not; returns them and their rows, the oldest first."""
        capture = self.reader.dump(frames=check_count("n", count, least=0, stream=self.name))
        return capture.frames, capture.info

    def _check_writing(self) -> None:
        if not self.writing:
            raise ChannelReadOnlyError(
                f"{self._what} {self.name!r} is attached for reading; attach it with write=True",
                channel=self.name, path=self.path,
            )  # fmt: skip

    def _mismatch(self, argument: str, found: Any, wanted: str) -> ChannelArgumentError:
        return ChannelArgumentError(
            f"{self._what} {self.name!r}: {argument} is {wanted}, not {found}",
            channel=self.name, path=self.path, argument=argument, found=found,
        )  # fmt: skip

    def _other_file(self, field: str, expected: Any, found: Any) -> ChannelFormatError:
        return ChannelFormatError(
            f"{self._what} {self.name!r} was made anew with {field} {found}, and attached with {expected}; "
            "attach it again",
            channel=self.name, path=self.path, field=field, expected=expected, found=found,
        )  # fmt: skip

    def _awaited(self) -> Awaited:
        """Return what `pymilk.wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        return self.reader._awaited()

    def _watched(self) -> Awaited:
        """Return the same with a stream reader of its own: another thread waits while this object reads."""
        source, known, is_there = self._awaited()
        stream = self.reader.stream
        if isinstance(source, Reader):
            if self._watch is None or self._watch[0] is not stream:
                self._unwatch()
                self._watch = stream, stream.reader()
            source = self._watch[1]
        return source, known, is_there

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch[1].close()
            self._watch = None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self.stream.closed

    def remove(self) -> None:
        """Delete the file, and close. Readers get what is left in it, then a `ChannelRemovedError`."""
        if self._ring is not None:
            self._ring.close()
        self.stream.destroy()
        self.close()

    def close(self) -> None:
        """Let go of the file. It stays, and another object may write it."""
        self._close_descriptor()
        self._unwatch()
        if self._ring is not None:
            self._ring.close()
        self.stream.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "writing" if self.writing else "reading"
        return f"<{type(self).__name__} {self.name!r} {state}>"
