"""The account of a view: every frame was shown, or is counted as skipped."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pymilk.web.account import Account


def test_first_frame() -> None:
    account = Account()
    account.note(17, 1)
    assert (account.shown, account.skipped, account.lives) == (1, 0, 1)


def test_again_in_another_region() -> None:
    account = Account()
    account.note(17, 1)
    account.note(17, 1)
    assert (account.shown, account.skipped) == (1, 0)


@settings(deadline=None, database=None)
@given(st.lists(st.integers(1, 50), max_size=30))
def test_shown_and_skipped_are_the_difference(steps: list[int]) -> None:
    account, counter = Account(), 5
    account.note(counter, 1)
    for step in steps:
        counter += step
        account.note(counter, 1)
    assert account.shown == 1 + len(steps)
    assert account.shown - 1 + account.skipped == counter - 5


def test_new_files_and_restarts_begin_anew() -> None:
    account = Account()
    for counter, file in ((3, 1), (9, 1), (2, 1), (4, 1), (100, 2), (101, 2)):
        account.note(counter, file)
    assert (account.lives, account.shown, account.skipped) == (3, 6, 5 + 1)
