"""Connections that hand nothing on: whose other end is asked, and which of them are cut."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from pymilk.bridge import deafness
from pymilk.bridge.deafness import Deafness, cut
from pymilk.bridge.engine import Echo, Neighbour


class Engine:
    """Answers for those who hear, and counts questions."""

    def __init__(self):
        self.hears, self.hears_us, self.asked, self.renewed = True, True, 0, 0
        self.unheard = []

    def ask_echo(self, neighbour, timeout):
        self.asked += 1
        return Echo(self.hears_us) if self.hears else None

    def tell_unheard(self, numbers):
        self.unheard = list(numbers)

    def renew(self):
        self.renewed += 1


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(deafness, "time", made)
    return made


@pytest.fixture
def connect():
    """Return a function that connects to a listener; returns the neighbour, and the other end."""
    with contextlib.ExitStack() as stack:

        def made(host="127.0.0.1"):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
            near = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            far, _ = listener.accept()
            stack.enter_context(far).settimeout(0.05)
            shown = f"[{host}]" if ":" in host else host
            here, there = (f"tcp/{shown}:{each.getsockname()[1]}" for each in (near, far))
            return Neighbour(there, "", here, "1"), far

        yield made


def is_cut(far):
    try:
        return far.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_one_connection_is_cut_and_no_other(connect, host, tmp_path):
    neighbour, far = connect(host)
    _, other = connect(host)
    with open(tmp_path / "file", "w"), open("/dev/null"), socket.socket():
        before = sorted(os.listdir("/proc/self/fd"))
        assert cut(neighbour)
        assert not cut(neighbour._replace(here=neighbour.address))
        assert sorted(os.listdir("/proc/self/fd")) == before
    assert is_cut(far)
    assert not is_cut(other)


@pytest.mark.parametrize(
    "wrong",
    [
        Neighbour("tcp/127.0.0.1:1", "", "tcp/127.0.0.1:2", "1"), Neighbour("unix/a", "", "unix/b", "1"),
        Neighbour("tcp/host:1", "", "tcp/127.0.0.1:2", "1"), Neighbour("", "", "", ""),
    ],
)  # fmt: skip
def test_what_is_no_connection_of_this_process(wrong):
    assert not cut(wrong)


def test_one_that_answered_before_is_cut_later_and_later(connect, clock):
    engine = Engine()
    engine.hears = False
    watch = Deafness(engine, alone=True)
    for seconds in (1.0, 2.0, 3.0):
        again, far = connect()
        watch._patience[again.address] = seconds
        watch._known.add(again.address)  # somebody answered there
        watch.look([again])
        clock.now += seconds - 0.1
        watch.look([again])
        assert not is_cut(far)
        clock.now += 0.2
        watch.look([again])
        assert is_cut(far)
        assert watch._patience[again.address] == min(2 * seconds, 3.0)


def test_where_nobody_ever_answered_it_is_done_later_and_later(connect, clock, monkeypatch):
    engine = Engine()
    engine.hears = False
    neighbour, far = connect()
    watch = Deafness(engine, alone=True)
    watch.look([neighbour])
    clock.now += 2.9
    watch.look([neighbour])
    assert not is_cut(far)
    clock.now += 0.2
    watch.look([neighbour])
    assert is_cut(far)
    cuts = []
    monkeypatch.setattr(deafness, "cut", lambda each: cuts.append(clock.now) or True)
    began = clock.now
    for _ in range(2000):  # each time another connection
        watch.look([neighbour._replace(here=f"tcp/127.0.0.1:{1 + len(cuts)}")])
        clock.now += 0.1
    waits = [round(after - before) for before, after in zip([began, *cuts], cuts, strict=False)]
    assert waits == [6, 12, 24, 48, 60]
    engine.hears = True  # an answer makes it known
    watch.look([neighbour])
    engine.hears = False
    clock.now += 1.1
    watch.look([neighbour])
    assert len(cuts) == 6


def test_one_that_goes_on_answering_is_asked_no_more(connect, clock):
    engine = Engine()
    neighbour, far = connect()
    watch = Deafness(engine, alone=True)
    for _ in range(20):
        watch.look([neighbour])
        clock.now += 1
    assert 5 <= engine.asked < 10
    engine.hears = False
    watch.look([neighbour])
    assert not is_cut(far)


def test_one_that_falls_silent_while_it_is_new_is_cut(connect, clock):
    engine = Engine()
    neighbour, far = connect()
    watch = Deafness(engine, alone=True)
    watch.look([neighbour])
    engine.hears = False
    clock.now += 1.1
    watch.look([neighbour])
    assert is_cut(far)


@pytest.mark.parametrize("alone", [True, False])
def test_where_cutting_does_not_help_the_engine_begins_anew(clock, monkeypatch, alone):
    """But not if others connect to it; an answer is a new beginning."""
    cuts = []
    monkeypatch.setattr(deafness, "cut", lambda each: cuts.append(each) or True)
    engine = Engine()
    watch = Deafness(engine, alone=alone)

    def look(seconds):
        for _ in range(int(10 * seconds)):
            watch.look([Neighbour("tcp/127.0.0.1:7447", "", f"tcp/127.0.0.1:{1 + len(cuts)}", "1")])
            clock.now += 0.1

    look(1)
    engine.hears = False
    look(4)
    assert (len(cuts), engine.renewed) == (2, 0)
    engine.hears = True
    look(1)
    engine.hears = False
    look(7)
    assert (len(cuts), engine.renewed) == (5, int(alone))


def looks(watch, clock, seconds, *near):
    for _ in range(round(10 * seconds)):
        watch.look(*near)
        clock.now += 0.1


def test_one_that_does_not_hear_this_end_is_cut(connect, clock):
    engine = Engine()
    neighbour, far = connect()
    watch = Deafness(engine, alone=True)
    looks(watch, clock, 1, [neighbour])  # it has not asked often enough to know
    engine.hears_us = False
    looks(watch, clock, 0.9, [neighbour])
    assert not is_cut(far)
    looks(watch, clock, 0.3, [neighbour])
    assert is_cut(far)


def test_one_that_never_hears_this_end_is_cut_three_times(clock, monkeypatch):
    """Rules may be the reason: it is left alone then, until it did hear for as long as it takes to know."""
    cuts = []
    monkeypatch.setattr(deafness, "cut", lambda each: cuts.append(clock.now) or True)
    engine = Engine()
    watch = Deafness(engine, alone=True)

    def look(seconds):
        for _ in range(round(10 * seconds)):  # each time another connection
            watch.look([Neighbour("tcp/127.0.0.1:7447", "", f"tcp/127.0.0.1:{1 + len(cuts)}", "1")])
            clock.now += 0.1

    engine.hears_us = False
    look(30)
    assert len(cuts) == 3
    assert cuts[-1] - cuts[0] < 3
    assert engine.renewed == 0
    watch.look([])
    engine.hears_us = True
    look(4.5)
    watch.look([])
    engine.hears_us = False
    look(1.5)
    assert len(cuts) == 4


def test_what_is_said_before_it_can_be_known_does_not_count(clock, monkeypatch):
    """At first each other end says that it hears: nobody is cut again and again for that."""
    cuts = []
    monkeypatch.setattr(deafness, "cut", lambda each: cuts.append(clock.now) or True)
    engine = Engine()
    watch = Deafness(engine, alone=True)
    for _ in range(10):
        link = Neighbour("tcp/127.0.0.1:7447", "", f"tcp/127.0.0.1:{1 + len(cuts)}", "1")
        engine.hears_us = True
        looks(watch, clock, 0.5, [link])
        engine.hears_us = False
        looks(watch, clock, 1.2, [link])
    assert len(cuts) == 3


def test_who_is_not_heard_is_told_after_three_questions(connect, clock):
    engine = Engine()
    engine.hears = False
    neighbour, far = connect()
    watch = Deafness(engine, alone=False)
    for questions in range(1, 6):
        watch.look([], [neighbour])
        assert engine.asked == questions
        assert engine.unheard == ([] if questions < 3 else [neighbour.number])
    engine.hears = True
    watch.look([], [neighbour])
    assert engine.unheard == []
    looks(watch, clock, 3, [], [neighbour])
    assert engine.asked == 6  # it answered
    assert not is_cut(far)  # it does that itself


def test_who_connects_and_never_answers_is_asked_for_a_while(connect, clock):
    engine = Engine()
    engine.hears = False
    neighbour, far = connect()
    watch = Deafness(engine, alone=False)
    looks(watch, clock, 20, [], [neighbour])
    assert 50 <= engine.asked <= 51
    assert engine.unheard == [neighbour.number]
    assert not is_cut(far)
    watch.look([], [neighbour._replace(here="tcp/127.0.0.1:1")])  # another connection
    assert engine.unheard == []
