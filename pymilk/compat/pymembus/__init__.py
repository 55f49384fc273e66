"""The interface of the library pymembus, on streams and channels of pymilk.

Scripts written for pymembus import it from here, or call `install` first and then ``import pymembus`` as
before. Both ends have to be pymilk: files of libmembus are others. `NOT_YET` lists what does not exist.
"""

from .about import NOT_YET, __build__, __version__, build, install, version
from .blocks import memmap
from .errors import errc, last_error, last_error_message
from .formats import (
    audio_format,
    audio_format_bytes_per_sample,
    audio_format_name,
    pkt_kind,
    video_format,
    video_format_bytes_per_pixel,
    video_format_name,
)
from .messages import memmsg
from .selecting import select
from .values import memkv

__all__ = [
    "NOT_YET",
    "__build__",
    "__version__",
    "audio_format",
    "audio_format_bytes_per_sample",
    "audio_format_name",
    "build",
    "errc",
    "install",
    "last_error",
    "last_error_message",
    "memkv",
    "memmap",
    "memmsg",
    "pkt_kind",
    "select",
    "version",
    "video_format",
    "video_format_bytes_per_pixel",
    "video_format_name",
]


def __getattr__(name: str) -> object:
    if name in NOT_YET:
        raise AttributeError(f"pymilk has no {name} of pymembus yet; there are memkv, memmap and memmsg")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
