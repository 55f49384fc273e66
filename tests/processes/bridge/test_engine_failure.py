"""An engine that fails within itself: nobody sees its exceptions, and it begins anew."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs eclipse-zenoh, the extra net")

from pymilk import SHM
from pymilk.bridge import Links, Receiver, Router, Sender
from pymilk.bridge.zenoh import open_engine
from pymilk.errors import BridgeError
from support.bridging import check_account, connecting, free_port, listening, start_all
from support.waiting import PATIENCE, until

#: What Zenoh for Python raises once a thread of it panicked and left a lock behind; nothing has it to import.
PanicException = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})


class Broken:
    """A session, or what it declared, in which every call is such an exception."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        if name in ("close", "undeclare"):
            getattr(self._whole, name)()
        raise PanicException("called `Result::unwrap()` on an `Err` value: PoisonError { .. }")


@pytest.mark.parametrize("whose", ["router", "sender", "receiver"])
def test_it_begins_anew(whose: str, shm_dir: Path) -> None:
    """Also where others connect to it; what is missing meanwhile is counted."""
    port, second = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        wfs = stack.enter_context(SHM("wfs", ((4, 6), np.uint16), ring=512))
        near = Links(connect=connecting(port).connect, listen=listening(second).listen)
        router, sender, receiver = start_all(
            stack,
            Router(listening(port)),
            Sender(("wfs",), near if whose == "sender" else connecting(port), host="rtc"),
            Receiver("rtc/wfs", near if whose == "receiver" else connecting(port), name="far", ring=512),
        )

        def comes() -> None:
            goal = receiver.report.received + 10
            until(lambda: wfs.set_data(np.zeros((4, 6), np.uint16)) or receiver.report.received >= goal)

        comes()
        end: Any = {"router": router, "sender": sender, "receiver": receiver}[whose]
        engine = end._engine
        broken = engine._session = Broken(engine._session)
        until(lambda: engine._session not in (broken, None))
        comes()
        until(lambda: not end.report.not_connected)
        check_account(receiver, wfs)
        assert not engine.failed


def test_nobody_sees_its_exceptions(shm_dir: Path) -> None:
    """An engine of a caller's own does not begin anew by itself, but it says that it failed."""
    engine: Any = open_engine(listening(free_port()), 1000)
    with contextlib.closing(engine):
        outlet = engine.outlet("pymilk/1/rtc/wfs/frames", lambda: None)
        assert not engine.failed
        whole, outlet._what = outlet._what, tuple(map(Broken, outlet._what))
        assert not outlet.wanted
        assert engine.failed
        outlet.put(b"frame")  # it gets lost
        engine.failed = False
        session, engine._session = engine._session, Broken(engine._session)
        assert engine.neighbours() == []
        assert engine.ask("pymilk/1/*/*/about", 0.1) == []
        kept = engine.appear("pymilk/1/rtc/wfs/here/1")
        assert engine.failed
        engine.renew()
        assert not engine.failed
        assert engine._session is not session
        assert kept.told
        assert outlet.told
        outlet.put(b"frame")
        del whole
    with pytest.raises(BridgeError, match="ended"):
        outlet.put(b"frame")


def test_what_was_closed_is_not_told_again(shm_dir: Path) -> None:
    """It is closed while the engine begins anew: whoever is first, none is told in the next session."""
    engine: Any = open_engine(listening(free_port()), 1000)
    with contextlib.closing(engine):
        kept, closed = (engine.appear(f"pymilk/1/rtc/wfs/here/{number}") for number in (1, 2))
        with engine._lock:
            closer = threading.Thread(target=closed.close)
            closer.start()
            closer.join(0.05)
            assert closer.is_alive()
            assert closed.told  # until it is taken back, a session that follows would tell it
        closer.join(PATIENCE)
        assert not closed.told
        engine.renew()
        assert kept.told
        assert not closed.told
        assert not engine.failed
