"""Numbers of what one sender sends in several ways, and rivals of it."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import Options, Receiver, Sender
from pymilk.bridge.account import Account
from pymilk.bridge.header import decode
from pymilk.bridge.history import ask_past, past
from pymilk.bridge.numbers import Family, family_of, past_number
from pymilk.errors import BridgeError
from support.waiting import until


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((4, 6), np.uint16), ring=256) as shm:
        publish(shm, 30)
        yield shm


def publish(source, count):
    for _ in range(count):
        source.set_data(np.full((4, 6), source.get_counter() + 1, np.uint16))


def came(receiver, source):
    until(lambda: receiver.report.received and receiver.rows()[-1]["cnt0"] == source.get_counter())


def test_numbers_of_a_family():
    family, other = Family(), Family()
    numbers = [family.number, *(family.next() for _ in range(100)), past_number(family.next())]
    assert len(set(numbers)) == 102
    assert {family_of(each) for each in numbers} == {family.number}
    assert family_of(other.next()) != family.number
    assert max(numbers) < 1 << 63


@pytest.mark.parametrize("asked", [{}, {"bin": 2}, {"history": 10}, {"history": 10, "bin": 2}])
def test_of_two_senders_the_first_counts_whatever_is_asked_for(wires, source, asked):
    """Messages of the past, and of other kinds of frames, are of the sender that is there."""
    options = Options(**asked)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Sender(("wfs",), host="rtc", engine=wires))
        receiver = stack.enter_context(
            Receiver("rtc/wfs", name="far", ring=256, engine=wires, options=options)
        )
        until(lambda: receiver.report.received and receiver._held is None)
        second = stack.enter_context(Sender(("wfs",), host="rtc", engine=wires))
        until(lambda: (receiver.report.senders == 2 and not receiver._unasked) or not options.special)
        at = len(options.line.question) > 2
        until(lambda: len(second.report.streams) > at and second.report.streams[at].wanted)
        until(lambda: publish(source, 1) or receiver.report.refused)
        publish(source, 20)
        came(receiver, source)
        report, rows = receiver.report, receiver.rows()
        assert "another sender" in report.trouble
        assert report.lost == 0
        assert options.history or not report.repeated  # else the past and the first live frame overlap
        assert (np.diff(rows["cnt0"].astype(int)) == 1).all()
        assert family_of(receiver._account.sender) == first._number
        first.stop()
        until(lambda: receiver.report.senders == 1)
        publish(source, 2)
        came(receiver, source)
        assert family_of(receiver._account.sender) == second._number
        assert receiver.report.lost == 0


def test_the_past_is_of_one_sender(source):
    one, two = Family().number, Family().number
    turns = iter((True, False) * 20)

    def ask(question):
        answers = [past("wfs", each, question) for each in (one, two)]
        return answers if next(turns) else answers[::-1]

    asked = Options(history=20)
    found = list(ask_past(ask, asked, 48, lambda message: False))
    assert {family_of(each.sender) for each in found} == {one}
    assert sum(len(each.rows) for each in found) == 20


def test_a_sender_that_says_nothing_of_the_past(source):
    def refuse(question):
        return [b"PMNOnot today"]

    with pytest.raises(BridgeError, match="refuses the past: not today"):
        next(ask_past(refuse, Options(history=5), 48, bool))
    with pytest.raises(BridgeError, match="does not answer"):
        next(ask_past(lambda question: [], Options(history=5), 48, bool))


def test_what_is_weighed_while_two_ways_are_joined_is_what_is_taken(source):
    """The live frames begin before the past ends: those that are there already are none of the new ones."""
    account = Account()
    number = Family().number
    asked = b'{"last": 10, "after": 0, "nbytes": 1000000}'
    before = decode(past("wfs", past_number(number), asked), 48)
    assert account.take(before).first == 0
    account.join()
    live = decode(past("wfs", number, asked.replace(b"10", b"3")), 48)
    assert account.weigh(live).first == len(live.rows) == 3
    assert account.take(live).first == 3
    publish(source, 1)
    further = decode(past("wfs", number, asked.replace(b"10", b"2")), 48)
    assert account.weigh(further).first == account.take(further).first == 1
