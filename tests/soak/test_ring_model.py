"""The ring protocol, exhaustively, with rings of 3 slots; unit/protocol/test_ring_model.py has those of 2."""

from __future__ import annotations

import pytest

from support.ring_cases import (
    FLAGGED,
    GAPS,
    PLAIN,
    check_all_is_read,
    check_nothing_is_read_wrong,
    of_depth,
)
from support.ring_protocol import Case


@pytest.mark.parametrize("case", of_depth(3, PLAIN), ids=str)
def test_no_interleaving_is_read_wrong(case: Case) -> None:
    check_all_is_read(case)


@pytest.mark.parametrize("case", of_depth(3, FLAGGED), ids=str)
def test_no_interleaving_with_a_writer_that_says_when_it_writes_is_read_wrong(case: Case) -> None:
    check_nothing_is_read_wrong(case)


@pytest.mark.parametrize(("depth", "frames", "before"), [(2, 5, 2), (3, 6, 0), (3, 6, 3)])
def test_no_interleaving_with_a_writer_that_leaves_out_numbers_is_read_wrong(
    depth: int, frames: int, before: int
) -> None:
    check_nothing_is_read_wrong(GAPS._replace(depth=depth, frames=frames, before=before))
