"""Messages: a header, a row for each frame, keywords, pixels. docs/bridge.md states the bytes.

Nothing in a message is believed: all numbers are compared with each other and with the length of the message
before memory is asked for.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._core import Keyword
from .._types import Array
from ..native.formats import DTYPES
from .codecs import packed, unpacked
from .disbelief import refused_message

__all__ = ["FRAMES_MOST", "KEYWORDS_MOST", "LOST_MOST", "MAX_FRAME", "REPEATED", "SKIPPED_MOST",
           "TOGETHER_NBYTES", "WIRE_ROW", "Epoch", "Message", "decode", "encode", "nbytes_most"]  # fmt: skip

_MAGIC = b"PMBR"
_VERSION = 1

#: Magic, version, bytes of the header; pixel type, axes, frames, keywords, slots for keywords, codec,
#: reserved; size of three axes; epoch (boot, device, inode, creation time); sender; frames sent, missing,
#: left out; when.
_HEADER = struct.Struct("<4sHH BBHHHB3x III 16sQQq QQQQ q")

#: Name, type, reserved, value, comment.
_KEYWORD = struct.Struct("<16sc7s16s80s")
_INTEGER, _REAL = struct.Struct("<q8x"), struct.Struct("<d8x")

#: The row of a frame.
WIRE_ROW = np.dtype(
    [
        ("cnt0", "<u8"),
        ("cnt1", "<u8"),
        ("atime_ns", "<i8"),
        ("writetime_ns", "<i8"),
        ("lost", "<u8"),
        ("flags", "<u4"),
        ("skipped", "<u4"),
    ]
)

#: Flag of a row: this very frame was sent before, and is sent again for those who begin to listen.
REPEATED = 1 << 19

#: Most frames and keywords of a message, and most frames that can be lost or left out at one place.
FRAMES_MOST, KEYWORDS_MOST, LOST_MOST, SKIPPED_MOST = 1024, 1000, 1 << 40, (1 << 32) - 1

#: Frames that have come already go into one message, up to so many bytes: a sender that lags catches up.
TOGETHER_NBYTES = 1 << 20

#: Bytes that a frame may have, unless it is said otherwise.
MAX_FRAME = 64_000_000


class Epoch(NamedTuple):
    """Which life of a stream: its counters go on within one.

    Attributes
    ----------
    boot : bytes
        16, of the kernel.
    device, inode : int
    created_ns : int
    """

    boot: bytes
    device: int
    inode: int
    created_ns: int


@dataclass(frozen=True)
class Message:
    """What is in a message.

    Attributes
    ----------
    epoch : Epoch
    sender : int
        A number that no other sender has, and this one as long as it lives.
    sent, missing : int
        Frames that this sender sent of this stream before this message, and those that it could not send.
    shape : tuple of int
        Of a frame: 1 to 3 axes.
    dtype : numpy.dtype
    slots : int
        Keywords that the stream has room for.
    rows : ndarray of WIRE_ROW
        One for each frame; ``lost`` are frames that the sender missed before it, ``skipped`` those that it
        left out because it was asked to.
    keywords : list of Keyword or None
        None if the message has none: then nothing is known of them.
    frames : ndarray, shape (len(rows), *shape)
    at_ns : int
        When it was sent, by the clock of the sender.
    skipped : int
        Frames that it left out before this message because it was asked to.
    """

    epoch: Epoch
    sender: int
    sent: int
    missing: int
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    slots: int
    rows: Array
    keywords: list[Keyword] | None
    frames: Array
    at_ns: int
    skipped: int = 0


def nbytes_most(frame_nbytes: int) -> int:
    """Return the bytes of the largest message with frames of up to so many bytes."""
    rows_and_words = FRAMES_MOST * WIRE_ROW.itemsize + KEYWORDS_MOST * _KEYWORD.size
    return _HEADER.size + rows_and_words + max(frame_nbytes, TOGETHER_NBYTES)


def encode(message: Message, compress: bool = False) -> bytes:
    """Return the bytes of a message; copies the pixels once, without the rest of pymilk noticing."""
    number = next(number for number, dtype in DTYPES.items() if dtype == message.dtype)
    stored = message.keywords
    words = None if stored is None else [_keyword(each) for each in stored[: message.slots]]
    size = (*message.shape, 0, 0)[:3]
    content: Any = message.frames.reshape(-1)
    codec, content = packed(content) if compress and len(content) else (0, content)
    head = _HEADER.pack(
        _MAGIC, _VERSION, _HEADER.size, number, len(message.shape), len(message.rows),
        0xFFFF if words is None else len(words), message.slots, codec, *size, *message.epoch,
        message.sender, message.sent, message.missing, message.skipped, message.at_ns,
    )  # fmt: skip
    if not codec:
        content = content.view(np.uint8)
    return b"".join([head, message.rows.tobytes(), *(words or ()), content])


def decode(data: bytes, most: int) -> Message:
    """Return what is in a message: `rows` and `frames` are views of `data`, frames out of a codec a copy.

    Parameters
    ----------
    data : bytes
    most : int
        Bytes that a frame may have.

    Raises
    ------
    BridgeMessageError
    """
    if len(data) < _HEADER.size:
        raise refused_message(f"it has {len(data)} bytes, fewer than a header")
    (
        magic, version, nbytes, number, naxis, nframes, nwords, slots, codec, *size_epoch
    ) = _HEADER.unpack_from(data)  # fmt: skip
    size, epoch = size_epoch[:3], Epoch(*size_epoch[3:7])
    sender, sent, missing, skipped, at_ns = size_epoch[7:]
    if magic != _MAGIC:
        raise refused_message("it does not begin with PMBR")
    if version != _VERSION or nbytes != _HEADER.size:
        raise refused_message(
            f"it has version {version} of the bridge, and this pymilk knows version {_VERSION}; update one "
            "of the two"
        )
    shape = _checked_shape(number, naxis, size)
    words = 0 if nwords == 0xFFFF else nwords
    if words > slots or slots > KEYWORDS_MOST or nframes > FRAMES_MOST:
        raise refused_message(f"it has {nframes} frames, {words} keywords and {slots} slots for them")
    dtype = DTYPES[number]
    frame_nbytes = math.prod(shape) * dtype.itemsize
    if frame_nbytes > most:
        raise refused_message(
            f"a frame has {frame_nbytes} bytes, and {most} are allowed (--max-frame, max_frame=)"
        )
    at_rows = _HEADER.size
    at_words = at_rows + nframes * WIRE_ROW.itemsize
    at_pixels = at_words + words * _KEYWORD.size
    nbytes = nframes * frame_nbytes
    if len(data) < at_pixels or (not codec and len(data) != at_pixels + nbytes):
        raise refused_message(f"it has {len(data)} bytes, and {at_pixels + nbytes} by its header")
    rows = np.frombuffer(data, WIRE_ROW, nframes, at_rows)
    _check_rows(rows, sent, missing, skipped)
    keywords = [_read_keyword(data, at_words + n * _KEYWORD.size) for n in range(words)]
    pixels: bytes | bytearray = data
    if codec:
        if nbytes > max(most, TOGETHER_NBYTES):
            raise refused_message(f"{nframes} compressed frames have {nbytes} bytes")
        pixels, at_pixels = unpacked(codec, memoryview(data)[at_pixels:], dtype.itemsize, nbytes), 0
    frames: npt.NDArray[np.generic] = np.frombuffer(pixels, dtype, nframes * math.prod(shape), at_pixels)
    return Message(
        epoch, sender, sent, missing, shape, dtype, slots, rows, None if nwords == 0xFFFF else keywords,
        frames.reshape(nframes, *shape), at_ns, skipped,
    )  # fmt: skip


def _checked_shape(number: int, naxis: int, size: list[int]) -> tuple[int, ...]:
    if number not in DTYPES:
        raise refused_message(f"pixels of type {number} are not known")
    if not 1 <= naxis <= 3 or 0 in size[:naxis] or any(size[naxis:]):
        raise refused_message(f"{naxis} axes of {size} are no shape")
    return tuple(size[:naxis])


def _check_rows(rows: Array, *totals: int) -> None:
    """Refuse numbers that no stream has."""
    largest = max(*totals, *(int(rows[name].max(initial=0)) for name in ("cnt0", "lost")))
    if largest >= 2**62 or rows["lost"].max(initial=0) > LOST_MOST:
        raise refused_message(f"a number of frames is {largest}")
    if any(rows[name].min(initial=0) < 0 for name in ("atime_ns", "writetime_ns")):
        raise refused_message("a time lies before 1970")


def _text(text: str, most: int) -> bytes:
    return text.encode("utf-8", "surrogateescape")[:most]


def _keyword(word: Keyword) -> bytes:
    value = word.value
    if isinstance(value, str):
        kind, stored = b"S", _text(value, 16)
    elif isinstance(value, float):
        kind, stored = b"D", _REAL.pack(value)
    elif value is None:
        kind, stored = b"N", b""
    else:
        kind, stored = b"L", _INTEGER.pack(value)
    return _KEYWORD.pack(_text(word.name, 16), kind, b"", stored, _text(word.comment, 80))


def _read_keyword(data: bytes, at: int) -> Keyword:
    name, kind, _, stored, comment = _KEYWORD.unpack_from(data, at)
    value: int | float | str | None = None
    if kind == b"S":
        value = _read_text(stored)
    elif kind == b"D":
        value = _REAL.unpack(stored)[0]
    elif kind == b"L":
        value = _INTEGER.unpack(stored)[0]
    elif kind != b"N":
        raise refused_message(f"a keyword has type {kind!r}")
    if not name.partition(b"\0")[0]:
        raise refused_message("a keyword has no name")
    return Keyword(_read_text(name), value, _read_text(comment))


def _read_text(stored: bytes) -> str:
    return stored.partition(b"\0")[0].decode("utf-8", "surrogateescape")
