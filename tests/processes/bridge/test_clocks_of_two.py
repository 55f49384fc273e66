"""The clock of another process, which is told to be wrong."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk import SHM
from pymilk.bridge import Receiver, directory
from support.bridging import connecting, free_port
from support.waiting import until

SENDER = """
import sys
import pymilk.bridge.clocks as clocks
from pymilk.bridge import Sender
from pymilk.times import now_ns
from support.bridging import listening
clocks.now_ns = lambda: now_ns() - 1_250_000_000
with Sender(("wfs",), listening(int(sys.argv[1])), host="rtc"):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_an_injected_offset_is_found(shm_dir, spawn):
    port = free_port()
    with SHM("wfs", ((4, 6), np.uint16), ring=8):
        sending = spawn(SENDER, port)
        sending.expect("ready")
        with Receiver("rtc/wfs", connecting(port), name="far", ring=8) as receiver:
            until(lambda: receiver.report.clock_offset is not None)
            report = receiver.report
            assert abs(report.clock_offset + 1.25) <= report.clock_uncertainty
            (found,) = directory(connecting(port), timeout=30)
            assert abs(found.clock_offset + 1.25) <= found.clock_uncertainty
        sending.tell()
        sending.finish()
