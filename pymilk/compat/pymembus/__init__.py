"""The interface of the library pymembus, on streams and channels of pymilk.

Scripts written for pymembus import it from here, or call `install` first and then ``import pymembus`` as
before. Both ends have to be pymilk: files of libmembus are others.
"""

from .about import __build__, __version__, build, install, version
from .audio import audview, memaud
from .blocks import memmap
from .commands import memcmd
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
from .packets import mempkt
from .selecting import select
from .values import memkv
from .video import memvid, vidview

__all__ = [
    "__build__",
    "__version__",
    "audio_format",
    "audio_format_bytes_per_sample",
    "audio_format_name",
    "audview",
    "build",
    "errc",
    "install",
    "last_error",
    "last_error_message",
    "memaud",
    "memcmd",
    "memkv",
    "memmap",
    "memmsg",
    "mempkt",
    "memvid",
    "pkt_kind",
    "select",
    "version",
    "video_format",
    "video_format_bytes_per_pixel",
    "video_format_name",
    "vidview",
]
