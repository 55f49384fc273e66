"""Formats of pictures and sound, and their sizes."""

from __future__ import annotations

from .enumeration import Enumeration

__all__ = [
    "audio_format",
    "audio_format_bytes_per_sample",
    "audio_format_name",
    "pkt_kind",
    "video_format",
    "video_format_bytes_per_pixel",
    "video_format_name",
]

#: Value of the formats that the user defines.
USER_TYPE = 0x1000

_VIDEO = {"gray8": 1, "rgb24": 2, "bgr24": 3, "rgba32": 4, "bgra32": 5, "yuyv422": 6, "uyvy422": 7}
_AUDIO = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 5, "f64le": 6}
_PIXEL_NBYTES = dict(zip(_VIDEO.values(), (1, 3, 3, 4, 4, 2, 2), strict=True))
_SAMPLE_NBYTES = dict(zip(_AUDIO.values(), (1, 2, 3, 4, 4, 8), strict=True))


class video_format(Enumeration, members={**_VIDEO, "userType": USER_TYPE}):
    """How the pixels of a frame are stored."""

    gray8: video_format
    rgb24: video_format
    bgr24: video_format
    rgba32: video_format
    bgra32: video_format
    yuyv422: video_format
    uyvy422: video_format
    userType: video_format


class audio_format(Enumeration, members={**_AUDIO, "userType": USER_TYPE}):
    """How a sample of sound is stored."""

    u8: audio_format
    s16le: audio_format
    s24le: audio_format
    s32le: audio_format
    f32le: audio_format
    f64le: audio_format
    userType: audio_format


class pkt_kind(Enumeration, members={"data": 0, "video": 1, "audio": 2}):
    """What is in a record of `mempkt`."""

    data: pkt_kind
    video: pkt_kind
    audio: pkt_kind


def _name(format: Enumeration, kind: type[Enumeration]) -> str:
    if not isinstance(format, kind):
        raise TypeError(f"format is a {kind.__name__}, not {type(format).__name__}")
    return "unknown" if format.name == "???" else format.name.upper()


def video_format_name(format: video_format) -> str:
    """Return the name in capitals, or ``unknown``."""
    return _name(format, video_format)


def audio_format_name(format: audio_format) -> str:
    """Return the name in capitals, or ``unknown``."""
    return _name(format, audio_format)


def video_format_bytes_per_pixel(format: video_format) -> int:
    """Return the bytes of a pixel; 0 for ``userType`` and numbers that are none of these."""
    _name(format, video_format)
    return _PIXEL_NBYTES.get(format.value, 0)


def audio_format_bytes_per_sample(format: audio_format) -> int:
    """Return the bytes of a sample of one channel; 0 for ``userType`` and numbers that are none of these."""
    _name(format, audio_format)
    return _SAMPLE_NBYTES.get(format.value, 0)
