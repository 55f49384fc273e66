"""`VideoStream` and `AudioStream`: pictures and sound from one process to any number of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import Claim, Stream
from .._types import Array
from ..arguments import Replace, check_count
from ..errors import ChannelArgumentError, ChannelTimeoutError
from ..ring import Block
from ..system.arrays import unmasked
from .conversion import pack_24, rgb_of, unpack_24
from .formats import (
    AudioFormat,
    VideoFormat,
    checked_format,
    checked_rate,
    keywords_of_media,
    read_audio,
    read_video,
)
from .ringed import RingChannel, create_stream, open_stream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AudioBlock", "AudioStream", "VideoFrame", "VideoStream"]


class Piece:
    """What one frame of the stream holds, and its row.

    Attributes
    ----------
    data : ndarray
        A copy, or with ``copy=False`` a read-only view of the ring: see `intact`.
    number : int
        From 1.
    time_ns, written_ns : int
        When it was acquired, as its writer says, and written: nanoseconds of CLOCK_TAI.
    lost : int
        Those between this one and the one that was read before it, that were overwritten unread.
    """

    def __init__(self, data: Array, row: Any, block: Block | None) -> None:
        self.data = data
        self.number = int(row["cnt0"])
        self.time_ns, self.written_ns = int(row["atime_ns"]), int(row["writetime_ns"])
        self.lost = int(row["lost"])
        self._block = block

    def intact(self) -> bool:
        """Return whether `data` was not overwritten: call it after a view was used. True for copies."""
        return self._block is None or self._block.intact()

    def __repr__(self) -> str:
        lost = f", {self.lost} lost before" if self.lost else ""
        return f"<{type(self).__name__} {self.number}: {self.data.shape} {self.data.dtype}{lost}>"


class VideoFrame(Piece):
    """A picture. Attributes as for `Piece`, and `format`."""

    format: VideoFormat

    def to_rgb(self, matrix: str = "bt601", *, full_range: bool = False) -> Array:
        """Return it as red, green and blue: see `pymilk.channels.conversion.rgb_of`."""
        return rgb_of(self.data, self.format, matrix, full_range)


class AudioBlock(Piece):
    """A block of sound. Attributes as for `Piece`, and `format`."""

    format: AudioFormat

    def samples(self) -> Array:
        """Return the samples, shape (samples, channels): `data` itself; of s24le a copy as int32."""
        return unpack_24(self.data) if self.format is AudioFormat.S24LE else self.data


class Media(RingChannel):
    """What video and audio have in common."""

    rate: float
    format: Any
    _piece: type[Any]

    @classmethod
    def _of(cls, stream: Stream, known: tuple[Any, float], write: bool, start: str = "next") -> Self:
        media = cls.__new__(cls)
        media.format, media.rate = known
        RingChannel.__init__(media, stream, write, start)
        return media

    @staticmethod
    def _known(stream: Stream) -> tuple[Any, float]:
        """Return format and rate from the keywords."""
        raise NotImplementedError

    @classmethod
    def attach(cls, name: str | os.PathLike[str], *, write: bool = False, start: str = "now") -> Self:
        """Attach what exists.

        Parameters
        ----------
        name : str or PathLike
        write : bool, default False
            Go on writing it; there is one writer.
        start : {"now", "oldest"}, default "now"
            Where a reader begins: behind the newest frame, or at the oldest one that is there.

        Raises
        ------
        ChannelFormatError
            The stream holds something else.
        ChannelArgumentError, StreamNotFoundError, StreamPermissionError, StreamFormatError
        StreamLockedError
            Another object writes it.
        """
        place = cls._start(start)
        stream, known = open_stream(name, write, cls._known)
        return cls._of(stream, known, write, place)

    def _check_frames(self, stream: Stream) -> None:
        found = self._known(stream)
        if found != (self.format, self.rate):
            raise self._other_file("format and rate", (self.format.value, self.rate), found)

    def claim(self, *, time_ns: int | None = None) -> Claim:
        """Return a context manager that gives the next frame to fill in place, and writes it at its end.

        Raises
        ------
        ChannelReadOnlyError, StreamClosedError, StreamBusyError
        """
        self._check_writing()
        return self.stream.claim(atime_ns=time_ns)

    def _write(self, data: Any, time_ns: int | None) -> int:
        self._check_writing()
        return self.stream.publish(data, atime_ns=time_ns)

    def _read(self, timeout: float | None, copy: bool) -> Any:
        while True:
            self.wait(timeout)
            undo = self.reader._undoing()
            try:
                piece = self._taken() if copy else self._in_place()
            except BaseException as error:  # of a signal handler too
                self._leave_unread(error, undo)
                raise
            if piece is not None:
                return piece

    def _taken(self) -> Any:
        frames, info = self._take(1)
        return self._made(frames[0], info[0]) if len(info) else None

    def _in_place(self) -> Any:
        block = next(self.reader.blocks(1, timeout=0.0))
        self._tell()
        self._check_followed()
        return self._made(block.frames[0], block.info[0], block)

    def _latest(self, copy: bool) -> Any:
        if copy:
            frames, info = self._newest(1)
            if len(info):
                return self._made(frames[0], info[0])
        elif self.count:
            block = self.reader.latest(block=True)
            return self._made(block.frames[0], block.info[0], block)
        raise ChannelTimeoutError(
            f"{self._what} {self.name!r}: nothing was written yet",
            channel=self.name, path=self.path, timeout=0.0,
        )  # fmt: skip

    def _made(self, data: Array, row: Any, block: Block | None = None) -> Any:
        piece = self._piece(data, row, block)
        piece.format = self.format
        return piece


class VideoStream(Media):
    """Pictures of one format and size, from one writer to any number of readers.

    The writer never waits: the oldest pictures give way. Made by `create` or `attach`.

    Attributes
    ----------
    name, path : str
    format : VideoFormat
    width, height : int
    rate : float
        Frames a second, as the writer says.
    stream : Stream
        The stream that holds the pictures, (height, width) or (height, width, bytes of a pixel) of uint8.
    writing : bool

    Examples
    --------
    >>> import numpy as np
    >>> from pymilk.channels import VideoStream
    >>> with VideoStream.create("doc_video", 4, 2, "bgr24", replace=True) as video:
    ...     with VideoStream.attach("doc_video") as reader:
    ...         number = video.write(np.full((2, 4, 3), (255, 0, 0), np.uint8))
    ...         print(reader.read(timeout=1).to_rgb()[0, 0])
    ...     video.remove()
    [  0   0 255]
    """

    format: VideoFormat
    _what = "video"
    _piece = VideoFrame
    _known = staticmethod(read_video)

    def __init__(self) -> None:
        raise TypeError("a VideoStream is made by VideoStream.create or VideoStream.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        width: int,
        height: int,
        format: VideoFormat | str = VideoFormat.RGB24,
        rate: float = 30.0,
        frames: int = 8,
        *,
        replace: Replace = False,
        mode: int | None = None,
    ) -> Self:
        """Make a video stream, and be its writer.

        Parameters
        ----------
        name : str or PathLike
        width, height : int
            In pixels; the width is even for formats with luma and chroma.
        format : VideoFormat or str, default "rgb24"
        rate : float, default 30
            Frames a second: for readers, nothing is timed by it.
        frames : int, default 8
            Pictures that can be read behind the newest one.
        replace : bool or "if-free", default False
            See `pymilk.Stream.create`.
        mode : int, optional
            Permissions of the file.

        Raises
        ------
        ChannelArgumentError, StreamNameError, StreamArgumentError
        StreamExistsError, StreamInUseError, StreamLockedError, StreamPermissionError, StreamStorageError
        """
        plain = os.fspath(name) if isinstance(name, os.PathLike) else name
        form = checked_format(VideoFormat, format, plain)
        speed = checked_rate(rate, plain)
        wide = check_count("width", width, "pixels", below=2**31, stream=plain)
        high = check_count("height", height, "pixels", below=2**31, stream=plain)
        if form.chroma and wide % 2:
            raise ChannelArgumentError(
                f"video {plain!r}: width is even in {form.value}, whose pixels share chroma, not {wide}",
                channel=plain, argument="width", found=wide,
            )  # fmt: skip
        depth = check_count("frames", frames, below=2**32 - 1, stream=plain)
        words = keywords_of_media("video", form, speed)
        shape = form.frame_shape(wide, high)
        stream = create_stream(name, shape, np.uint8, depth, words, replace=replace, mode=mode)
        return cls._of(stream, (form, speed), True)

    @property
    def width(self) -> int:
        """Pixels of a row."""
        return self.stream.frame_shape[1]

    @property
    def height(self) -> int:
        """Rows."""
        return self.stream.frame_shape[0]

    def write(self, frame: Any, *, time_ns: int | None = None) -> int:
        """Write a picture; returns its number, from 1.

        Parameters
        ----------
        frame : array_like of uint8, shape as `VideoFormat.frame_shape`
        time_ns : int, optional
            When it was acquired, nanoseconds of CLOCK_TAI. Default: now.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ. Nothing was written.
        ChannelReadOnlyError, StreamClosedError, StreamDamagedError, StreamArgumentError
        """
        return self._write(frame, time_ns)

    def read(self, timeout: float | None = None, *, copy: bool = True) -> VideoFrame:
        """Return the next picture; wait for one without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.
        copy : bool, default True
            False: a view of the ring, which the writer overwrites some pictures later.

        Raises
        ------
        ChannelTimeoutError, ChannelRemovedError
        ChannelFormatError
            It was made anew in another format.
        StreamClosedError, StreamDamagedError, StreamChangedError, StreamBusyError, StreamArgumentError
        """
        frame: VideoFrame = self._read(timeout, copy)
        return frame

    def latest(self, *, copy: bool = True) -> VideoFrame:
        """Return the newest picture, read or not; the place of the reader stays. `copy`: as for `read`.

        Raises
        ------
        ChannelTimeoutError
            There is none yet.
        StreamClosedError, StreamDamagedError
        """
        frame: VideoFrame = self._latest(copy)
        return frame

    async def read_async(self, timeout: float | None = None, *, copy: bool = True) -> VideoFrame:
        """Return the next picture, as `read`, without blocking the event loop: see `Table.read_async`."""
        return await self._later(lambda: self.read(0, copy=copy), timeout)

    def __iter__(self) -> Iterator[VideoFrame]:
        while True:
            yield self.read()

    async def __anext__(self) -> VideoFrame:
        return await self.read_async()


class AudioStream(Media):
    """Sound in blocks of one format and length, from one writer to any number of readers.

    The writer never waits: the oldest blocks give way. Made by `create` or `attach`.

    Attributes
    ----------
    name, path : str
    format : AudioFormat
    samples, channels : int
        Of a block.
    rate : float
        Samples a second of each channel.
    stream : Stream
        The stream that holds the blocks, (samples, channels) of the dtype of the format; of s24le
        (samples, channels, 3) of uint8.
    writing : bool

    Examples
    --------
    >>> import numpy as np
    >>> from pymilk.channels import AudioStream
    >>> with AudioStream.create("doc_audio", 4, channels=1, format="s24le", replace=True) as audio:
    ...     with AudioStream.attach("doc_audio") as reader:
    ...         number = audio.write(np.array([[0], [1], [-1], [8388607]], np.int32))
    ...         print(reader.read(timeout=1).samples().ravel())
    ...     audio.remove()
    [      0       1      -1 8388607]
    """

    format: AudioFormat
    _what = "audio"
    _piece = AudioBlock
    _known = staticmethod(read_audio)

    def __init__(self) -> None:
        raise TypeError("an AudioStream is made by AudioStream.create or AudioStream.attach")

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        samples: int,
        channels: int = 2,
        format: AudioFormat | str = AudioFormat.S16LE,
        rate: float = 48_000.0,
        blocks: int = 64,
        *,
        replace: Replace = False,
        mode: int | None = None,
    ) -> Self:
        """Make an audio stream, and be its writer.

        Parameters
        ----------
        name : str or PathLike
        samples : int
            Of each channel in a block.
        channels : int, default 2
        format : AudioFormat or str, default "s16le"
        rate : float, default 48000
            Samples a second of each channel: for readers, nothing is timed by it.
        blocks : int, default 64
            Blocks that can be read behind the newest one.
        replace : bool or "if-free", default False
        mode : int, optional
            See `pymilk.Stream.create`.

        Raises
        ------
        ChannelArgumentError, StreamNameError, StreamArgumentError
        StreamExistsError, StreamInUseError, StreamLockedError, StreamPermissionError, StreamStorageError
        """
        plain = os.fspath(name) if isinstance(name, os.PathLike) else name
        form = checked_format(AudioFormat, format, plain)
        speed = checked_rate(rate, plain)
        length = check_count("samples", samples, "samples", below=2**31, stream=plain)
        width = check_count("channels", channels, "channels", below=2**16, stream=plain)
        depth = check_count("blocks", blocks, "blocks", below=2**32 - 1, stream=plain)
        words = keywords_of_media("audio", form, speed)
        shape = form.frame_shape(length, width)
        stream = create_stream(name, shape, form.dtype, depth, words, replace=replace, mode=mode)
        return cls._of(stream, (form, speed), True)

    @property
    def samples(self) -> int:
        """Of each channel in a block."""
        return self.stream.frame_shape[0]

    @property
    def channels(self) -> int:
        """Samples that belong to one moment."""
        return self.stream.frame_shape[1]

    def write(self, block: Any, *, time_ns: int | None = None) -> int:
        """Write a block; returns its number, from 1.

        Parameters
        ----------
        block : array_like, shape and dtype as `AudioFormat.frame_shape` and `AudioFormat.dtype`
            For s24le also int32 of shape (samples, channels).
        time_ns : int, optional
            When its first sample was acquired, nanoseconds of CLOCK_TAI. Default: now.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ. Nothing was written.
        ChannelArgumentError
            A sample for s24le has more than 24 bits. Nothing was written.
        ChannelReadOnlyError, StreamClosedError, StreamDamagedError, StreamArgumentError
        """
        block = unmasked(block, "block")
        if self.format is AudioFormat.S24LE and getattr(block, "dtype", None) == np.int32:
            low, high = (int(block.min()), int(block.max())) if block.size else (0, 0)
            if low < -(2**23) or high >= 2**23:
                raise self._mismatch("a sample", f"from {low} to {high}", "from -2**23 to 2**23 - 1")
            block = pack_24(block)
        return self._write(block, time_ns)

    def read(self, timeout: float | None = None, *, copy: bool = True) -> AudioBlock:
        """Return the next block; parameters and errors as for `VideoStream.read`."""
        block: AudioBlock = self._read(timeout, copy)
        return block

    def latest(self, *, copy: bool = True) -> AudioBlock:
        """Return the newest block, read or not; as `VideoStream.latest`."""
        block: AudioBlock = self._latest(copy)
        return block

    async def read_async(self, timeout: float | None = None, *, copy: bool = True) -> AudioBlock:
        """Return the next block, as `read`, without blocking the event loop: see `Table.read_async`."""
        return await self._later(lambda: self.read(0, copy=copy), timeout)

    def __iter__(self) -> Iterator[AudioBlock]:
        while True:
            yield self.read()

    async def __anext__(self) -> AudioBlock:
        return await self.read_async()
