"""A writer of video or sound, killed behind each of its stores, and what others find then."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from pymilk.channels import AudioStream, VideoStream
from support.killing import content_of, count_deaths, leave_each_store

#: Frames written in peace: the ring has gone round once.
BEFORE = 6
DEPTH = 4


def made(kind: str) -> VideoStream | AudioStream:
    if kind == "video":
        return VideoStream.create("media", 5, 3, "rgb24", frames=DEPTH)
    return AudioStream.create("media", 8, 2, "s16le", blocks=DEPTH)


def frame(media: VideoStream | AudioStream, number: int) -> Any:
    """Return a frame in which every element tells its number."""
    return np.full(media.stream.frame_shape, number, media.stream.dtype)


def check(reader: VideoStream | AudioStream, seen: int, count: int) -> int:
    """Read all that is there: each frame is whole, and none is missing without being counted."""
    frames = 0
    while reader.unread:
        piece = reader.read(0)
        assert piece.number == seen + 1 + piece.lost
        assert (np.asarray(piece.data) == piece.number).all()
        seen = piece.number
        frames += 1
    assert seen == count, (seen, count)
    return frames


def deaths_of(kind: str) -> Iterator[int]:
    """Kill a writer while it writes a frame."""
    with made(kind) as media:
        path, of = media.path, type(media)
        for number in range(1, BEFORE + 1):
            media.write(frame(media, number))
    content = content_of(path)
    kept = content[:]
    deaths = leave_each_store(
        lambda: of.attach("media", write=True), lambda given: given.write(frame(given, BEFORE + 1)), content
    )
    for stores in deaths:
        with of.attach("media", start="oldest") as early, of.attach("media") as late:
            count = late.count
            assert count in (BEFORE, BEFORE + 1)
            # One slot may be in the making: the oldest of these frames, no other.
            assert check(early, early.reader.lost + count - early.unread, count) >= DEPTH - 1
            with of.attach("media", write=True) as media:
                assert media.write(frame(media, count + 1)) == count + 1
            check(early, count, count + 1)
            check(late, count, count + 1)
        yield stores
        content[:] = kept
    os.unlink(path)


def main() -> None:
    count_deaths(lambda: deaths_of(sys.argv[1]))
