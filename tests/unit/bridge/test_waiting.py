"""Received streams are waited for as local ones are: `pymilk.wait_any`, also beside other things."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM, wait_any
from pymilk.bridge import Receiver, Sender
from pymilk.channels import MessageLog
from pymilk.errors import StreamTimeoutError
from support.waiting import until


def test_any_of_several_received_streams(wires, shm_dir):
    with (
        SHM("wfs", ((4, 6), np.uint16), ring=64) as wfs,
        SHM("dm", ((3,), np.float32), ring=64) as dm,
        MessageLog.create("app") as log,
        Sender(("wfs", "dm"), host="rtc", engine=wires),
        Receiver("rtc/wfs", name="far_wfs", ring=16, engine=wires) as first,
        Receiver("rtc/dm", name="far_dm", ring=16, engine=wires) as second,
    ):
        until(lambda: first.report.received == second.report.received == 1)
        with (
            SHM("far_wfs") as far_wfs,
            SHM("far_dm") as far_dm,
            far_dm.ring_reader(start="next") as ring,
            MessageLog.attach("app") as reader,
        ):
            items = [far_wfs, ring, reader]
            with pytest.raises(StreamTimeoutError):
                wait_any(items, 0.01)
            wfs.set_data(np.full((4, 6), 7, np.uint16))
            assert wait_any(items, 30) == [0]
            assert far_wfs.get_data()[0, 0] == 7
            dm.set_data(np.full(3, 2, np.float32))
            assert wait_any(items, 30) == [1]
            assert ring.read(1, timeout=30).frames[0, 0] == 2
            log.append("hello")
            assert wait_any(items, 30) == [2]
