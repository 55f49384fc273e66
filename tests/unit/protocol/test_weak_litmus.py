"""The models of weak memory, against programs whose outcomes are known from the literature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from support.weak_memory import (
    Change,
    Fence,
    Load,
    Order,
    Orders,
    Program,
    Registers,
    Store,
    run_reordered,
    run_views,
)

ACQUIRE, RELEASE, FULL = Order.ACQUIRE, Order.RELEASE, Order.FULL

Seen = Callable[..., bool]


def message(*between: Fence) -> Sequence[Program]:
    """Message passing: data, then a flag; the other thread loads the flag, then the data."""
    return (
        [Store("data", 1), *between[:1], Store("flag", 1, "flag out")],
        [Load("flag", "flag in", "flag"), *between[1:], Load("data", "", "data")],
    )


def stale(_: Registers, reader: Registers) -> bool:
    return reader["flag"] == 1 and reader["data"] == 0


STORES_FIRST = (
    [Store("x", 1), Fence("left"), Load("y", "", "y")],
    [Store("y", 1), Fence("right"), Load("x", "", "x")],
)


def both_early(left: Registers, right: Registers) -> bool:
    return left["y"] == 0 and right["x"] == 0


LOADS_FIRST = (
    [Load("x", "in", "x"), Store("y", 1, "out")],
    [Load("y", "in", "y"), Store("x", 1, "out")],
)


def both_late(left: Registers, right: Registers) -> bool:
    return left["x"] == 1 and right["y"] == 1


#: A locked instruction in place of the first store: a full fence on x86, not elsewhere.
LOCKED_FIRST = (
    [Change("x", lambda old, _: old + 1, "change", "old"), Load("y", "in", "y")],
    [Store("y", 1), Fence("right"), Load("x", "", "x")],
)

SAME_WORD = ([Store("x", 1), Store("x", 2)], [Load("x", "", "first"), Load("x", "", "second")])


def backwards(_: Registers, reader: Registers) -> bool:
    return reader["first"] > reader["second"]


FOUR = (
    [Store("x", 1, "out")],
    [Store("y", 1, "out")],
    [Load("x", "in", "x"), Load("y", "in", "y")],
    [Load("y", "in", "y"), Load("x", "in", "x")],
)


def disagree(_: Registers, __: Registers, one: Registers, other: Registers) -> bool:
    return (one["x"], one["y"], other["y"], other["x"]) == (1, 0, 1, 0)


CASES: dict[str, tuple[Sequence[Program], Orders, Seen, str]] = {
    "message, no order": (message(), {}, stale, "views reordered"),
    "message, release only": (message(), {"flag out": RELEASE}, stale, "views reordered"),
    "message, acquire only": (message(), {"flag in": ACQUIRE}, stale, "views reordered"),
    "message, both": (message(), {"flag out": RELEASE, "flag in": ACQUIRE}, stale, ""),
    "message, fences": (
        message(Fence("f"), Fence("g")),
        {"f": RELEASE, "g": ACQUIRE},
        stale,
        "",
    ),
    "message, release fence": (message(Fence("f")), {"f": RELEASE, "flag in": ACQUIRE}, stale, ""),
    "stores first": (STORES_FIRST, {}, both_early, "views reordered x86"),
    "stores first, one fence": (STORES_FIRST, {"left": FULL}, both_early, "views reordered x86"),
    "stores first, fences": (STORES_FIRST, {"left": FULL, "right": FULL}, both_early, ""),
    "stores first, weaker fences": (
        STORES_FIRST,
        {"left": RELEASE, "right": ACQUIRE},
        both_early,
        "views reordered x86",
    ),
    "loads first": (LOADS_FIRST, {}, both_late, "reordered"),
    "loads first, release": (LOADS_FIRST, {"out": RELEASE}, both_late, ""),
    "loads first, acquire": (LOADS_FIRST, {"in": ACQUIRE}, both_late, ""),
    "a change is no fence": (
        LOCKED_FIRST,
        {"change": ACQUIRE, "in": ACQUIRE, "right": FULL},
        lambda left, right: left["y"] == 0 and right["x"] == 0,
        "views reordered",
    ),
    "one word": (SAME_WORD, {}, backwards, ""),
    "four threads": (FOUR, {"out": RELEASE, "in": ACQUIRE}, disagree, "views"),
}


def initial(programs: Sequence[Program]) -> dict[Any, int]:
    return {step.word: 0 for program in programs for step in program if not isinstance(step, Fence)}


@pytest.mark.parametrize("name", CASES)
def test_known_outcomes(name: str) -> None:
    programs, orders, seen, where = CASES[name]
    words = initial(programs)
    models = {
        "views": run_views(words, programs, orders),
        "reordered": run_reordered(words, programs, orders),
        "x86": run_reordered(words, programs, orders, x86=True),
    }
    found = [
        model for model, outcomes in models.items() if any(seen(*registers) for registers, _ in outcomes)
    ]
    assert found == where.split()


def test_changes_lose_nothing() -> None:
    programs = [[Change("x", lambda old, _: old + 1)] * 2] * 2
    for run in (run_views, run_reordered):
        assert {memory["x"] for _, memory in run({"x": 0}, programs, {})} == {4}


def test_a_store_waits_for_what_it_depends_on() -> None:
    programs = (
        [Load("x", "", "x"), Store("y", 1, when=lambda r: r["x"] == 1, needs=("x",))],
        [Load("y", "", "y"), Store("x", 1, when=lambda r: r["y"] == 1, needs=("y",))],
    )
    for run in (run_views, run_reordered):
        assert {memory["x"] for _, memory in run({"x": 0, "y": 0}, programs, {})} == {0}
