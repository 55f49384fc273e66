"""The ring protocol, exhaustively: every interleaving of a small model of writer and reader.

Rings of 3 slots take longer: soak/test_ring_model.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.ring_cases import (
    FLAGGED,
    GAPS,
    PLAIN,
    check_all_is_read,
    check_nothing_is_read_wrong,
    of_depth,
)
from support.ring_exploration import explored
from support.ring_protocol import Case, Patient, Protocol


@pytest.mark.parametrize("case", of_depth(2, PLAIN), ids=str)
def test_no_interleaving_is_read_wrong(case: Case) -> None:
    check_all_is_read(case)


@pytest.mark.parametrize("case", of_depth(2, FLAGGED), ids=str)
def test_no_interleaving_with_a_writer_that_says_when_it_writes_is_read_wrong(case: Case) -> None:
    check_nothing_is_read_wrong(case)


def test_no_interleaving_with_a_writer_that_leaves_out_numbers_is_read_wrong() -> None:
    check_nothing_is_read_wrong(GAPS)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("records", ["", "before"])
def test_pixels_are_never_mixed_though_numbers_may_not_be_known(depth: int, records: str) -> None:
    # A first look between cnt1 and cnt0 of a writer that sets no `write` cannot tell which came last.
    model = explored(Case("temporal", depth, depth + 2, records=records, before=depth))
    assert "mixed" not in model.wrong


WEAK: dict[str, dict[str, Any]] = {
    "one frame more is taken to be safe": {"margin": 1},
    "a lap is believed before its slot shows": {"between": False},
    "the first look is never between lap and slot": {"doubt": False},
    "words are read once": {"steady": False},
    "no second look": {"second_look": False},
}


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("weakness", WEAK)
def test_the_enumeration_finds_what_a_weaker_reader_does(weakness: str, depth: int) -> None:
    weak = type("Weak", (Protocol,), WEAK[weakness])
    assert "mixed" in explored(Case("fast", depth, depth + 2), protocol=weak, until={"mixed"}).wrong


@pytest.mark.parametrize("records", ["", "after"])
def test_the_enumeration_finds_words_that_are_loaded_too_late(records: str) -> None:
    weak = type("Weak", (Patient,), {"within": False})
    case = Case("temporal", 2, 5, flag=True, records=records)
    assert "number" in explored(case, protocol=weak, until={"number"}).wrong


def test_the_enumeration_finds_numbers_that_only_records_tell() -> None:
    weak = type("Weak", (Patient,), {"records": False})
    assert "number" in explored(GAPS, protocol=weak, until={"number"}).wrong


def test_the_enumeration_finds_totals_of_a_later_lap() -> None:
    weak = type("Weak", (Protocol,), {"within": False})
    assert "account" in explored(Case("private", 2, 6, gaps=True), protocol=weak, until={"account"}).wrong


@pytest.mark.parametrize("kind", ["fast", "temporal", "private"])
def test_the_enumeration_finds_a_writer_that_shows_a_slot_before_it_fills_it(kind: str) -> None:
    assert "mixed" in explored(Case(kind, 3, 6), late=True, until={"mixed"}).wrong
