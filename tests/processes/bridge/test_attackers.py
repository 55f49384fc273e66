"""Somebody on the wire, with a session of the engine: noise, lies, floods. Real frames arrive as before."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk import SHM
from pymilk.bridge import Receiver
from support.bridging import free_port, listening
from support.leaks import memory
from support.waiting import until

#: Puts what a number says, `count` times, in a process of its own, for each line; says how often.
ATTACKER = """
import sys
import zenoh
from pymilk.bridge.keys import FRAMES, key_of
from support.attackers import messages, raw_session
session = raw_session(sys.argv[1])
publisher = session.declare_publisher(
    key_of("rtc", "wfs", FRAMES), congestion_control=zenoh.CongestionControl.BLOCK)
print("ready", flush=True)
for line in sys.stdin:
    kind, count = line.split()
    made = messages(kind)
    for number in range(int(count)):
        publisher.put(made[number % len(made)])
    print("done", flush=True)
session.close()
"""

#: Connects to the receiver, as the attacker does.
SENDER = """
import sys
from pymilk.bridge import Sender
from support.bridging import connecting
with Sender(("wfs",), connecting(int(sys.argv[1])), host="rtc"):
    print("ready", flush=True)
    sys.stdin.readline()
"""

MAX_FRAME = 1_000_000


def test_the_kinds_of_attack_are_refused_counted_and_take_no_memory(shm_dir, spawn):
    port = free_port()
    sender = spawn(SENDER, port)
    sender.expect("ready")
    with (
        SHM("wfs", ((4, 6), np.uint16), ring=64) as source,
        Receiver("rtc/wfs", listening(port), name="far", max_frame=MAX_FRAME) as receiver,
    ):
        attacker = spawn(ATTACKER, f"tcp/127.0.0.1:{port}")
        attacker.expect("ready")

        def publish(count):
            for _ in range(count):
                source.set_data(np.full((4, 6), 7, np.uint16))
            until(lambda: receiver.rows()[-1:]["cnt0"] == source.get_counter())

        until(lambda: receiver.report.received or source.set_data(np.full((4, 6), 7, np.uint16)))
        first = receiver.rows()[0]["cnt0"]
        for kind, why in (
            ("noise", "PMBR"),
            ("cut", "bytes"),
            ("version", "version 2"),
            ("absurd", "are allowed"),
            ("large", f"{MAX_FRAME} are allowed"),
            ("rival", "another sender"),
        ):
            before = receiver.report.refused
            attacker.tell(f"{kind} 20")
            attacker.expect("done")
            until(lambda before=before: receiver.report.refused > before)
            until(lambda why=why: why in receiver.report.trouble)
            publish(5)
        assert receiver.report.lost == 0
        # What is larger than any message is not even put together.
        quiet, refused = memory(), receiver.report.refused
        attacker.tell("huge 4")
        attacker.expect("done")
        attacker.tell("noise 1")
        attacker.expect("done")
        until(lambda: receiver.report.refused > refused)
        publish(5)
        attacker.tell("cut 5000")
        publish(200)
        attacker.expect("done")
        publish(5)
        grown = memory() - quiet
        report = receiver.report
        assert report.received + report.lost == source.get_counter() - first + 1
        assert grown < 20_000_000
        assert receiver.running
    sender.tell()
    sender.finish()
