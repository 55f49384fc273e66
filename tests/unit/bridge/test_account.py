"""Which frames are missing: a sender, a link and restarts as a model, and the account of a receiver."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pymilk.bridge.account import Account, Arrival
from pymilk.bridge.header import REPEATED, WIRE_ROW, Epoch, Message

FIRST, SECOND = (Epoch(bytes(16), 1, inode, 5) for inode in (1, 2))


def message(first, count=1, *, sender=1, sent=0, missing=0, epoch=FIRST, lost=0, again=False):
    rows = np.zeros(count, WIRE_ROW)
    rows["cnt0"] = first + np.arange(count)
    if count:
        rows["lost"][0], rows["flags"][0] = lost, REPEATED if again else 0
    frames = np.zeros((count, 1), np.uint8)
    return Message(epoch, sender, sent, missing, (1,), frames.dtype, 0, rows, None, frames, 0)


@pytest.fixture
def account():
    """One that has frames 10 and 11, the first two of a sender."""
    made = Account()
    assert made.take(message(10, 2)) == Arrival(0)
    return made


def test_nothing_is_missing(account):
    assert account.take(message(12, sent=2)) == Arrival(0)


def test_lost_on_the_way(account):
    assert account.take(message(15, sent=5)) == Arrival(0, on_way=3)


def test_lost_before(account):
    assert account.take(message(15, sent=2, lost=3)) == Arrival(0, before=3)


def test_both_and_what_a_lost_message_said_was_lost_before(account):
    assert account.take(message(20, sent=4, missing=5, lost=1)) == Arrival(0, before=6, on_way=2)


def test_a_counter_that_was_set_forward_is_not_a_loss(account):
    assert account.take(message(10**12, sent=2)) == Arrival(0)


def test_another_file_of_the_same_sender(account):
    assert account.take(message(1, sent=3, epoch=SECOND, lost=4)) == Arrival(0, 4, 1, 0, True)


def test_the_same_frame_again(account):
    assert account.take(message(11, sent=2, again=True)) == Arrival(1)
    assert account.take(message(12, sent=2)) == Arrival(0)


def test_the_same_frame_again_after_it_was_lost(account):
    assert account.take(message(13, sent=4, again=True)) == Arrival(0, on_way=1)
    assert account.take(message(14, sent=4)) == Arrival(0)


def test_another_sender_of_the_same_file(account):
    assert account.take(message(20, sender=2)) == Arrival(0, away=8)
    assert account.take(message(21, sender=2, sent=1)) == Arrival(0)


def test_another_sender_begins_with_what_is_here(account):
    assert account.take(message(11, 2, sender=2)) == Arrival(1)
    assert account.take(message(13, sender=2, sent=2)) == Arrival(0)


def test_another_sender_of_another_file(account):
    assert account.take(message(3, sender=2, epoch=SECOND)) == Arrival(0, 0, 0, 2, True)


def test_an_earlier_receiver_is_gone_on_with():
    assert Account((FIRST, 4)).take(message(10)) == Arrival(0, away=5)
    assert Account((SECOND, 4)).take(message(10)) == Arrival(0, 0, 0, 9, True)


def test_replays_are_refused(account):
    assert account.take(message(10, 2)) is None
    assert account.take(message(20, sender=2)) == Arrival(0, away=8)
    assert account.take(message(12, sent=2)) is None  # the sender whose place was taken
    assert account.take(message(21, sender=2, sent=1)) == Arrival(0)


def test_absurd_numbers_are_refused(account):
    assert account.take(message(12, sent=2**61)) is None
    assert account.take(message(12, sent=2)) == Arrival(0)


def test_a_message_without_frames_changes_nothing(account):
    assert account.take(message(0, 0, sent=9, missing=4)) == Arrival(0)
    assert account.take(message(14, sent=3, missing=1)) == Arrival(0, before=1, on_way=1)


@pytest.mark.parametrize("seed", range(12))
def test_what_arrives_and_what_is_missing_are_all_frames(seed):
    """A sender with losses of its own and pauses, restarts of it, and a link that drops."""
    dice = random.Random(seed)
    account, sender, sent, missing, cnt0, last = Account(), 1, 0, 0, dice.randint(1, 50), None
    arrived, away = [], 0
    for _ in range(60):
        if dice.random() < 0.05:  # the sender restarts; its first frame may be one that was sent
            sender, sent, missing = sender + 1, 0, 0
            cnt0 += dice.randint(0, 4)
            lost, again = 0, False
        elif last is not None and dice.random() < 0.1:
            lost, again, cnt0 = 0, True, last
        else:
            lost, again = (dice.randint(1, 5) if dice.random() < 0.2 else 0), False
            cnt0 += lost
        count = dice.randint(1, 4)
        numbers = list(range(cnt0, cnt0 + count))
        out = message(cnt0, count, sender=sender, sent=sent, missing=missing, lost=lost, again=again)
        sent, missing = sent + count - again, missing + lost
        last, cnt0 = numbers[-1], cnt0 + count
        if dice.random() < 0.3:
            continue
        got = account.take(out)
        assert got is not None
        new = numbers[got.first :]
        if new:
            if arrived:
                assert new[0] - arrived[-1] - 1 == got.lost
            arrived += new
            away += got.away
    assert arrived == sorted(set(arrived))


@pytest.mark.parametrize("overlap", [0, 1, 3, 7, 12])
def test_the_past_and_the_live_frames_join(overlap):
    """The past has frames 1 to 20; live messages of three frames begin somewhere within it."""
    account, seen, sent = Account(), 20, 100
    assert account.take(message(1, 20, sender=5)) == Arrival(0)
    account.join()
    for first in range(21 - overlap, 40, 3):
        arrival = account.take(message(first, 3, sender=7, sent=sent, again=sent == 100))
        seen, sent = seen + 3 - arrival.first, sent + 3 - (sent == 100)
        assert arrival.lost == 0
    assert seen == first + 2


def test_a_gap_behind_the_past_is_counted():
    account = Account()
    account.take(message(1, 20, sender=5))
    account.join()
    assert account.take(message(24, sender=7, sent=10)) == Arrival(0, away=3)
    assert account.take(message(26, sender=7, sent=12)) == Arrival(0, on_way=1)
