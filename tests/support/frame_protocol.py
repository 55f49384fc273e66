"""How a frame of a plain stream is published and received, a store, load or fence at a time.

A transcript of `open_frame`, `close_frame_by` and `abandon_frame` on one side, of `look`, `try_copy`,
`steady_stamp_ns` and `receive_frame` on the other. A frame has two pixels, a stamp two words. Number,
pixels and stamps of frame n are n. An abandoned frame has no number; its pixels and its stamp are n + 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from support.weak_memory import (
    Explorer,
    Fence,
    Frontier,
    Load,
    Loads,
    Orders,
    Run,
    Sight,
    Store,
    Views,
    Word,
)

#: What becomes of a frame that was begun.
PUBLISHED, ABANDONED = "published", "abandoned"

PIXELS: tuple[Word, ...] = (("pixel", 0), ("pixel", 1))
#: A stamp that `look` takes, and one that it does not.
WRITETIME: tuple[Word, ...] = (("writetime", "seconds"), ("writetime", "nanoseconds"))
ATIME: tuple[Word, ...] = (("atime", "seconds"), ("atime", "nanoseconds"))

#: Sites whose orders this protocol needs.
SITES = [
    "open_frame: fence",
    "close_frame_by: cnt0",
    "close_frame_by: write",
    "abandon_frame: fence",
    "abandon_frame: write",
    "look: write",
    "look: fence",
    "try_copy: fence",
    "steady_stamp_ns: fence",
    "counter_of: cnt0",
]


class Look(NamedTuple):
    """The same as the struct of that name."""

    write: int
    cnt0: int
    stamps: tuple[float, ...]


class Frame(NamedTuple):
    """A frame that was taken as whole: its number, and what stood in pixels and row."""

    number: int
    pixels: tuple[float, ...]
    stamp: tuple[float, ...]


def stores(fates: Sequence[str]) -> Iterator[Store | Fence]:
    """The writer: a frame for each fate."""
    number = 0
    for fate in fates:
        shown: float = number + (1 if fate is PUBLISHED else 0.5)
        yield Store("write", 1)
        yield Fence("open_frame: fence")
        for pixel in PIXELS:
            yield Store(pixel, shown)
        if fate is ABANDONED:
            yield Fence("abandon_frame: fence")
            yield Store("access", shown)
            yield Store("write", 0, "abandon_frame: write")
            continue
        number += 1
        for word in (*WRITETIME, *ATIME):
            yield Store(word, number)
        yield Store("cnt0", number, "close_frame_by: cnt0")
        yield Store("write", 0, "close_frame_by: write")


class Stream:
    """A writer that does what the fates say, and a reader that attaches at any moment."""

    def __init__(self, fates: Sequence[str], orders: Orders) -> None:
        words: tuple[Word, ...] = ("write", *PIXELS, "access", *WRITETIME, *ATIME, "cnt0")
        self.explorer = Explorer(Views(dict.fromkeys(words, 0), stores(fates), orders))
        self.memory: Views = self.explorer.memory

    # -- the reader ----------------------------------------------------------------------------

    def look(self) -> Loads:
        write = yield Load("write", "look: write")
        counter = yield Load("cnt0")
        stamps = []
        for word in (*WRITETIME, "access"):
            stamps.append((yield Load(word)))
        yield Fence("look: fence")
        return Look(write, counter, tuple(stamps))

    def try_copy(self) -> Loads:
        """The frame, or None if it is not sure to be whole."""
        seen = yield Run(self.look)
        if seen.write:
            return None
        pixels, stamp = [], []
        for pixel in PIXELS:
            pixels.append((yield Load(pixel)))
        for word in ATIME:  # note_frame
            stamp.append((yield Load(word)))
        yield Fence("try_copy: fence")
        if seen != (yield Run(self.look)):
            return None
        return Frame(seen.cnt0, tuple(pixels), tuple(stamp))

    def receive(self, last: int) -> Loads:
        """A frame behind frame `last`, or None if there was none, or none that was whole."""
        if (yield Load("cnt0")) == last:  # has_moved
            return None
        frame = yield from self.try_copy()
        return frame if frame and frame.number != last else None

    def steady_stamp(self) -> Loads:
        """The words of the stamp, or None if the writer was in its frame."""
        before = yield Run(self.look)
        stamp = []
        for word in ATIME:
            stamp.append((yield Load(word)))
        yield Fence("steady_stamp_ns: fence")
        after = yield Run(self.look)
        return tuple(stamp) if before.write == 0 and before == after else None

    def count_and_view(self) -> Loads:
        """The counter, and then the pixels in place."""
        counter = yield Load("cnt0", "counter_of: cnt0")
        pixels = []
        for pixel in PIXELS:
            pixels.append((yield Load(pixel)))
        return counter, tuple(pixels)

    # -- all its runs --------------------------------------------------------------------------

    def begins(self) -> list[Sight]:
        return [self.memory.at(0)]

    def results(self, operation: Any, *args: Any) -> set[Any]:
        """What an operation of a reader that has seen nothing can return."""
        return {
            result
            for begun in self.begins()
            for _, result in self.explorer.runs(operation, *args, state=begun)
        }

    def received(self) -> Iterator[tuple[int, Frame]]:
        """All frames that a reader can receive, each with the number of the one before."""
        todo: list[tuple[Sight, int]] = [(begun, 0) for begun in self.begins()]
        visited = Frontier(self.memory.covers)
        while todo:
            sight, last = todo.pop()
            if not visited.add(last, sight):
                continue
            for then, frame in self.explorer.runs(self.receive, last, state=sight):
                if frame is not None:
                    yield last, frame
                todo.append((then, last if frame is None else frame.number))
