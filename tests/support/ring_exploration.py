"""Every way in which one reader of a ring can meet its writer, and what has to hold in each.

`Moments` is a memory that keeps the order of the program. In `WeakRing` only orders and fences hold.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Set
from itertools import count as count_from
from operator import le
from typing import Any

from support.ring_protocol import OUT, Case, Cursor, Frame, Protocol
from support.weak_memory import (
    Explorer,
    Fence,
    Frontier,
    Load,
    Orders,
    Sight,
    Views,
    Word,
)


class Moments:
    """The memory follows from the number of stores done, which is the state.

    A load gets the same value at all moments between two stores of its word: the first of them stands for
    all, since every interleaving that begins at a later one is among those that begin there.
    """

    covers = staticmethod(le)

    def __init__(self, case: Case, late: bool = False) -> None:
        self.history: dict[Word, list[tuple[int, Any]]] = {
            word: [(0, value)] for word, value in case.empty().items()
        }
        self.edges = [0]
        self.steps = 0
        self.begin = 0
        for update in range(1, case.before + case.frames + 1):
            stores = list(case.stores(update))
            if late:
                # A writer that breaks the rule: the index is out before the pixels have changed.
                stores.sort(key=lambda store: store[0] != OUT[case.kind])
            for word, value in stores:
                self.steps += 1
                self.history[word].append((self.steps, value))
                self.edges.append(update if word == OUT[case.kind] else self.edges[-1])
            if update == case.before:
                self.begin = self.steps
        self.known: dict[tuple[Word, int], list[tuple[Any, int]]] = {}

    def begins(self) -> range:
        return range(self.begin, self.steps + 1)

    def loads(self, load: Load, step: int) -> list[tuple[Any, int]]:
        """What a load can get from now on, each value with the first moment at which it is there."""
        found = self.known.get((load.word, step))
        if found is None:
            first: dict[Any, int] = {}
            entries = self.history[load.word]
            for i, (since, value) in enumerate(entries):
                if i + 1 == len(entries) or entries[i + 1][0] > step:
                    first.setdefault(value, max(since, step))
            found = self.known[load.word, step] = list(first.items())
        return found

    def fence(self, fence: Fence, step: int) -> int:
        return step

    def newest(self, step: int) -> int:
        """The newest update whose slot is out."""
        return self.edges[step]

    def ended(self, step: int) -> bool:
        return step == self.steps

    def later(self, step: int) -> range:
        """What comes if the reader waits."""
        return range(step + 1, min(step + 2, self.steps + 1))


class WeakRing(Views):
    """What a reader of a ring may see of its writer in weak memory."""

    def __init__(self, case: Case, orders: Orders) -> None:
        steps = [list(case.steps(update)) for update in range(1, case.before + case.frames + 1)]
        super().__init__(case.empty(), [step for frame in steps for step in frame], orders)
        self.out = OUT[case.kind]
        self.begin = self.at(sum(map(len, steps[: case.before])))

    def begins(self) -> list[Sight]:
        return [self.begin]

    def newest(self, sight: Sight) -> int:
        """The newest update whose slot the reader knows to be out."""
        return self.count(self.out, sight)

    def ended(self, sight: Sight) -> bool:
        return sight.seen == self.complete.seen

    def later(self, sight: Sight) -> list[Sight]:
        """All stores arrive some time."""
        return [self.complete]


class RingExplorer(Explorer):
    """One writer against one reader."""

    def __init__(
        self, case: Case, protocol: type[Protocol], memory: Any, until: Set[str] = frozenset()
    ) -> None:
        super().__init__(memory)
        self.case = case
        self.reader = protocol(case)
        #: Stop once one of these went wrong.
        self.until = until
        self.delivered: set[tuple[int, bool]] = set()
        #: What went wrong, and the first case of it.
        self.wrong: dict[str, str] = {}

    def explore(self, reads: str) -> None:
        """Anchor at any moment, begin anywhere, then read until the writer is done.

        What a second way to read has in common with the first is known by then.
        """
        self.delivered, self.wrong = set(), {}
        reader = self.reader
        todo: list[tuple[Any, Cursor, bool]] = []
        for begun in self.memory.begins():
            for anchored, ring in self.runs(reader.anchor, state=begun):
                for start in ("next", "newest", "oldest"):
                    for looked, (now, seq) in self.runs(reader.start, ring, start, state=anchored):
                        todo += [
                            (at, c, False) for at, c in self.runs(reader.go, Cursor(now), seq, state=looked)
                        ]
        visited = Frontier(self.memory.covers)
        while todo and self.until.isdisjoint(self.wrong):
            state, cursor, spoiled = todo.pop()
            if not visited.add((cursor, spoiled), state):
                continue
            for at, (c, count) in self.runs(reader.see, cursor, spoiled, state=state):
                if count == 0:
                    self.check_drained(c, at)
                    todo.append((at, c, False))
                    todo += [(then, c, False) for then in self.memory.later(at)]
                else:
                    todo += self.copied(c, count, at) if reads == "copy" else self.taken(c, count, at)

    def copied(self, c: Cursor, count: int, state: Any) -> Iterator[tuple[Any, Cursor, bool]]:
        """cursor_copy: rows, pixels, the second look."""
        reader = self.reader
        for rowed, (rows, total) in self.runs(reader.rows, c, count, state=state):
            for copied, frames in self.runs(reader.pixels, c, c.next, rows, state=rowed):
                for at, whole in self.runs(reader.whole, c.ring, c.next, state=copied):
                    if not (whole or not reader.second_look):
                        yield at, c, True
                        continue
                    self.check_rows(c, frames, at)
                    self.check_pixels(frames)
                    yield at, reader.passed(c, frames, total), False

    def taken(self, c: Cursor, count: int, state: Any) -> Iterator[tuple[Any, Cursor, bool]]:
        """`take`: rows, the second look, and the frames are read in place; then `overwritten`."""
        reader = self.reader
        for rowed, (rows, total) in self.runs(reader.rows, c, count, state=state):
            for at, whole in self.runs(reader.whole, c.ring, c.next, state=rowed):
                if not (whole or not reader.second_look):
                    yield at, c, True
                    continue
                self.check_rows(c, rows, at)
                behind = reader.passed(c, rows, total)
                for used, frames in self.runs(reader.pixels, c, c.next, rows, state=at):
                    # At once, or after the cursor went on and looked for itself.
                    held = [(used, behind)]
                    held += [
                        (when, seen) for when, (seen, _) in self.runs(reader.see, behind, False, state=used)
                    ]
                    for when, now in held:
                        for asked, oldest in self.runs(reader.overwritten, now.ring, state=when):
                            gone = min(max(oldest - c.next, 0), count)
                            self.check_pixels(frames[gone:])
                            yield asked, now, False

    # -- what has to hold ----------------------------------------------------------------------

    def note(self, what: str, *details: object) -> None:
        self.wrong.setdefault(what, " ".join(map(str, details)))

    def check_rows(self, c: Cursor, frames: tuple[Frame, ...], state: Any) -> None:
        told = c.told
        newest = self.case.number(self.memory.newest(state))
        for i, frame in enumerate(frames):
            if frame.number <= told or frame.number > newest:
                self.note("order", frame, "after", told, "newest", newest, c, state)
                return
            if frame.lost != frame.number - told - 1:
                self.note("account", frame, "after", told, c, state)
            if frame.time not in (0, frame.number):
                self.note("time", frame, c, state)
            if i == 0 and not c.jumped:
                # Nothing is lost before it has to be: the frame behind the last one may be touched by now.
                update = next(u for u in count_from(1) if self.case.number(u) > told)
                if (
                    self.case.number(update) < frame.number
                    and update > self.memory.newest(state) + 1 - self.case.depth
                ):
                    self.note("lost early", frame, "after", told, c, state)
            told = frame.number

    def check_pixels(self, frames: tuple[Frame, ...]) -> None:
        for frame in frames:
            if len(frame.updates) > 1:
                self.note("mixed", frame)
            elif {self.case.number(update) for update in frame.updates} != {frame.number}:
                self.note("number", frame)
            self.delivered.add((frame.number, frame.time > 0))

    def check_drained(self, c: Cursor, state: Any) -> None:
        newest = self.case.number(self.case.before + self.case.frames)
        if self.memory.ended(state) and c.told != newest:
            self.note("undrained", newest, c)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collections: hundreds of thousands of objects are kept, and none is in a circle."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _explored(model: RingExplorer, ways: Iterable[str]) -> Iterator[tuple[str, RingExplorer]]:
    with uncollected():
        for reads in ways:
            model.explore(reads)
            yield reads, model
        model.forget()


def explored(
    case: Case,
    reads: str = "copy",
    protocol: type[Protocol] = Protocol,
    late: bool = False,
    until: Set[str] = frozenset(),
) -> RingExplorer:
    """Explore in the order of the program."""
    ((_, model),) = _explored(RingExplorer(case, protocol, Moments(case, late), until), [reads])
    return model


def explored_weakly(
    case: Case,
    orders: Orders,
    reads: str = "copy",
    protocol: type[Protocol] = Protocol,
    until: Set[str] = frozenset(),
) -> RingExplorer:
    """Explore with the given orders only."""
    ((_, model),) = _explored(RingExplorer(case, protocol, WeakRing(case, orders), until), [reads])
    return model


def explored_in_each_way(
    case: Case, protocol: type[Protocol] = Protocol, orders: Orders | None = None
) -> Iterator[tuple[str, RingExplorer]]:
    """Explore frames that are copied, then those that are taken; with the given orders only, if any."""
    memory = Moments(case) if orders is None else WeakRing(case, orders)
    return _explored(RingExplorer(case, protocol, memory), ("copy", "take"))
