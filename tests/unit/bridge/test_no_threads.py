"""The system gives no thread: what was begun is given back, and can be started once there are threads."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk.bridge import Links, ParameterOffer, Receiver, RemoteParameters, Router, Sender, Tail
from pymilk.channels import MessageLog
from pymilk.errors import StreamStorageError
from support.wires import Wires

LINKS = Links(connect=("tcp/127.0.0.1:9",))


class Engine(Wires):
    """One that is opened by the objects themselves, and counts its ends."""

    closed = 0

    def close(self) -> None:
        self.closed += 1

    @property
    def told(self) -> list[object]:
        return [*self.outlets, *self.listeners, *self.answers, *self.here, *self.notices]


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    for room in ("sender", "receiver", "router", "tail", "parameters.remote"):
        monkeypatch.setattr(f"pymilk.bridge.{room}.open_engine", lambda *_: made)
    return made


class Threads:
    """How many can still be started; None: as many as are wanted."""

    left: int | None = None


@pytest.fixture
def threads(monkeypatch):
    start, given = threading.Thread.start, Threads()

    def refuse(thread: threading.Thread) -> None:
        if given.left is not None:
            if not given.left:
                raise RuntimeError("can't start new thread")
            given.left -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return given


@pytest.fixture
def source(shm_dir: Path):
    with SHM("wfs", ((4, 6), np.uint16)) as shm, MessageLog.create("log", 8192):
        yield shm


MADE = {
    "sender": lambda folder: Sender(
        ("wfs",), LINKS, host="rtc", log=("log",), serve=folder, params=ParameterOffer(("*",))
    ),
    "receiver": lambda folder: Receiver("rtc/wfs", LINKS, name="far"),
    "router": lambda folder: Router(LINKS),
    "tail": lambda folder: Tail("rtc/log", LINKS),
}


#: The last number of threads that is not enough: one looks after connections, others serve what is asked for.
TOO_FEW = {"sender": 4, "receiver": 1, "router": 0, "tail": 0}


@pytest.mark.parametrize(
    ("what", "count"), [(what, count) for what, most in TOO_FEW.items() for count in range(most + 1)]
)
def test_start_without_threads(what, count, engine, threads, source, tmp_path):
    made = MADE[what](tmp_path)
    threads.left = count
    with pytest.raises(StreamStorageError, match="no thread can be started"):
        made.start()
    assert not made.running
    assert (engine.closed, engine.told) == (bool(count) or what != "sender", [])
    threads.left = None
    with made:
        assert made.running
    assert engine.told == []


def test_parameters_without_threads(engine, threads):
    threads.left = 0
    with pytest.raises(StreamStorageError, match="no thread can be started"):
        RemoteParameters("rtc", "loop", LINKS)
    assert engine.closed == 1
