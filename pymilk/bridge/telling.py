"""What is said of a stream in messages: rows, keywords, which file it is, what it is like."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._core import Keyword, Stream
from .._types import Array
from ..errors import StreamError, StreamUnsupportedError
from ..times import now_ns
from .header import KEYWORDS_MOST, LOST_MOST, WIRE_ROW, Epoch, Message, encode
from .options import Options

__all__ = ["NO_ROWS", "epoch_of", "like", "printable", "refusal", "refused", "slots_of", "wire_rows",
           "words_of"]  # fmt: skip

#: Of a message without frames.
NO_ROWS = np.zeros(0, WIRE_ROW)

#: What an answer begins with that says no, and the most bytes of words behind it.
_REFUSED, _WORDS_MOST = b"PMNO", 1000


def like(name: str, sender: int, options: Options) -> bytes:
    """Return a message without frames, which says what a stream is like.

    It is b"" if there is no stream now, and a `refusal` if its frames cannot be made what the options say.
    """
    try:
        with Stream.attach(name, writable=False, prefault=False) as stream:
            shape, dtype = options.kind_of(stream.frame_shape, stream.dtype)
            frames = np.zeros((0, *shape), dtype)
            return encode(
                Message(
                    epoch_of(stream), sender, 0, 0, shape, dtype, slots_of(stream), NO_ROWS,
                    words_of(stream), frames, now_ns(),
                )
            )  # fmt: skip
    except StreamUnsupportedError as error:
        return refusal(str(error))
    except StreamError:
        return b""


def refusal(why: str) -> bytes:
    """Return the answer that something is not done, in words."""
    return _REFUSED + why.encode("utf-8", "replace")[:_WORDS_MOST]


def refused(answer: bytes) -> str:
    """Return why something is not done, made printable; "" if the answer is none of that."""
    if not answer.startswith(_REFUSED):
        return ""
    text = answer[len(_REFUSED) :][:_WORDS_MOST].decode("utf-8", "replace")
    return printable(text) or "no reason is given"


def printable(text: str) -> str:
    """Return a text of another machine with nothing in it that could move a cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def slots_of(stream: Stream) -> int:
    """Return how many keywords a stream has room for, as far as they are sent."""
    return min(stream.nbkw, KEYWORDS_MOST - 2)


def wire_rows(info: Array) -> Array:
    """Return rows of frames as they are sent."""
    rows = np.zeros(len(info), WIRE_ROW)
    for name in ("cnt0", "cnt1", "flags"):
        rows[name] = info[name]
    for name in ("atime_ns", "writetime_ns"):
        rows[name] = np.maximum(info[name], 0)
    rows["lost"] = np.minimum(info["lost"], LOST_MOST)
    return rows


def epoch_of(stream: Stream) -> Epoch:
    """Return which file a stream is."""
    file = stream.traces().file
    return Epoch(_boot(), file.device, file.inode, stream.creation_time_ns)


def words_of(stream: Stream) -> list[Keyword]:
    """Return the keywords of a stream that have names, without their counts."""
    return [each._replace(cnt=None) for each in stream.read_keywords() if each.name]


def _boot() -> bytes:
    """Return which start of this machine this is: 16 bytes."""
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
