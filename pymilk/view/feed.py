"""The newest frame of a stream, whenever somebody has time for it; through deletions and new files."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from .._core import FLAG_TORN, Stream
from .._types import Array
from ..errors import StreamArgumentError, StreamDamagedError, StreamError
from ..inspection import describe_stream
from ..streams.waiting import Follower

__all__ = ["Feed"]

#: Seconds that the rate is measured over, between two looks at the writer, that a new file is spoken of.
_RATE_SECONDS = 2.0
_WRITER_SECONDS = 0.5
_NEWS_SECONDS = 5.0

#: Copies of a slice that are tried before one is taken that the writer may have been in.
_TRIES = 3


class Feed:
    """Take the newest frame of a stream now and then.

    Parameters
    ----------
    name : str or PathLike
        Of a stream, or the path of its file.

    Attributes
    ----------
    name, path : str
    shape : tuple of int
        Of the stream, slowest axis first.
    dtype : dtype
    counter : int
        Of the frame that was taken last; 0 before the first.
    written_ns : int
        When it was written, by CLOCK_TAI, as far as the writer says so; 0 if not.
    torn : bool
        It may hold pixels of two frames.
    lost : int
        Frames that were published between those that were taken: differences of the counter. What came while
        there was no file is not counted.
    slices : int
        Images in a cube or a temporal ring; 0 if each frame is one image, or one row.
    slice : int or None
        The one that was taken last.

    Raises
    ------
    StreamError
        As `pymilk.Stream.attach`; StreamError as well where the pixels are on a GPU.

    Notes
    -----
    The stream is attached read-only and no semaphore is taken: the writer does not notice. One object is
    for one thread.
    """

    def __init__(self, name: Any) -> None:
        self.lost = self.counter = self.written_ns = 0
        self.torn = False
        self.slice: int | None = None
        self._news: tuple[float, str] | None = None
        self._missing = self._writer = ""
        self._next_writer = 0.0
        self._looks: deque[tuple[float, int]] = deque()
        self._taken = False
        stream = Stream.attach(name, writable=False)
        try:
            self._adopt(stream)
        except StreamError:
            stream.close()
            raise
        self._source = Follower(stream, owned=True, any_frames=True)

    def _adopt(self, stream: Stream) -> None:
        pixels = stream.view()
        self._stream, self._pixels = stream, pixels
        self.name, self.path = stream.name, stream.path
        self.shape, self.dtype = stream.shape, stream.dtype
        image = stream.frame_shape if stream.temporal else pixels.squeeze().shape
        self.slices = len(pixels) if stream.temporal else image[0] if len(image) == 3 else 0
        self._taken = False
        self._looks.clear()
        self._next_writer = 0.0

    def close(self) -> None:
        """Let go of the stream."""
        self._source.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def look(self) -> bool:
        """Follow the stream to a new file if there is one, and tell whether a frame is there to be taken.

        Returns
        -------
        bool
            True if the counter has moved since the last frame was taken, or if none was. False while the file
            is damaged: `trouble` says so.
        """
        now = time.monotonic()
        if self._stream.replaced():
            self._follow(now)
        try:
            return self._has_news(now)
        except StreamDamagedError:
            return False

    def _has_news(self, now: float) -> bool:
        self._missing = self._missing if self._stream.replaced() else (
            "deleted, this is its last frame" if self._stream.deleted else ""
        )  # fmt: skip
        counter = self._stream.counter
        if self._looks and counter < self._looks[-1][1]:
            self._looks.clear()  # the writer began anew
        while len(self._looks) > 1 and self._looks[1][0] < now - _RATE_SECONDS:
            self._looks.popleft()
        self._looks.append((now, counter))
        if now >= self._next_writer:
            self._next_writer = now + _WRITER_SECONDS
            self._writer = self._dead_writer()
        return not self._taken or counter != self.counter

    def _follow(self, now: float) -> None:
        try:
            self._source.follow(begin=self._adopt)
        except StreamError as error:  # not complete yet, or of no use
            self._missing = (
                "its file was cut or overwritten, this is its last frame"
                if self._stream.damaged
                else f"there is a new file, but {error}"
            )
            return
        size = "x".join(map(str, self.shape))
        self._news = (now, f"recreated as {size} {self.dtype}, attached again")

    def _dead_writer(self) -> str:
        told = describe_stream(self._stream)
        if told["writer_pid"] is None or told["writer_alive"]:
            return ""
        within = " within a frame" if told["writing"] else ""
        return f"the writer, process {told['writer_pid']}, is dead{within}"

    @property
    def rate(self) -> float | None:
        """Frames per second over the last two seconds of looks; None before there are two of them."""
        if len(self._looks) < 2:
            return None
        (before, first), (after, last) = self._looks[0], self._looks[-1]
        return (last - first) / (after - before) if after > before else None

    @property
    def trouble(self) -> str:
        """What users should know about the stream, in words; empty if all is well."""
        news = ""
        if self._news is not None and time.monotonic() < self._news[0] + _NEWS_SECONDS:
            news = self._news[1]
        torn = "the frame may be torn" if self.torn else ""
        return "; ".join(filter(None, (self._missing, self._writer, news, torn)))

    def take(self, index: int | None = None) -> Array:
        """Copy the newest frame, or a slice.

        Parameters
        ----------
        index : int, optional
            Slice of a cube or ring, from 0. Default: the one that the writer wrote last, as far as it
            says so.

        Returns
        -------
        ndarray, one or two axes
            In C order of the stream: rows are y, columns x. Axes of length 1 are dropped; a single pixel is
            an image of 1 x 1. A copy, retried while the writer is in it.

        Raises
        ------
        StreamArgumentError
            There is no such slice.
        StreamDamagedError
            The file was cut, or its header rewritten; `look` follows it once it is whole.
        """
        if index is not None and not 0 <= index < max(1, self.slices):
            what = f"slices 0 to {self.slices - 1}" if self.slices else "frames of one image"
            raise StreamArgumentError(
                f"stream {self.name!r} has {what}, no slice {index}",
                stream=self.name,
                argument="slice",
                found=index,
            )
        stream = self._stream
        if self.slices:
            newest = stream.cnt1 % self.slices
            self.slice = newest if index is None else index
        else:
            self.slice = None
        # The newest slice of a temporal ring is its frame. A cube is not copied for the sake of one slice.
        if self.slice is None or (stream.temporal and index is None):
            frame, flags, number = stream.read()
            self.torn = bool(flags & FLAG_TORN)
        else:
            frame, number = self._copy(self.slice)
        self.written_ns = stream.write_time_ns
        if self._taken and number > self.counter:
            self.lost += number - self.counter - 1
        self._taken, self.counter = True, number
        frame = frame.squeeze()
        return frame.reshape(1, 1) if frame.ndim == 0 else frame

    def _copy(self, index: int) -> tuple[Array, int]:
        """Copy one slice, and tell the counter."""
        stream = self._stream
        source = self._pixels[index] if stream.temporal else self._pixels.squeeze()[index]
        for _ in range(_TRIES):
            before, busy = stream.counter, self._within(index)
            frame = np.array(source)
            self.torn = busy or self._within(index) or (stream.counter != before and not stream.temporal)
            if not self.torn:
                break
        return frame, before

    def _within(self, index: int) -> bool:
        """Return whether the writer is in a slice: of a temporal ring it is in the one that comes next."""
        stream = self._stream
        if not stream.write:
            return False
        return not stream.temporal or (stream.cnt1 + 1) % self.slices == index
