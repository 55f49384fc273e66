"""Credit of a page: what was sent, what it painted, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette")

from pymilk.errors import StreamArgumentError
from pymilk.web.account import Account
from pymilk.web.credit import Credit


def shown(counter: int, file: int = 7) -> Any:
    return SimpleNamespace(counter=counter, file=file)


def named(counter: int, file: int = 7) -> dict[str, Any]:
    return {"cnt0": counter, "file": str(file)}


def test_what_was_not_painted_is_skipped() -> None:
    credit = Credit()
    assert credit.take(None)
    for counter in (3, 5):
        credit.send(shown(counter))
    assert credit.account.last is None  # it is on its way
    assert credit.take(named(5))
    assert credit.account == Account(1, 0, 1, (5, 7))
    credit.send(shown(9))
    credit.send(shown(12))
    credit.take(named(12))
    assert credit.account == Account(2, 6, 1, (12, 7))


def test_two_frames_are_on_their_way_at_most() -> None:
    credit = Credit()
    assert credit.take(None)
    credit.send(shown(1))
    assert credit.take(None)
    credit.send(shown(2))
    assert not credit.take(None)
    assert credit.take(named(1))
    credit.send(shown(3))
    assert not credit.take(named(1))


def test_the_last_two_frames_are_kept() -> None:
    credit = Credit()
    frames = [shown(counter) for counter in (1, 2, 3)]
    assert [credit.send(each) for each in frames] == [1, 2, 3]
    assert [credit.sent(number) for number in (0, 1, 2, 3, 4)] == [None, None, frames[1], frames[2], None]


@pytest.mark.parametrize(
    "painted",
    [named(4), named(6), named(5, 8), named(2), None, {"cnt0": -1, "file": "7"}, {"cnt0": 5, "file": 7},
     {"cnt0": 5}, {"file": "7"}, {"cnt0": True, "file": "7"}, {"cnt0": 5.0, "file": "7"},
     {"cnt0": "5", "file": "7"}, {"cnt0": 2**64, "file": "7"}, {"cnt0": 5, "file": "-7"},
     {"cnt0": 5, "file": "9" * 21}, {"cnt0": 5, "file": "9" * 20}, {"cnt0": 5, "file": "\u0667"},
     True, 5, "5", [], [5, "7"]],
)  # fmt: skip
def test_what_was_not_sent_cannot_be_painted(painted: object) -> None:
    """Of another file, from the future, from the past, negative, and no frame at all."""
    credit = Credit()
    credit.send(shown(2))
    credit.send(shown(3))
    credit.take(named(3))
    credit.send(shown(5))
    before = credit.account.counts()
    with pytest.raises(StreamArgumentError):
        credit.take(painted)
    assert (credit.account.counts(), credit.account.last) == (before, (3, 7))
    assert credit.take(named(5))


EVENTS = st.tuples(st.integers(1, 9), st.booleans(), st.sampled_from(["", "file", "restart"]))


@settings(deadline=None, database=None)
@given(st.lists(EVENTS, max_size=40))
def test_account_of_what_was_painted(frames: list[tuple[int, bool, str]]) -> None:
    """In each life, shown + skipped is the difference of the last and the first counter painted, + 1."""
    credit, counter, file = Credit(), 100_000, 1
    lives: list[list[int]] = []
    for step, painted, event in frames:
        counter += step
        file += event == "file"
        counter -= 1000 if event == "restart" else 0
        before = credit.account.last
        credit.send(shown(counter, file))
        if not painted:
            credit.take(None if before is None else named(*before))
            credit.send(shown(counter + 1, file))  # one in place of it, which is painted
            counter += 1
        new = before is None or before[1] != file or counter < before[0]
        lives += [[]] if new else []
        lives[-1].append(counter)
        credit.take(named(counter, file))
        if step % 3 == 0:  # the page comes back with what it knows
            account = credit.account
            assert account.last is not None
            credit = Credit(Account.read({**named(*account.last), **account.counts()}))
    total = sum(each[-1] - each[0] + 1 for each in lives)
    assert credit.account.shown + credit.account.skipped == total
    assert (credit.account.shown, credit.account.lives) == (sum(map(len, lives)), len(lives))


@pytest.mark.parametrize(
    "wrong",
    [7, [], "x", {}, {"shown": -1}, {"shown": 1.5}, {"skipped": "4"}, {"skipped": True}, {"lives": 0},
     {"lives": 9}, {"cnt0": -3}, {"file": None}, {"skipped": 2**64}, {"shown": None}],
)  # fmt: skip
def test_accounts_that_are_none(wrong: object) -> None:
    right = {"cnt0": 5, "file": "7", "shown": 3, "skipped": 2, "lives": 1}
    assert Account.read(right) == Account(3, 2, 1, (5, 7))
    with pytest.raises(StreamArgumentError):
        Account.read({**right, **wrong} if isinstance(wrong, dict) and wrong else wrong)
