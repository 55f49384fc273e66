"""Frames of events cross the bridge; what goes wrong in a thread that sends is told."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import Options, Receiver, line
from pymilk.errors import BridgeError
from pymilk.native.formats import EVENT
from support.waiting import until


@pytest.fixture
def source(shm_dir):
    with SHM("wfs", ((4, 6), EVENT), ring=64) as shm:
        yield shm


@pytest.mark.parametrize("compress", [None, "blosc2"])
def test_events_arrive(wires, sender, source, compress):
    events = np.zeros((4, 6), EVENT)
    events["f2"] = np.arange(24).reshape(4, 6)
    with Receiver("rtc/wfs", name="far", ring=64, options=Options(compress=compress), engine=wires) as made:
        until(lambda: made.report.received)
        source.set_data(events)
        until(lambda: made.rows()[-1]["cnt0"] == source.get_counter())
        with SHM("far") as far:
            assert (far.get_data() == events).all()


def test_events_have_no_mean(wires, sender, source):
    with Receiver("rtc/wfs", name="far", options=Options(bin=2), engine=wires) as made:
        until(lambda: not made.running)
        with pytest.raises(BridgeError, match="refuses to send wfs with bin=2: bin: events"):
            made.wait(0)


def told(sender):
    return any(each.trouble for each in sender.report.streams)


def test_a_fault_of_the_sender_is_told_and_does_not_end_it(wires, sender, source, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("not known to anybody")

    with Receiver("rtc/wfs", name="far", ring=64, engine=wires) as made:
        with monkeypatch.context() as patched:
            patched.setattr(line, "wire_rows", fail)
            until(lambda: source.set_data(np.zeros((4, 6), EVENT)) or told(sender))
            assert "ZeroDivisionError" in sender.report.streams[0].trouble
            goal = made.report.received + 1  # one may have come before
        until(lambda: source.set_data(np.zeros((4, 6), EVENT)) or made.report.received >= goal)
    assert not sender.report.streams[0].trouble
