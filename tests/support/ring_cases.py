"""Rings that the tests of the protocol explore, and what holds in all of them."""

from __future__ import annotations

from support.ring_exploration import explored_in_each_way
from support.ring_protocol import Case, Patient, Protocol
from support.weak_memory import Orders


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
        if before or not (kind == "temporal" and offset)  # nobody can tell that such a cube is empty
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

#: A relay after losses: cnt0 does not tell how many slots were filled, but the records do.
GAPS = Case("fast", 2, 5, flag=True, records="after", gaps=True)

#: Small rings for models of weak memory.
PRIVATE = Case("private", 2, 3)
FAST = Case("fast", 2, 3, flag=True, records="after")
TEMPORAL = Case("temporal", 2, 3, flag=True, records="after")

#: For each order a ring that shows what goes wrong without it.
SITES: dict[str, Case] = {
    "receive_frame: fence": PRIVATE,
    "hand_over: done": PRIVATE,
    "ring_look: written": PRIVATE,
    "ring_whole: fence": PRIVATE,
    "overwritten: fence": PRIVATE,
    "open_frame: fence": TEMPORAL,
    "close_frame_by: cnt1": TEMPORAL,
    "read_temporal: cnt0": TEMPORAL,
    "read_temporal: cnt1": TEMPORAL,
    "read_temporal: cnts": TEMPORAL,
    "read_temporal: write": TEMPORAL,
    "close_frame_by: cnt0": FAST,
    "close_frame_by: write": FAST,
    "fill_ring_slot: CBcycle": FAST,
    "fill_ring_slot: CBindex": FAST,
    "read_fast: cnt0": FAST,
    "read_fast: CBcycle": FAST,
    "read_fast: CBindex": FAST,
    "read_fast: write": FAST,
    "record_first: cnt0": FAST._replace(frames=4, gaps=True),
    "newest_times: fence": FAST._replace(records=""),
    "newest_times: write": FAST._replace(records="", depth=3, frames=4),
}


def of_depth(depth: int, chosen: list[Case]) -> list[Case]:
    return [case for case in chosen if case.depth == depth]


def check_all_is_read(
    case: Case, protocol: type[Protocol] = Protocol, orders: Orders | None = None
) -> None:
    """Check that no interleaving is read wrong, and that frames of all laps are read in some."""
    numbers = {case.number(update) for update in range(case.before + 1, case.before + case.frames + 1)}
    for reads, model in explored_in_each_way(case, protocol, orders):
        assert model.wrong == {}, reads
        assert numbers <= {number for number, _ in model.delivered}, reads


def check_nothing_is_read_wrong(case: Case) -> None:
    """Check that, for a reader who waits for a writer that says when it writes."""
    for reads, model in explored_in_each_way(case, Patient):
        assert model.wrong == {}, reads
