"""A connection over the real engine that hands on in one direction alone: whoever made it mends it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk import SHM
from pymilk.bridge import Receiver, Router, Sender
from pymilk.bridge.deafness import cut
from support.bridging import check_account, connecting, free_port, listening, start_all
from support.waiting import until


def test_whom_the_router_does_not_hear_connects_anew(shm_dir: Path) -> None:
    """It happens to one of several that connect at the same time; here the sender has no echo."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        wfs = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=512))
        _, sender, receiver = start_all(
            stack,
            Router(listening(port)),
            Sender(("wfs",), connecting(port), host="rtc"),
            Receiver("rtc/wfs", connecting(port), name="far", ring=512),
        )

        def comes() -> None:
            goal = receiver.report.received + 10
            until(lambda: wfs.set_data(np.zeros((4, 6), np.uint16)) or receiver.report.received >= goal)

        def links() -> set[str]:
            return {each.here for each in engine.neighbours()}

        engine = sender._engine
        comes()
        echo = next(iter(engine._all))
        echo._what[0].undeclare()
        [neighbour] = engine.neighbours()
        assert cut(neighbour)
        until(lambda: links() and links() != {neighbour.here})
        silent = links()
        until(lambda: links() and links() != silent)  # by itself
        echo.begin(engine._session)
        until(lambda: len(links()) == 1 and sender._connections._deafness._hears)
        comes()
        assert receiver.report.senders == 1
        check_account(receiver, wfs)
