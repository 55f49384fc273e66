"""A relay whose source had its counter set by another program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pymilk import SHM
from pymilk.ring import Relay
from support.isio_format import OFFSETS
from support.waiting import until


def test_relay_says_it_and_goes_on_by_one(make: Callable[..., SHM]) -> None:
    source = make("cam", np.zeros((2, 2), np.uint16))
    place = OFFSETS["default"]["cnt0"]
    counter = np.memmap(source.FILEPATH, np.uint8, "r+")[place : place + 8].view("<u8")

    def publish(count: int) -> None:
        before = relay.report.relayed
        source.set_data(np.ones((2, 2), np.uint16))
        until(lambda: relay.report.relayed == before + count)

    with Relay("cam", "ring", 8) as relay:
        until(lambda: relay.report.relayed == 1)
        publish(1)
        number = relay.target.counter
        assert (relay.report.counter_set, "counter set" in str(relay.report)) == (0, False)
        counter[0] = 2**50
        publish(1)
        assert relay.target.counter == number + 1
        publish(1)
        report = relay.report
    for each in (report, relay.report):  # while it runs, and after its end
        assert (each.counter_set, each.lost, each.to_dict()["counter_set"]) == (1, 0, 1)
        assert "; counter set by another program 1 times; losses unknown" in str(each)
