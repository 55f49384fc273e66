"""The fuzz target for tables, video and audio: whatever their keywords say, reading stays within its limits.

python -m fuzz.ringed --count 20000 --seed 1      # in the directory tests
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import numpy as np

from fuzz.driving import LIMIT, drive_many
from pymilk._core import Keyword
from pymilk.channels import AudioStream, Table, VideoStream
from pymilk.errors import StreamError

__all__ = ["damaged", "drive"]

_TEXTS = (
    "table", "video", "audio", "<f8", "<f4 2,2", "|S3", "<U2", "|V5", "|O", "<f4 0", "<M8[ns]", "<M8[xx]",
    "<f8 9999999", "", "\n", "<f8,<f8", "2", "rgb24", "yuyv422", "s24le", "f64le", "userdefined",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 7, 8, 12, -1, 2**31, 2**63 - 1, -(2**63), 65535, 1.5, float("nan"), float("inf"))

#: What makes a seed, by kind.
_SEEDS = {
    "table": lambda: Table.create("fuzz", [("a", "<f8"), ("b", "S3"), ("c", "<f4", 2)], 8, replace=True),
    "video": lambda: VideoStream.create("fuzz", 4, 2, "yuyv422", replace=True),
    "audio": lambda: AudioStream.create("fuzz", 5, 2, "s24le", replace=True),
}
_FRAMES = {
    "table": lambda channel: channel.append([(1.0, b"x", (1, 2))] * 9),
    "video": lambda channel: channel.write(np.full((2, 4, 2), 99, np.uint8)),
    "audio": lambda channel: channel.write(np.full((5, 2), 99, np.int32)),
}
_READERS = (Table, VideoStream, AudioStream)


def damaged(choice: random.Random) -> None:
    """Make a stream whose keywords have some damage in them."""
    kind = choice.choice(tuple(_SEEDS))
    with _SEEDS[kind]() as channel:
        if choice.randrange(4):
            _FRAMES[kind](channel)
        words = list(channel.stream.read_keywords())
        for _ in range(choice.randint(0, 4)):
            at = choice.randrange(len(words))
            word = words[at]
            value = choice.choice((choice.choice(_TEXTS), choice.choice(_NUMBERS), word.value))
            what = choice.randrange(5)
            if what == 0 and len(words) > 1:
                del words[at]
            elif what == 1:
                words[at] = Keyword(choice.choice(words).name, value, word.comment)
            elif what == 2:
                words[at] = Keyword(word.name, word.value, choice.choice(words).comment)
            else:
                words[at] = Keyword(word.name, value, word.comment)
        channel.stream.write_keywords(words)


def drive() -> None:
    """Do with the stream what users do; every error has to be a `StreamError`, in time."""
    began = time.monotonic()
    for reader in _READERS:
        with contextlib.suppress(StreamError), reader.attach("fuzz", start="oldest") as channel:
            with contextlib.suppress(StreamError):
                channel.read(timeout=0)
            _look(channel)
    seconds = time.monotonic() - began
    assert seconds < LIMIT, f"{seconds:.1f} s"


def _look(channel: Table | VideoStream | AudioStream) -> None:
    if isinstance(channel, Table):
        rows = channel.last(5)
        assert rows.data.dtype == channel.dtype
        rows.data.tolist()
    elif isinstance(channel, VideoStream):
        assert channel.latest().to_rgb().shape == (channel.height, channel.width, 3)
    else:
        assert channel.latest().samples().shape == (channel.samples, channel.channels)


def once(folder: Path, choice: random.Random) -> None:
    damaged(choice)
    drive()


if __name__ == "__main__":
    drive_many(once, __doc__)
