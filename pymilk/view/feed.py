"""`Feed`: the newest frame of a stream at any time, across deletions and new files."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from .._core import FLAG_TORN, Stream
from .._types import Array
from ..errors import StreamArgumentError, StreamDamagedError, StreamError, StreamUnsupportedError
from ..inspection import describe_stream
from ..native.formats import dtype_name
from ..streams.waiting import Follower
from ..system.single import Single

__all__ = ["Feed"]

#: Seconds: span of the rate, interval between two checks of the writer, time that a new file is reported.
_RATE_SECONDS = 2.0
_WRITER_SECONDS = 0.5
_NEWS_SECONDS = 5.0

#: Attempts to copy a slice before one that may be torn is accepted.
_TRIES = 3


class Feed(Single):
    """Copy the newest frame of a stream on request.

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
    nbytes, inode : int
        Of the file: bytes of all its frames, and what tells it from the next one.
    counter : int
        Of the last frame taken; 0 before the first.
    written_ns : int
        When it was written, nanoseconds of CLOCK_TAI; 0 if the writer stores no times.
    torn : bool
        It may hold pixels of two frames.
    lost : int
        Frames published between those taken, by the counter. Frames without a file are not counted.
    slices : int
        Images in a cube or a temporal ring; 0 if each frame is one image, or one row.
    slice : int or None
        The last one taken.

    Raises
    ------
    StreamError
        As `pymilk.Stream.attach`; also if the pixels are on a GPU.

    Notes
    -----
    The stream is attached read-only and no semaphore is taken: the writer is not affected. Use one object in
    one thread only.
    """

    _single = "it has its stream open in this process; make another one by the name"

    def __init__(self, name: Any) -> None:
        self.lost = self.counter = self.written_ns = 0
        self.torn = False
        self.slice: int | None = None
        self._news: tuple[float, str] | None = None
        self._missing = self._writer = ""
        self._next_writer = 0.0
        stream = Stream.attach(name, writable=False)
        try:
            self._adopt(stream)
        except StreamError:
            stream.close()
            raise
        self._source = Follower(stream, owned=True, any_frames=True)

    def _adopt(self, stream: Stream) -> None:
        if stream.dtype.names:
            raise StreamUnsupportedError(
                f"stream {stream.name!r} holds events ({dtype_name(stream.dtype)}), of which there is no "
                "picture; read or record them",
                stream=stream.name,
            )
        pixels = stream.view()
        image = stream.frame_shape if stream.temporal else pixels.squeeze().shape
        slices = len(pixels) if stream.temporal else image[0] if len(image) == 3 else 0
        looks: deque[tuple[float, int]] = deque()
        # Nothing is called from here on, so no signal handler comes in between.
        self._stream, self._pixels = stream, pixels
        self.name, self.path = stream.name, stream.path
        self.shape, self.dtype = stream.shape, stream.dtype
        self.nbytes, self.inode = pixels.nbytes, stream.inode
        self.slices = slices
        self._taken = False
        self._looks = looks
        self._next_writer = 0.0

    def close(self) -> None:
        """Close the stream."""
        self._source.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def look(self) -> bool:
        """Follow the stream to a new file if there is one; returns whether there is a new frame.

        Returns
        -------
        bool
            True if the counter has changed since the last frame taken, or if none was taken. False while the
            file is damaged: see `trouble`.
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
        came = bool(self._looks) and counter != self._looks[-1][1]
        if self._looks and counter < self._looks[-1][1]:
            self._looks.clear()  # the writer restarted
        while len(self._looks) > 1 and self._looks[1][0] < now - _RATE_SECONDS:
            self._looks.popleft()
        self._looks.append((now, counter))
        if came and not self._writer:
            self._next_writer = now + _WRITER_SECONDS  # it lives: to ask costs more than a look
        elif now >= self._next_writer:
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
        if told["writer_alive"] is not False:  # it is alive, or not visible from here
            return ""
        within = " within a frame" if told["writing"] else ""
        return f"the writer, process {told['writer_pid']}, is dead{within}"

    @property
    def rate(self) -> float | None:
        """Frames per second over the last two seconds; None before the second `look`."""
        if len(self._looks) < 2:
            return None
        (before, first), (after, last) = self._looks[0], self._looks[-1]
        return (last - first) / (after - before) if after > before else None

    @property
    def trouble(self) -> str:
        """Problems of the stream, in words; "" if there are none."""
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
            Slice of a cube or ring, from 0. Default: the slice written last, as stored by the writer.

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
        wanted = (stream.cnt1 % self.slices if index is None else index) if self.slices else None
        # The newest slice of a temporal ring is its frame. Of a cube, copy the one slice only.
        if wanted is None or (stream.temporal and index is None):
            frame, flags, number = stream.read()
            torn = flags & FLAG_TORN != 0
        else:
            frame, number, torn = self._copy(wanted)
        frame = frame.squeeze()
        if frame.ndim == 0:
            frame = frame.reshape(1, 1)
        # Last, and nothing is called between these: a frame that an exception keeps back was not taken.
        if self._taken and number > self.counter:
            self.lost += number - self.counter - 1
        self._taken, self.counter, self.torn, self.slice = True, number, torn, wanted
        self.written_ns = stream.write_time_ns
        return frame

    def _copy(self, index: int) -> tuple[Array, int, bool]:
        """Copy one slice; returns it, the counter, and whether it may be torn."""
        stream = self._stream
        source = self._pixels[index] if stream.temporal else self._pixels.squeeze()[index]
        for _ in range(_TRIES):
            before, busy = stream.counter, self._within(index)
            frame = np.array(source)
            torn = busy or self._within(index) or (stream.counter != before and not stream.temporal)
            if not torn:
                break
        return frame, before, torn

    def _within(self, index: int) -> bool:
        """Return whether the writer is in a slice; in a temporal ring it is in the next one."""
        stream = self._stream
        if not stream.write:
            return False
        return not stream.temporal or (stream.cnt1 + 1) % self.slices == index
