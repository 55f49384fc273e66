"""The ring protocol in Python, a store or a load at a time.

This transcribes ``pymilk/_ring.pxd``. The tests run every interleaving of writer and reader.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any, NamedTuple

# --------------------------------------------------------------------------------------------------
# The writers, as lists of stores
# --------------------------------------------------------------------------------------------------

Address = Hashable
Store = tuple[Address, Any]


class Case(NamedTuple):
    """One writer, and where it begins."""

    kind: str
    depth: int
    frames: int
    #: cnt0 = updates + offset.
    offset: int = 0
    #: The writer sets `write` around each frame.
    flag: bool = False
    #: Numbers with the slots: "" for none; temporal slices have the count "after" or "before".
    records: str = ""
    #: Frames that were in the ring before, so that the first look need not find an empty one.
    before: int = 0
    #: A private ring: the collector misses one in front of each third frame.
    gaps: bool = False

    def number(self, update: int) -> int:
        """The number of an update; update 0 is what came before the first one."""
        return update + self.offset + (update // 3 if self.gaps else 0)

    def slot(self, update: int) -> int:
        return (update - 1 if self.kind == "private" else update) % self.depth

    def stores(self, update: int) -> Iterator[Store]:
        """All stores of one frame, in order."""
        number, slot = self.number(update), self.slot(update)
        if self.flag:
            yield "write", 1
        if self.kind == "fast" and self.records:
            yield ("record", slot), 0
        yield ("pixels", slot, 0), update
        yield ("pixels", slot, 1), update
        if self.kind == "private":
            lost = number - self.number(update - 1) - 1
            yield ("row", slot), (number, lost)
            yield ("total", slot), number - update
            yield "written", update
            return
        if self.records:
            yield ("time", slot), number
            yield ("record", slot), number - (self.records == "before")
        if self.kind == "fast":
            if slot == 0:
                yield "CBcycle", update // self.depth
            yield "CBindex", slot
        else:
            yield "cnt1", slot
        yield "atime", number
        yield "cnt0", number
        if self.flag:
            yield "write", 0

    def empty(self) -> dict[Address, Any]:
        """The memory before the first update."""
        memory: dict[Address, Any] = dict.fromkeys(
            ("write", "CBcycle", "CBindex", "cnt1", "atime", "written"), 0
        )
        memory["cnt0"] = self.number(0)
        for slot in range(self.depth):
            memory |= {("pixels", slot, 0): 0, ("pixels", slot, 1): 0, ("record", slot): 0}
            memory |= {("time", slot): 0, ("row", slot): (0, 0), ("total", slot): 0}
        return memory


#: The store that brings a frame into its slot.
OUT = {"fast": "CBindex", "temporal": "cnt1", "private": "written"}


# --------------------------------------------------------------------------------------------------
# The reader, a load at a time
# --------------------------------------------------------------------------------------------------

#: What a reader asks for: the word at an address, either way, or to begin the operation again.
EITHER = ("either",)
AGAIN = ("again",)


def again(*args: Any) -> tuple[Any, ...]:
    """Begin the operation again, with other arguments."""
    return (*AGAIN, *args)


Loads = Generator[Any, Any, Any]


class Ring(NamedTuple):
    """The shared part of `struct Ring`, same names."""

    edge: int = 0
    edge_slot: int = 0
    head: int = 0
    counter: int = 0
    floor: int = 1
    cycle: int = 0
    mark: int = 0
    before: bool = False
    settled: bool = False
    opened: bool = False
    flagged: bool = False
    adrift: bool = False
    began_open: bool = False
    unsure: bool = False
    reset: bool = False


class Cursor(NamedTuple):
    ring: Ring
    next: int = 0
    seen: int = 0
    last: int = 0
    total: int = 0
    #: The last number that was told, for the checks: the account has to go on from there.
    told: int = 0
    #: It went on at the newest frame after copies that were spoiled.
    jumped: bool = False


class Frame(NamedTuple):
    """A row, and the updates that its pixels were found to be of."""

    number: int
    lost: int
    time: int
    updates: frozenset[int] = frozenset()


class Protocol:
    """The reader of `_ring.pxd`; the switches weaken it.

    Time stands still here: no slot ever stays uncounted for DIED_NS. Tries do not run out, but for those of
    the first look while `write` is up.
    """

    #: Frames newer than edge - depth that are not safe.
    margin = 2
    #: Between the stores of CBcycle and CBindex.
    between = True
    #: The first look may have been between them too.
    doubt = True
    #: Words that belong together are looked at again.
    steady = True
    #: Frames are looked at again behind the copy.
    second_look = True
    #: Everything that belongs to a count is loaded before it is seen to be the same still.
    within = True
    #: The first look waits for the end of a frame that is being written, however long it takes.
    patient = False
    #: It may give up between the stores of the slot and of cnt0 of a writer that sets no `write`.
    stalled = False

    def __init__(self, case: Case) -> None:
        self.case = case
        self.kind = case.kind
        self.depth = case.depth

    # -- struct Ring ---------------------------------------------------------------------------

    def slot(self, r: Ring, seq: int) -> int:
        assert seq <= r.edge
        return (r.edge_slot + self.depth - (r.edge - seq) % self.depth) % self.depth

    def oldest(self, r: Ring) -> int:
        return max(r.edge + self.margin - self.depth, r.floor, 0)

    def move(
        self, r: Ring, moved: int, counted: int, slot: int, counter: int, opened: bool
    ) -> Ring:
        step = (slot + self.depth - r.edge_slot) % self.depth
        known = moved
        counted_slots = counter - r.counter
        back = counter < r.counter
        ahead = moved == counted + 1
        waiting = r.edge != r.head
        died = waiting and r.opened and not opened
        flagged = r.flagged or opened
        adrift = r.adrift
        if back:
            known = min(moved, counter) if moved >= 0 else 0
            ahead = False
            if moved < 0:
                moved = step
                adrift = True
        elif 0 <= moved <= counted + 1:
            adrift = adrift and moved == 0
        else:
            lap = moved > 0 and counted >= -1
            ahead = lap and (counted + 1 - step) % self.depth == 0
            lap = lap and (counted - step) % self.depth == 0
            if moved < 0:
                moved = step if step or counted <= 0 else self.depth
            sure = counted > 0 and (ahead or lap or adrift)
            known = min(moved, counted + ahead) if sure else int(ahead)
            adrift = not (ahead or lap)
        edge = r.edge + moved
        floor = max(r.floor, edge + 1 - known) if known < moved else r.floor
        if ahead and died:
            floor = max(floor, edge + 1 - min(counted_slots, self.depth))
            ahead = False
        elif ahead and flagged and not opened:
            floor = edge + 1
            ahead = False
        return r._replace(
            edge=edge,
            edge_slot=slot,
            floor=floor,
            head=edge - ahead,
            counter=counter,
            opened=ahead and opened,
            flagged=flagged,
            adrift=adrift,
            reset=r.reset or back,
        )

    def read_fast(self) -> Loads:
        counter = yield "cnt0"
        cycle = yield "CBcycle"
        slot = (yield "CBindex") % self.depth
        opened = (yield "write") != 0
        if self.steady and cycle != (yield "CBcycle"):
            yield AGAIN
        if self.steady and counter != (yield "cnt0"):
            yield AGAIN
        if not self.within:
            opened = (yield "write") != 0
        return counter, cycle, slot, opened

    def look_fast(self, r: Ring) -> Loads:
        counter, cycle, slot, opened = yield from self.read_fast()
        counted = counter - (r.counter + (r.edge - r.head))
        moved = (cycle - r.cycle) * self.depth + slot - r.edge_slot
        sure = -1
        if (
            self.between
            and slot == self.depth - 1
            and moved >= self.depth
            and -1 <= counted < moved - 1
        ):
            moved -= self.depth
            cycle -= 1
        unsure = r.unsure and (r.began_open or not (r.flagged or opened))
        if unsure:
            if moved < 0:
                moved += self.depth
                unsure = False
            elif counted >= moved + self.depth - 1:
                if counted > moved + self.depth:
                    sure = moved
                moved += self.depth
                unsure = False
            else:
                unsure = slot == self.depth - 1
        r = self.move(r._replace(cycle=cycle, unsure=unsure), moved, counted, slot, counter, opened)
        return r._replace(floor=max(r.floor, r.edge + 1 - sure)) if sure >= 0 else r

    def read_temporal(self, r: Ring) -> Loads:
        counter = yield "cnt0"
        slot = (yield "cnt1") % self.depth
        mark = yield "record", r.edge_slot
        stored = yield "record", slot
        opened = (yield "write") != 0
        if self.steady and counter != (yield "cnt0"):
            yield AGAIN
        if not self.within:
            stored = yield "record", slot
            opened = (yield "write") != 0
        return counter, slot, mark, stored, opened

    def look_temporal(self, r: Ring) -> Loads:
        counter, slot, mark, stored, opened = yield from self.read_temporal(r)
        counted = counter - (r.counter + (r.edge - r.head))
        step = (slot + self.depth - r.edge_slot) % self.depth
        if r.mark and mark == r.mark and (step == 0 or stored > r.mark):
            moved = step
        elif counter < r.counter or counted + 1 < step:
            moved = step if not r.mark else step + self.depth
        else:
            moved = counted + 1 - (counted + 1 - step) % self.depth
        r = self.move(r, moved, counted, slot, counter, opened)
        if moved:
            number = r.counter + (r.edge - r.head)
            if stored == number:
                r = r._replace(before=False, settled=True)
            elif stored + 1 == number and not r.settled:
                r = r._replace(before=True)
            keep = stored + r.before == number or 0 < r.mark < stored
            r = r._replace(mark=stored if keep else 0)
        return r

    def look(self, r: Ring) -> Loads:
        if self.kind == "fast":
            return (yield from self.look_fast(r))
        if self.kind == "temporal":
            return (yield from self.look_temporal(r))
        edge = yield "written"
        return r._replace(edge=edge, head=edge, edge_slot=(edge + self.depth - 1) % self.depth)

    def anchor(self) -> Loads:
        r = Ring()
        if self.kind == "private":
            return (yield from self.look(r))
        if self.kind == "fast":
            counter, cycle, slot, opened = yield from self.read_fast()
            updates = cycle * self.depth + slot
        else:
            counter, slot, _, mark, opened = yield from self.read_temporal(r)
            updates = max(counter, mark)
        ahead = updates == counter + 1
        # A writer that died in a frame leaves `write` set: then the tries end some time.
        if opened:
            if self.patient or not (yield EITHER):
                yield AGAIN
        elif ahead and not (self.stalled and (yield EITHER)):
            yield AGAIN
        ahead = ahead and opened
        r = r._replace(opened=ahead, flagged=opened, edge_slot=slot, counter=counter)
        if self.kind == "fast":
            unsure = self.doubt and slot == self.depth - 1 and cycle > 0
            r = r._replace(cycle=cycle, unsure=unsure, began_open=opened)
            held = min(updates, self.depth - 1)
        else:
            r = r._replace(mark=mark)
            if mark:
                r = r._replace(before=mark + 1 == counter)
                held = 1
                while held < self.depth - 1:
                    older = yield "record", (slot + self.depth - held) % self.depth
                    if not older > 0:
                        break
                    if not older < (yield "record", (slot + self.depth - held + 1) % self.depth):
                        break
                    held += 1
            else:
                held = min(counter, self.depth - 1)
        edge = held + self.depth
        return r._replace(edge=edge, head=edge - ahead, floor=edge + 1 - held)

    def keeps_records(self, r: Ring) -> Loads:
        stored = yield "record", self.slot(r, r.head)
        return stored + (self.kind == "temporal" and r.before) == r.counter

    def number(self, r: Ring, seq: int, after: int, recorded: bool) -> Loads:
        derived = r.counter - (r.head - seq)
        if recorded:
            stored = yield "record", self.slot(r, seq)
            stored += self.kind == "temporal" and r.before
            if after < stored <= derived:
                return stored
        return derived

    def whole(self, r: Ring, seq: int) -> Loads:
        now = yield from self.look(r)
        return seq >= self.oldest(now)

    # -- struct Cursor -------------------------------------------------------------------------

    def go(self, c: Cursor, seq: int) -> Loads:
        r = c.ring
        c = c._replace(next=seq, seen=seq - 1)
        if self.kind == "private":
            if r.head == 0:
                return c._replace(told=self.case.number(seq - 1))
            at = max(min(seq, r.head), self.oldest(r))
            # Of frames that were overwritten meanwhile only their own number is known to be lost.
            passed = max(at - seq, 0)
            c = c._replace(told=self.case.number(seq + passed - 1) - passed)
            slot = self.slot(r, at)
            total = yield "total", slot
            if seq <= at:
                total -= (yield "row", slot)[1]
            if self.within and not (yield from self.whole(r, at)):
                now = yield from self.look(r)
                yield again(c._replace(ring=now), seq)
            return c._replace(total=total)
        if seq > r.head:
            last = r.counter + (seq - 1 - r.head)
        else:
            recorded = yield from self.keeps_records(r)
            last = (yield from self.number(r, seq, 0, recorded)) - 1
        return c._replace(last=last, told=last)

    def start(self, r: Ring, start: str) -> Loads:
        """RingCursor.begin up to cursor_go: the ring, and the frame to go on at."""
        r = yield from self.look(r)
        oldest = self.oldest(r)
        seq = {"next": r.head + 1, "newest": max(oldest, r.head), "oldest": oldest}[start]
        return r, min(seq, r.head + 1)

    def newest_time(self, r: Ring) -> Loads:
        time = yield "atime"
        slot = yield OUT[self.kind]
        if (
            slot % self.depth != self.slot(r, r.head)
            or (yield "write")
            or (yield "cnt0") != r.counter
        ):
            return 0
        return time

    def see(self, c: Cursor, spoiled: bool) -> Loads:
        """The look at the begin of cursor_copy and take: how many frames lie side by side?"""
        r = yield from self.look(c.ring)
        c = c._replace(ring=r, next=max(c.next, self.oldest(r)))
        unread = max(r.head + 1 - c.next, 0)
        if spoiled and unread > 1 and (yield EITHER):
            c = c._replace(next=r.head, jumped=True)
            unread = 1
        if unread:
            unread = min(unread, self.depth - self.slot(r, c.next))
        return c, unread

    def rows(self, c: Cursor, count: int) -> Loads:
        r, last, seen, total = c.ring, c.last, c.seen, c.total
        frames = []
        recorded = self.kind != "private" and (yield from self.keeps_records(r))
        for seq in range(c.next, c.next + count):
            slot = self.slot(r, seq)
            time = 0
            if self.kind == "private":
                number = (yield "row", slot)[0]
                now = yield "total", slot
                lost = now - total + (seq - seen - 1)
                total = now
            else:
                number = yield from self.number(r, seq, last, recorded)
                if self.kind == "temporal" or (recorded and (yield "record", slot) == number):
                    time = yield "time", slot
                if time == 0 and seq == r.head:
                    time = yield from self.newest_time(r)
                if seq == c.next and r.reset:
                    lost = 0
                elif number > last:
                    lost = number - last - 1
                else:
                    lost = seq - seen - 1
                last = number
            frames.append(Frame(number, lost, time))
            seen = seq
        return tuple(frames), total

    def pixels(self, c: Cursor, first: int, frames: tuple[Frame, ...]) -> Loads:
        """Load all pixels, in two parts a frame."""
        seen = []
        for i, frame in enumerate(frames):
            slot = self.slot(c.ring, first + i)
            for part in (0, 1):
                frame = frame._replace(updates=frame.updates | {(yield "pixels", slot, part)})
            seen.append(frame)
        return tuple(seen)

    def passed(self, c: Cursor, frames: tuple[Frame, ...], total: int) -> Cursor:
        """Count frames as read (cursor_pass)."""
        end = c.next + len(frames)
        last = frames[-1].number
        return Cursor(c.ring._replace(reset=False), end, end - 1, last, total, last)


# --------------------------------------------------------------------------------------------------
# All interleavings
# --------------------------------------------------------------------------------------------------


class Model:
    """One writer against one reader.

    The writer does the same whatever the reader does, so the memory follows from the number of stores done.
    A load gets the same value at all moments between two stores of its word: the first of them stands
    for all, since every interleaving that begins at a later one is among those that begin there.
    """

    def __init__(self, case: Case, protocol: type[Protocol] = Protocol, late: bool = False) -> None:
        self.case = case
        self.reader = protocol(case)
        memory = case.empty()
        self.history: dict[Address, list[tuple[int, Any]]] = {
            a: [(0, v)] for a, v in memory.items()
        }
        self.edges = [0]
        self.steps = 0
        self.begin = 0
        for update in range(1, case.before + case.frames + 1):
            stores = list(case.stores(update))
            if late:
                # A writer that breaks the rule: the index is out before the pixels have changed.
                stores.sort(key=lambda store: store[0] != OUT[case.kind])
            for address, value in stores:
                self.steps += 1
                self.history[address].append((self.steps, value))
                self.edges.append(update if address == OUT[case.kind] else self.edges[-1])
            if update == case.before:
                self.begin = self.steps
        self.known: dict[Any, list[tuple[int, Any]]] = {}
        self.loads: dict[tuple[Address, int], list[tuple[int, Any]]] = {}
        self.delivered: set[tuple[int, bool]] = set()
        #: What went wrong, and the first case of it.
        self.wrong: dict[str, str] = {}

    def values(self, address: Address, step: int) -> list[tuple[int, Any]]:
        """What a load can get from now on, each value with the first moment at which it is there."""
        found = self.loads.get((address, step))
        if found is None:
            first: dict[Any, int] = {}
            entries = self.history[address]
            for i, (since, value) in enumerate(entries):
                if i + 1 == len(entries) or entries[i + 1][0] > step:
                    first.setdefault(value, max(since, step))
            found = self.loads[address, step] = [(since, value) for value, since in first.items()]
        return found

    def runs(self, operation: Callable[..., Loads], *args: Any, step: int) -> list[tuple[int, Any]]:
        """Run an operation of the reader in all ways; returns its results and when they are there."""
        key = (operation.__name__, args, step)
        if key in self.known:
            return self.known[key]
        results: dict[Any, int] = {}
        visited: dict[Any, int] = {}
        stack: list[tuple[int, tuple[Any, ...], tuple[Any, ...]]] = [(step, args, ())]
        while stack:
            now, given, loaded = stack.pop()
            if visited.get((given, loaded), now + 1) <= now:
                continue
            visited[given, loaded] = now
            run = operation(*given)
            try:
                wanted = next(run)
                for value in loaded:
                    wanted = run.send(value)
            except StopIteration as end:
                results[end.value] = min(results.get(end.value, now), now)
                continue
            if wanted[:1] == AGAIN:
                stack.append((now, wanted[1:] or given, ()))
            elif wanted == EITHER:
                stack += [(now, given, (*loaded, way)) for way in (False, True)]
            else:
                found = self.values(wanted, now)
                stack += [(since, given, (*loaded, value)) for since, value in found]
        found = self.known[key] = [(when, result) for result, when in results.items()]
        return found

    def explore(self, reads: str) -> None:
        """Anchor at any moment, begin anywhere, then read until the writer is done."""
        reader = self.reader
        todo: list[tuple[int, Cursor, bool]] = []
        for step in range(self.begin, self.steps + 1):
            for anchored, ring in self.runs(reader.anchor, step=step):
                for start in ("next", "newest", "oldest"):
                    for looked, (now, seq) in self.runs(reader.start, ring, start, step=anchored):
                        todo += [
                            (at, c, False)
                            for at, c in self.runs(reader.go, Cursor(now), seq, step=looked)
                        ]
        visited: dict[tuple[Cursor, bool], int] = {}
        while todo:
            step, cursor, spoiled = todo.pop()
            if visited.get((cursor, spoiled), step + 1) <= step:
                continue
            visited[cursor, spoiled] = step
            for at, (c, count) in self.runs(reader.see, cursor, spoiled, step=step):
                if count == 0:
                    self.check_drained(c, at)
                    todo.append((at, c, False))
                    if at < self.steps:
                        todo.append((at + 1, c, False))
                else:
                    todo += (
                        self.copied(c, count, at) if reads == "copy" else self.taken(c, count, at)
                    )

    def copied(self, c: Cursor, count: int, step: int) -> Iterator[tuple[int, Cursor, bool]]:
        """cursor_copy: rows, pixels, the second look."""
        reader = self.reader
        for rowed, (rows, total) in self.runs(reader.rows, c, count, step=step):
            for copied, frames in self.runs(reader.pixels, c, c.next, rows, step=rowed):
                for at, whole in self.runs(reader.whole, c.ring, c.next, step=copied):
                    if not (whole or not reader.second_look):
                        yield at, c, True
                        continue
                    self.check_rows(c, frames, at)
                    self.check_pixels(frames)
                    yield at, reader.passed(c, frames, total), False

    def taken(self, c: Cursor, count: int, step: int) -> Iterator[tuple[int, Cursor, bool]]:
        """`take`: rows, the second look, and the frames are read in place; then `overwritten`."""
        reader = self.reader
        for rowed, (rows, total) in self.runs(reader.rows, c, count, step=step):
            for at, whole in self.runs(reader.whole, c.ring, c.next, step=rowed):
                if not (whole or not reader.second_look):
                    yield at, c, True
                    continue
                self.check_rows(c, rows, at)
                behind = reader.passed(c, rows, total)
                for used, frames in self.runs(reader.pixels, c, c.next, rows, step=at):
                    # At once, or after the cursor went on and looked for itself.
                    held = [(used, behind)]
                    held += [
                        (when, seen)
                        for when, (seen, _) in self.runs(reader.see, behind, False, step=used)
                    ]
                    for when, now in held:
                        for asked, ring in self.runs(reader.look, now.ring, step=when):
                            gone = min(max(reader.oldest(ring) - c.next, 0), count)
                            self.check_pixels(frames[gone:])
                            yield asked, now, False

    # -- what has to hold ----------------------------------------------------------------------

    def note(self, what: str, *details: object) -> None:
        self.wrong.setdefault(what, " ".join(map(str, details)))

    def check_rows(self, c: Cursor, frames: tuple[Frame, ...], step: int) -> None:
        told = c.told
        newest = self.case.number(self.edges[step])
        for i, frame in enumerate(frames):
            if frame.number <= told or frame.number > newest:
                self.note("order", frame, "after", told, "newest", newest, c, step)
                return
            if frame.lost != frame.number - told - 1:
                self.note("account", frame, "after", told, c, step)
            if frame.time not in (0, frame.number):
                self.note("time", frame, c, step)
            if i == 0 and not c.jumped:
                # Nothing is lost before it has to be: the frame behind the last one may be touched by now.
                update = next(u for u in range(1, step + 2) if self.case.number(u) > told)
                if (
                    self.case.number(update) < frame.number
                    and update > self.edges[step] + 1 - self.case.depth
                ):
                    self.note("lost early", frame, "after", told, c, step)
            told = frame.number

    def check_pixels(self, frames: tuple[Frame, ...]) -> None:
        for frame in frames:
            if len(frame.updates) > 1:
                self.note("mixed", frame)
            elif {self.case.number(update) for update in frame.updates} != {frame.number}:
                self.note("number", frame)
            self.delivered.add((frame.number, frame.time > 0))

    def check_drained(self, c: Cursor, step: int) -> None:
        newest = self.case.number(self.case.before + self.case.frames)
        if step == self.steps and c.told != newest:
            self.note("undrained", newest, c)


class Patient(Protocol):
    """The writer sets `write`, and the reader is never tired of waiting for it."""

    patient = True


def explored(
    case: Case, reads: str = "copy", protocol: type[Protocol] = Protocol, late: bool = False
) -> Model:
    model = Model(case, protocol, late)
    model.explore(reads)
    return model


def cases(
    kind: str, offsets: tuple[int, ...], flags: tuple[bool, ...], records: tuple[str, ...]
) -> list[Case]:
    """Rings of 2 and 3 slots with more than two laps, the first one in a ring that was never filled."""
    return [
        Case(kind, depth, depth + 2 + (depth % 2 and not before), offset, flag, record, before)
        for depth in (2, 3)
        for offset in offsets
        for flag in flags
        for record in records
        for before in (0, depth)
        if before
        or not (kind == "temporal" and offset)  # nobody can tell that such a cube is empty
    ]


#: Whoever reads these needs no patience.
PLAIN = [
    *cases("private", (0,), (False,), ("",)),
    *[case._replace(gaps=True) for case in cases("private", (0,), (False,), ("",))],
    *cases("fast", (0,), (False, True), ("", "after")),
    *cases("temporal", (0, 7), (False, True), ("after",)),
]

#: First looks at these must not come into a frame: nothing tells which number the newest slot has.
FLAGGED = [
    *cases("fast", (1, 7), (True,), ("", "after")),
    *cases("temporal", (0, 7), (True,), ("", "before")),
]


def of_depth(depth: int, chosen: list[Case]) -> list[Case]:
    return [case for case in chosen if case.depth == depth]


def check_all_is_read(case: Case, reads: str) -> None:
    """Check that no interleaving is read wrong, and that frames of all laps are read in some."""
    model = explored(case, reads)
    assert model.wrong == {}
    last = case.before + case.frames
    assert {case.number(update) for update in range(case.before + 1, last + 1)} <= {
        number for number, _ in model.delivered
    }
