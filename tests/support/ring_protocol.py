"""How a ring is filled and read, a store, load or fence at a time.

A transcript of `fill_ring_slot`, `close_frame_by` and `hand_over` on one side, of the functions of `Ring` and
`Cursor` on the other. Each step names its site, which has an order in `orders.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from support.weak_memory import AGAIN, EITHER, Fence, Load, Loads, Run, Store, Word, again

# --------------------------------------------------------------------------------------------------
# The writers, as lists of stores
# --------------------------------------------------------------------------------------------------


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
    #: One is missing before each third frame: to the collector of a private ring, or to a relay.
    gaps: bool = False

    def number(self, update: int) -> int:
        """The number of an update; update 0 is what came before the first one."""
        return update + self.offset + (update // 3 if self.gaps else 0)

    def slot(self, update: int) -> int:
        return (update - 1 if self.kind == "private" else update) % self.depth

    def steps(self, update: int) -> Iterator[Store | Fence]:
        """All stores and fences of one frame, in order."""
        number, slot = self.number(update), self.slot(update)
        if self.kind == "private":
            yield Fence("receive_frame: fence")
        if self.flag:
            yield Store("write", 1)
            yield Fence("open_frame: fence")
        if self.kind == "fast" and self.records:
            yield Store(("record", slot), 0)
            yield Fence("fill_ring_slot: fence")
        yield Store(("pixels", slot, 0), update)
        yield Store(("pixels", slot, 1), update)
        if self.kind == "private":
            lost = number - self.number(update - 1) - 1
            yield Store(("row", slot), (number, lost))
            yield Store(("total", slot), number - update)
            yield Store("written", update, "hand_over: done")
            return
        if self.records:
            yield Store(("time", slot), number)
            site = "fill_ring_slot: cnt0" if self.kind == "fast" else ""
            yield Store(("record", slot), number - (self.records == "before"), site)
        if self.kind == "fast":
            yield Store("CBcycle", update // self.depth, "fill_ring_slot: CBcycle")
            yield Store("CBindex", slot, "fill_ring_slot: CBindex")
        else:
            yield Store("cnt1", slot, "close_frame_by: cnt1")
        yield Store("atime", number)
        yield Store("cnt0", number, "close_frame_by: cnt0")
        if self.flag:
            yield Store("write", 0, "close_frame_by: write")

    def stores(self, update: int) -> Iterator[tuple[Word, Any]]:
        """The stores of one frame alone: words and values."""
        for step in self.steps(update):
            if isinstance(step, Store):
                yield step.word, step.value

    def empty(self) -> dict[Word, Any]:
        """The memory before the first update."""
        memory: dict[Word, Any] = dict.fromkeys(
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


#: What records tell of the newest slot. BETWEEN: the next lap has begun, and CBindex is still to come.
UNKNOWN, COUNTED, UNCOUNTED, BETWEEN = "unknown", "counted", "uncounted", "between"


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
    """The reader of `protocol/ring.pxd` and `protocol/cursor.pxd`; the switches weaken it.

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
    #: Records tell whether the newest slot is counted.
    records = True
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
        self,
        r: Ring,
        moved: int,
        counted: int,
        slot: int,
        counter: int,
        opened: bool,
        uncounted: bool = False,
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
            ahead = ahead or (uncounted and moved > 0)
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
        counter = yield Load("cnt0", "read_fast: cnt0")
        cycle = yield Load("CBcycle", "read_fast: CBcycle")
        slot = (yield Load("CBindex", "read_fast: CBindex")) % self.depth
        counting = (yield from self.read_counting(counter, slot)) if self.records else UNKNOWN
        opened = (yield Load("write", "read_fast: write")) != 0
        if counting is BETWEEN:
            yield AGAIN
        if self.steady and cycle != (yield Load("CBcycle")):
            yield AGAIN
        if self.steady and counter != (yield Load("cnt0")):
            yield AGAIN
        if not self.within:
            opened = (yield Load("write", "read_fast: write")) != 0
        return counter, cycle, slot, opened, counting

    def read_counting(self, counter: int, slot: int) -> Loads:
        stored = yield from self.record_first(slot)
        if stored == 0:
            return UNKNOWN
        if stored == counter:
            if slot == self.depth - 1 and (yield from self.record_first(0)) > counter:
                return BETWEEN
            return COUNTED
        if stored > counter:
            before = (slot + self.depth - 1) % self.depth
            if (yield from self.record_first(before)) == counter:
                return UNCOUNTED
        return UNKNOWN

    def record_first(self, slot: int) -> Loads:
        return (yield Load(("record", slot), "record_first: cnt0"))

    def look_fast(self, r: Ring) -> Loads:
        counter, cycle, slot, opened, counting = yield Run(self.read_fast)
        counted = counter - (r.counter + (r.edge - r.head))
        moved = (cycle - r.cycle) * self.depth + slot - r.edge_slot
        sure = -1
        between = self.between and counting is UNKNOWN
        if between and slot == self.depth - 1 and moved >= self.depth and -1 <= counted < moved - 1:
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
        r = r._replace(cycle=cycle, unsure=unsure)
        r = self.move(r, moved, counted, slot, counter, opened, counting is UNCOUNTED)
        return r._replace(floor=max(r.floor, r.edge + 1 - sure)) if sure >= 0 else r

    def read_temporal(self, edge_slot: int) -> Loads:
        counter = yield Load("cnt0", "read_temporal: cnt0")
        slot = (yield Load("cnt1", "read_temporal: cnt1")) % self.depth
        mark = yield Load(("record", edge_slot))
        stored = yield Load(("record", slot), "read_temporal: cnts")
        opened = (yield Load("write", "read_temporal: write")) != 0
        if self.steady and counter != (yield Load("cnt0")):
            yield AGAIN
        if not self.within:
            stored = yield Load(("record", slot), "read_temporal: cnts")
            opened = (yield Load("write", "read_temporal: write")) != 0
        return counter, slot, mark, stored, opened

    def look_temporal(self, r: Ring) -> Loads:
        counter, slot, mark, stored, opened = yield Run(self.read_temporal, (r.edge_slot,))
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
        edge = yield Load("written", "ring_look: written")
        return r._replace(edge=edge, head=edge, edge_slot=(edge + self.depth - 1) % self.depth)

    def anchor(self) -> Loads:
        r = Ring()
        if self.kind == "private":
            return (yield from self.look(r))
        if self.kind == "fast":
            counter, cycle, slot, opened, counting = yield Run(self.read_fast)
            updates = cycle * self.depth + slot
        else:
            counter, slot, _, mark, opened = yield Run(self.read_temporal, (r.edge_slot,))
            updates, counting = max(counter, mark), UNKNOWN
        ahead = counting is UNCOUNTED or (counting is UNKNOWN and updates == counter + 1)
        # A writer that died in a frame leaves `write` set: then the tries end some time.
        if opened:
            if self.patient or not (yield EITHER):
                yield AGAIN
        elif ahead and not (self.stalled and (yield EITHER)):
            yield AGAIN
        ahead = ahead and opened
        r = r._replace(opened=ahead, flagged=opened, edge_slot=slot, counter=counter)
        if self.kind == "fast":
            unsure = self.doubt and counting is UNKNOWN and slot == self.depth - 1 and cycle > 0
            r = r._replace(cycle=cycle, unsure=unsure, began_open=opened)
            held = min(updates, self.depth - 1)
        else:
            r = r._replace(mark=mark)
            if mark:
                r = r._replace(before=mark + 1 == counter)
                held = 1
                while held < self.depth - 1:
                    older = yield Load(("record", (slot + self.depth - held) % self.depth))
                    if not older > 0:
                        break
                    newer = yield Load(("record", (slot + self.depth - held + 1) % self.depth))
                    if not older < newer:
                        break
                    held += 1
            else:
                held = min(counter, self.depth - 1)
        edge = held + self.depth
        return r._replace(edge=edge, head=edge - ahead, floor=edge + 1 - held)

    def keeps_records(self, r: Ring) -> Loads:
        stored = yield Load(("record", self.slot(r, r.head)))
        return stored + (self.kind == "temporal" and r.before) == r.counter

    def number(self, r: Ring, seq: int, after: int, recorded: bool) -> Loads:
        derived = r.counter - (r.head - seq)
        if recorded:
            stored = yield Load(("record", self.slot(r, seq)))
            stored += self.kind == "temporal" and r.before
            if after < stored <= derived:
                return stored
        return derived

    def whole(self, r: Ring, seq: int) -> Loads:
        yield Fence("ring_whole: fence")
        now = yield from self.look(r)
        return seq >= self.oldest(now)

    def overwritten(self, r: Ring) -> Loads:
        """RingCursor.overwritten: the oldest frame that is still there."""
        yield Fence("overwritten: fence")
        now = yield from self.look(r)
        return self.oldest(now)

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
            total = yield Load(("total", slot))
            if seq <= at:
                total -= (yield Load(("row", slot)))[1]
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
        time = yield Load("atime")
        yield Fence("newest_times: fence")
        slot = yield Load(OUT[self.kind])
        if (
            slot % self.depth != self.slot(r, r.head)
            or (yield Load("write", "newest_times: write"))
            or (yield Load("cnt0")) != r.counter
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
                number = (yield Load(("row", slot)))[0]
                now = yield Load(("total", slot))
                lost = now - total + (seq - seen - 1)
                total = now
            else:
                number = yield from self.number(r, seq, last, recorded)
                stored = self.kind == "temporal" or (recorded and (yield Load(("record", slot))) == number)
                if stored:
                    time = yield Load(("time", slot))
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
            updates = yield Run(self.parts, (slot,))
            seen.append(frame._replace(updates=frame.updates | updates))
        return tuple(seen)

    def parts(self, slot: int) -> Loads:
        """Load both parts of a slot: of which updates are they?"""
        one = yield Load(("pixels", slot, 0))
        return frozenset((one, (yield Load(("pixels", slot, 1)))))

    def passed(self, c: Cursor, frames: tuple[Frame, ...], total: int) -> Cursor:
        """Count frames as read (cursor_pass)."""
        end = c.next + len(frames)
        last = frames[-1].number
        return Cursor(c.ring._replace(reset=False), end, end - 1, last, total, last)


class Patient(Protocol):
    """The writer sets `write`, and the reader is never tired of waiting for it."""

    patient = True
