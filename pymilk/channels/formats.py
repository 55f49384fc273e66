"""Formats of video and audio: what a frame of their streams holds, as keywords and back.

``PMFORM`` holds the format, ``PMRATE`` frames or samples a second; everything else is in the shape of a
frame. What is in a file is checked before it is used.
"""

from __future__ import annotations

import enum
import math
from typing import Any, TypeVar

import numpy as np

from .._core import Keyword, Stream
from ..arguments import check_number, shown
from ..errors import ChannelArgumentError, ChannelFormatError
from ..streams.kinds import KIND

__all__ = [
    "AudioFormat",
    "VideoFormat",
    "audio_text",
    "checked_format",
    "checked_rate",
    "keywords_of_media",
    "read_audio",
    "read_video",
    "video_text",
]

_FORMAT, _RATE = "PMFORM", "PMRATE"


class VideoFormat(enum.Enum):
    """How the pixels of a picture are stored: bytes, row by row, the top row first."""

    GRAY8 = "gray8"
    RGB24 = "rgb24"
    BGR24 = "bgr24"
    RGBA32 = "rgba32"
    BGRA32 = "bgra32"
    #: Luma of each pixel, between these the two chromas of each pair: Y0 U Y1 V.
    YUYV422 = "yuyv422"
    #: The same in another order: U Y0 V Y1.
    UYVY422 = "uyvy422"

    @property
    def bytes_per_pixel(self) -> int:
        """1 for gray8, 2 for those with luma and chroma, 3 and 4 for colours."""
        return {"gray8": 1, "yuyv422": 2, "uyvy422": 2, "rgb24": 3, "bgr24": 3}.get(self.value, 4)

    @property
    def chroma(self) -> bool:
        """Two pixels share their chroma: the width is even."""
        return self in (VideoFormat.YUYV422, VideoFormat.UYVY422)

    def frame_shape(self, width: int, height: int) -> tuple[int, ...]:
        """Return the shape of a frame of uint8: (height, width), or (height, width, bytes of a pixel)."""
        depth = self.bytes_per_pixel
        return (height, width) if depth == 1 else (height, width, depth)


class AudioFormat(enum.Enum):
    """How samples are stored."""

    U8 = "u8"
    S16LE = "s16le"
    #: Three bytes, the lowest first.
    S24LE = "s24le"
    S32LE = "s32le"
    F32LE = "f32le"
    F64LE = "f64le"

    @property
    def bytes_per_sample(self) -> int:
        """Of one channel."""
        return int(self.value.strip("usfle")) // 8

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stream; uint8 for s24le, for which NumPy has no type."""
        if self is AudioFormat.S24LE:
            return np.dtype(np.uint8)
        return np.dtype(f"<{self.value[0].replace('s', 'i')}{self.bytes_per_sample}")

    def frame_shape(self, samples: int, channels: int) -> tuple[int, ...]:
        """Return the shape of a block: (samples, channels); of s24le (samples, channels, 3)."""
        return (samples, channels, 3) if self is AudioFormat.S24LE else (samples, channels)


_Format = TypeVar("_Format", VideoFormat, AudioFormat)


def checked_format(formats: type[_Format], found: Any, name: str) -> _Format:
    """Return a format, given as itself or by its name."""
    try:
        return formats(found)
    except ValueError:
        known = ", ".join(each.value for each in formats)
        raise ChannelArgumentError(
            f"channel {name!r}: format is one of {known}, not {shown(found)}",
            channel=name, argument="format", found=found,
        ) from None  # fmt: skip


def checked_rate(rate: Any, name: str) -> float:
    """Return a number of frames or samples a second."""
    return check_number("rate", rate, "a number above 0", 0.0, math.inf, above=True, stream=name)


def keywords_of_media(kind: str, form: VideoFormat | AudioFormat, rate: float) -> list[Keyword]:
    """Return the keywords of a stream of "video" or "audio". Its kind comes last: it makes it one."""
    unit = "frames" if kind == "video" else "samples of a channel"
    return [
        Keyword(_FORMAT, form.value, f"format of the {kind}"),
        Keyword(_RATE, rate, f"{unit} a second"),
        Keyword(KIND, kind, f"a frame is a {'picture' if kind == 'video' else 'block of sound'}"),
    ]


def read_video(stream: Stream) -> tuple[VideoFormat, float]:
    """Return format and rate of a video stream.

    Raises
    ------
    ChannelFormatError
        The stream is none, or its keywords and its frames contradict each other.
    """
    form, rate = _read(stream, "video", VideoFormat)
    shape = stream.frame_shape
    if len(shape) < 2 or shape != form.frame_shape(shape[1], shape[0]) or stream.dtype != np.uint8:
        raise _refused(stream, "video", "frame shape", f"that of {form.value}", (shape, stream.dtype.name))
    if form.chroma and shape[1] % 2:
        raise _refused(stream, "video", "width", "even", shape[1])
    return form, rate


def read_audio(stream: Stream) -> tuple[AudioFormat, float]:
    """Return format and rate of an audio stream; raises as `read_video`."""
    form, rate = _read(stream, "audio", AudioFormat)
    shape = stream.frame_shape
    if len(shape) < 2 or shape != form.frame_shape(*shape[:2]) or stream.dtype != form.dtype:
        raise _refused(stream, "audio", "frame shape", f"that of {form.value}", (shape, stream.dtype.name))
    return form, rate


def _read(stream: Stream, kind: str, formats: type[_Format]) -> tuple[_Format, float]:
    words = {each.name: each.value for each in stream.read_keywords()}
    if words.get(KIND) != kind:
        raise _refused(stream, kind, KIND, kind, words.get(KIND))
    rate = words.get(_RATE)
    if not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
        raise _refused(stream, kind, _RATE, "a number above 0", rate)
    try:
        return formats(words.get(_FORMAT)), float(rate)
    except ValueError:
        known = ", ".join(each.value for each in formats)
        raise _refused(stream, kind, _FORMAT, f"one of {known}", words.get(_FORMAT)) from None


def _refused(stream: Stream, kind: str, field: str, expected: Any, found: Any) -> ChannelFormatError:
    return ChannelFormatError(
        f"stream {stream.name!r} has no {kind}: {field} is {found!r}, not {expected!r}",
        channel=stream.name, path=stream.path, field=field, expected=expected, found=found,
    )  # fmt: skip


def video_text(stream: Stream) -> str:
    """Return what a video stream holds, for people."""
    form, rate = read_video(stream)
    height, width = stream.frame_shape[:2]
    return f"{form.value}, {width} wide, {height} high, {rate:g} frames a second"


def audio_text(stream: Stream) -> str:
    """Return what an audio stream holds, for people."""
    form, rate = read_audio(stream)
    samples, channels = stream.frame_shape[:2]
    return f"{form.value}, {channels} channels, {rate:g} samples a second, {samples} in a block"
