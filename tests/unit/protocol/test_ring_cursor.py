"""The compiled ring cursors, exhaustively: every state that a writer leaves between two stores."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
import pytest

from pymilk._core import RingCursor, Rows, Stream
from support import isio_format
from support.ring_protocol import OUT, Case
from support.weak_memory import Word


class File:
    """A stream file, a store at a time."""

    def __init__(self, case: Case, make_stream: Callable[..., Stream], name: str = "cam") -> None:
        self.case = case
        depth = case.depth
        if case.kind == "fast":
            self.stream = make_stream(name, (2,), np.uint64, cb_size=depth)
            slots = self.stream.section("ring_slots", writable=True)
            records = self.stream.section("ring_records", writable=True)
            self.records, times = records["cnt0"], records["atime"]
            writetimes = records["writetime"]
        else:
            self.stream = make_stream(name, (depth, 1, 2), np.uint64, imagetype=0x20001)
            slots = self.stream.view(writable=True).reshape(depth, 2)
            self.records = self.stream.section("slice_cnt0", writable=True)
            times = self.stream.section("slice_atime", writable=True)
            writetimes = self.stream.section("slice_writetime", writable=True)
        self.slots, self.times = slots, (times, writetimes)
        raw = np.memmap(self.stream.path, np.uint8, "r+")
        place = isio_format.OFFSETS["default"]
        self.words = {
            name: raw[place[name] : place[name] + np.dtype(dtype).itemsize].view(dtype)
            for name, dtype in (
                ("cnt0", "<u8"),
                ("cnt1", "<u8"),
                ("write", "u1"),
                ("CBindex", "<u4"),
                ("CBcycle", "<u8"),
            )
        }
        stamps = {name: raw[place[name] : place[name] + 16].view("<i8") for name in ("atime", "writetime")}
        self.stamps = tuple(stamps.values())
        for address, value in case.empty().items():
            self.store(address, value)

    def store(self, address: Word, value: Any) -> None:
        if address == "atime":
            for stamp in self.stamps:
                stamp[0] = value % 2**32
        elif address in self.words:
            self.words[address][0] = value % 2**64
        elif isinstance(address, tuple) and address[0] == "pixels":
            self.slots[address[1], address[2]] = value
        elif isinstance(address, tuple) and address[0] == "record":
            self.records[address[1]] = value % 2**64
        elif isinstance(address, tuple) and address[0] == "time":
            for times in self.times:
                times["sec" if times.dtype.names else Ellipsis][address[1]] = value % 2**32


#: A cursor that saw a slot uncounted for 20 ms (DIED_NS) takes its writer for dead.
HURRY_S, DIED_S = 0.008, 0.015


class Follower:
    """A cursor of the real code, and what it has to deliver."""

    def __init__(self, file: File, start: str, edge: int, counted: int) -> None:
        self.case, self.depth = file.case, file.case.depth
        self.cursor: RingCursor = file.stream.ring_cursor()
        self.cursor.begin(start)
        oldest = max(edge + 2 - self.depth, 1)
        told = {"next": counted, "newest": max(counted, oldest) - 1, "oldest": oldest - 1}[start]
        self.told = min(told, counted)
        # The number after which it begins.
        first = self.told + 1
        self.last = self.case.number(first) - 1 if first <= counted else self.case.number(counted)
        self.out = np.zeros((self.depth, *self.cursor.slots.shape[1:]), np.uint64)
        self.rows = Rows(self.depth)
        self.blocks: list[tuple[int, int, Any]] = []
        # Since when the slot was out that was not counted when this last looked, if so.
        self.uncounted = 0.0 if edge == counted else monotonic()

    def may_look(self, uncounted: bool, out: float) -> bool:
        """Tell whether a look is in time: not so late that it has to take the writer for dead.

        That is so in the middle of a frame, and in the middle of the next one if it has not looked between.
        """
        now = monotonic()
        if uncounted and (now - out > HURRY_S or (self.uncounted and now - self.uncounted > HURRY_S)):
            return False
        self.uncounted = out if uncounted else 0.0
        return True

    def expected(self, edge: int, counted: int) -> list[int]:
        return list(range(max(self.told + 1, edge + 2 - self.depth), counted + 1))

    def check_rows(self, updates: list[int], rows: Any) -> None:
        numbers = [self.case.number(update) % 2**64 for update in updates]
        assert rows["cnt0"].tolist() == numbers
        told = [self.last, *map(self.case.number, updates)]
        assert rows["lost"].tolist() == [new - old - 1 for old, new in itertools.pairwise(told)]
        for row, number in zip(rows, numbers, strict=True):
            assert row["atime_ns"] in (0, number % 2**32 * 10**9)
        self.told, self.last = updates[-1], told[-1]

    def copy(self, edge: int, counted: int) -> None:
        updates = self.expected(edge, counted)
        got = self.cursor.copy(self.out, self.rows, 0)
        assert got == len(updates)
        if got:
            assert self.out.reshape(self.depth, 2)[:got].tolist() == [[u, u] for u in updates]
            self.check_rows(updates, self.rows.array[:got])

    def take(self, edge: int, counted: int) -> None:
        updates = self.expected(edge, counted)
        while updates:
            taken = self.cursor.take(self.depth)
            assert taken is not None
            seq, slot, rows = taken
            self.check_rows(updates[: len(rows)], rows)
            self.blocks.append((seq, updates[0], self.cursor.slots[slot : slot + len(rows)]))
            updates = updates[len(rows) :]
        assert self.cursor.take(self.depth) is None

    def check_blocks(self, edge: int) -> None:
        for seq, first, frames in self.blocks:
            gone = self.cursor.overwritten(seq, len(frames))
            assert gone == min(max(edge + 2 - self.depth - first, 0), len(frames))
            updates = range(first + gone, first + len(frames))
            assert frames.reshape(-1, 2)[gone:].tolist() == [[u, u] for u in updates]
        self.blocks = self.blocks[-4:]


def follow(case: Case, make_stream: Callable[..., Stream], anywhere: bool) -> None:
    """Stop the writer between any two stores; begin there, and read everything from there on.

    anywhere: begin in the middle of frames too, where only some writers leave enough to know where they are.
    """
    for attempt in range(20):
        # Whoever was stopped himself, for so long that cursors gave the writer up, has to try again.
        if followed(File(case, make_stream, f"cam{attempt}"), case, anywhere):
            return
    pytest.skip("this machine is too busy to stop a writer for less than 20 ms")


def followed(file: File, case: Case, anywhere: bool) -> bool:
    """Follow once; False if something was wrong and it may have been because of the time."""
    slow: list[float] = []
    try:
        follow_once(file, case, anywhere, slow)
    except AssertionError:
        if not slow:
            raise
        return False
    return True


def note_hold_up(since: float, slow: list[float]) -> float:
    """Note that we were stopped ourselves for longer than cursors wait, however that comes out."""
    now = monotonic()
    if now - since > HURRY_S:
        slow.append(now - since)
    return now


def begins_lap(case: Case, stored: Word) -> bool:
    """Tell whether readers lose frames of a writer that leaves out numbers and stops behind this store."""
    return case.gaps and stored in (("record", 0), "CBcycle")


def follow_once(file: File, case: Case, anywhere: bool, slow: list[float]) -> None:
    edge = counted = 0
    out = monotonic()
    copying: list[tuple[int, Follower]] = []
    taking: list[Follower] = []
    state = 0
    last = monotonic()
    for update in range(1, case.before + case.frames + 1):
        stores = list(case.stores(update))
        for i, (address, value) in enumerate(stores):
            last = note_hold_up(last, slow)
            in_time = edge == counted or monotonic() - out < HURRY_S
            between = i > 0 and begins_lap(case, stores[i - 1][0])
            if update > case.before and (i == 0 or (anywhere and not between)) and in_time:
                for start in ("oldest", "newest", "next"):
                    # Some look in every state, others let the writer get far ahead.
                    copying += [(pace, Follower(file, start, edge, counted)) for pace in (1, 17)]
                    taking.append(Follower(file, start, edge, counted))
            file.store(address, value)
            state += 1
            if address == OUT[case.kind]:
                edge, out = update, monotonic()
            if address == "cnt0":
                counted = update
                if monotonic() - out > DIED_S:
                    slow.append(monotonic() - out)
            if begins_lap(case, address):
                continue
            # Asked before each of them: together they can take longer than a cursor waits.
            try:
                for pace, follower in copying:
                    if state % pace == 0 and follower.may_look(edge != counted, out):
                        follower.copy(edge, counted)
                for follower in taking:
                    if follower.may_look(edge != counted, out):
                        follower.take(edge, counted)
                        follower.check_blocks(edge)
            except AssertionError:
                note_hold_up(last, slow)
                raise
        copying, taking = copying[-90:], taking[-45:]


def laps(kind: str, offset: int, flag: bool, records: str, depth: int) -> Case:
    # A count of 0 before the first frame looks as if none was stored.
    filled = offset or records == "before"
    return Case(kind, depth, 2 * depth + 2, offset, flag, records, before=depth if filled else 0)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize(
    ("kind", "records", "offset"),
    [("fast", "", 0), ("fast", "after", 0), ("temporal", "after", 0), ("temporal", "after", 7)],
)
def test_cursors_that_begin_in_any_state(
    make_stream: Callable[..., Stream], kind: str, records: str, offset: int, depth: int
) -> None:
    follow(laps(kind, offset, True, records, depth), make_stream, anywhere=True)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize("offset", [0, 1, 7, 1000])
@pytest.mark.parametrize(
    ("kind", "records"), [("fast", ""), ("fast", "after"), ("temporal", ""), ("temporal", "before")]
)
def test_cursors_that_begin_between_frames(
    make_stream: Callable[..., Stream], kind: str, records: str, offset: int, flag: bool, depth: int
) -> None:
    follow(laps(kind, offset, flag, records, depth), make_stream, anywhere=False)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_writer_that_leaves_out_numbers(make_stream: Callable[..., Stream], depth: int) -> None:
    case = Case("fast", depth, 3 * depth + 2, flag=True, records="after", gaps=True)
    follow(case, make_stream, anywhere=True)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("lead", [1, 2, 3])
def test_counter_that_stays_behind_the_slots(
    make_stream: Callable[..., Stream], lead: int, depth: int
) -> None:
    # cnt0 was set back once, or two writers lost counts.
    follow(
        Case("fast", depth, 2 * depth + 2, -lead, True, before=2 * depth),
        make_stream,
        anywhere=False,
    )


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_counters_near_their_end(make_stream: Callable[..., Stream], depth: int) -> None:
    # The last number is 2**64 - 1; whatever follows is a counter that went backwards.
    case = laps("fast", 2**64 - 1 - (3 * depth + 2), True, "", depth)
    follow(case, make_stream, anywhere=False)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("offset", [0, 1, 7])
def test_first_look_between_the_lap_and_its_slot(
    make_stream: Callable[..., Stream], offset: int, depth: int
) -> None:
    # Whatever it takes the slots for, what is overwritten a lap later must not be called intact.
    case = Case("fast", depth, 2 * depth, offset, before=2 * depth - 1)
    file = File(case, make_stream)
    stores = [store for u in range(1, case.before + case.frames + 1) for store in case.stores(u)]
    lap = stores.index(("CBcycle", 2))
    for address, value in stores[: lap + 1]:
        file.store(address, value)
    cursor = file.stream.ring_cursor()
    cursor.begin("oldest")
    taken = cursor.take(depth)
    assert taken is not None
    seq, slot, rows = taken
    frames = cursor.slots[slot : slot + len(rows)].reshape(-1, 2)
    before = frames.copy()
    for address, value in stores[lap + 1 :]:
        file.store(address, value)
        gone = cursor.overwritten(seq, len(rows))
        np.testing.assert_array_equal(frames[gone:], before[gone:])
