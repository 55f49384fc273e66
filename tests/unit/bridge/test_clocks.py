"""The offset of another clock: within its uncertainty whatever the ways take, and never applied."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import Receiver, Sender, clocks, directory
from pymilk.bridge.clocks import Clock
from pymilk.times import now_ns
from support.waiting import until
from support.wires import Wires


def round_trip(clock, offset, there, back, now=0.0, rest=5_000):
    """Add a round trip over ways of so many nanoseconds to a clock that is ahead."""
    sent = 10**18
    came = sent + there + offset
    clock.add(sent, came, came + rest, sent + there + rest + back, now)


@pytest.mark.parametrize("offset", [0, 37_000_000_000, -250_000, 3])
def test_the_offset_is_within_its_uncertainty(offset):
    luck, clock = random.Random(offset), Clock()
    for number in range(200):
        round_trip(
            clock, offset, luck.randrange(50_000, 5_000_000), luck.randrange(50_000, 5_000_000), number / 100
        )
        found = clock.read(number / 100)
        assert abs(found.offset - offset / 1e9) <= found.uncertainty + 1e-9


def test_the_shortest_way_tells_most():
    clock = Clock()
    round_trip(clock, 1000, 900_000, 100_000)
    round_trip(clock, 1000, 10_000, 10_000)
    round_trip(clock, 1000, 100_000, 900_000)
    found = clock.read(0.0)
    assert (found.offset, found.uncertainty) == pytest.approx((1e-6, 10e-6))


def test_what_was_measured_long_ago_tells_less():
    clock = Clock()
    round_trip(clock, 0, 10_000, 10_000, now=0.0)
    assert clock.read(100.0).uncertainty == pytest.approx(10e-6 + 100 * 20e-6)
    round_trip(clock, 0, 500_000, 500_000, now=100.0)
    assert clock.read(100.0).uncertainty == pytest.approx(500e-6)


def test_a_clock_that_was_set():
    clock = Clock()
    round_trip(clock, 0, 10_000, 10_000, now=0.0)
    round_trip(clock, 2_000_000_000, 300_000, 300_000, now=1.0)
    assert clock.read(1.0).offset == pytest.approx(2.0)
    clock.add(1000, 5, 0, 0)  # and times that cannot be
    clock.add(1000, 5, 10_000, 1100)
    assert len(clock) == 1


def test_report_and_list_have_it_and_no_time_is_changed(shm_dir, monkeypatch):
    """The clock of the source is 5 s ahead; its frames say what it said."""
    wires = Wires()
    with SHM("wfs", ((4, 6), np.uint16), ring=8) as source, Sender(("wfs",), host="rtc", engine=wires):
        until(lambda: wires.here)
        answer = clocks.answer_clock

        def ahead(key, question):
            monkeypatch.setattr(clocks, "now_ns", lambda: now_ns() + 5_000_000_000)
            try:
                return answer(key, question)
            finally:
                monkeypatch.setattr(clocks, "now_ns", now_ns)

        for each in wires.answers:
            each.call = ahead if each.key.endswith("/clock") else each.call
        with Receiver("rtc/wfs", name="far", ring=8, engine=wires) as receiver:
            until(lambda: receiver.report.received and receiver.report.clock_offset is not None)
            report = receiver.report
            assert abs(report.clock_offset - 5) <= report.clock_uncertainty
            assert "its clock +500" in str(report) or "its clock +499" in str(report)
            stamp = now_ns()
            source.set_data(np.zeros((4, 6), np.uint16))
            until(lambda: receiver.rows()[-1]["cnt0"] == source.get_counter())
            assert abs(int(receiver.rows()[-1]["atime_ns"]) - stamp) < 4_000_000_000
        (found,) = directory(engine=wires)
        assert abs(found.clock_offset - 5) <= found.clock_uncertainty


@pytest.mark.parametrize("said", [b"", b"PMCK", b"PMCK" + b"\xff" * 16, b"X" * 20])
def test_other_answers_are_left_out(said):
    wires = Wires()
    wires.answer("a", lambda *_: said)
    clock = Clock()
    assert not clocks.ask_clock(wires, "a", clock, 1.0)
    assert clock.read() is None
