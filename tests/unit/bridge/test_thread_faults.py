"""Ends of the bridge whose threads fail where nobody foresaw it: waits end with the cause, or it is told.

A thread that serves others goes on and tells the trouble; one that is waited for ends, and what it has told
the others is taken back.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from pymilk import SHM, Recorder
from pymilk.bridge import (
    Links,
    ParameterOffer,
    Receiver,
    Router,
    Sender,
    Tail,
    connections,
    line,
    log_desk,
    receiver,
    shelf,
)
from pymilk.bridge.connections import Connections
from pymilk.bridge.engine import Engine
from pymilk.bridge.parameters import RemoteParameters, acts, asking, desk
from pymilk.channels import MessageLog
from pymilk.errors import BridgeError, NotStartedError, StreamArgumentError, StreamStorageError
from pymilk.parameters import FPS
from support.faults import (
    FAULTS,
    Failing,
    Panic,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.waiting import until
from support.wires import WireOutlet, Wires


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(log_desk, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(log_desk, "_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr("pymilk.bridge.sender._LOOK_SECONDS", 0.02)
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(asking, "_AGAIN_SECONDS", 0.002)
    monkeypatch.setattr(asking, "_WAIT_SECONDS", 0.002)


@pytest.fixture
def source(shm_dir: object) -> Iterator[SHM]:
    with SHM("wfs", ((4, 6), np.uint16), ring=64) as shm:
        yield shm


def nothing_is_left(wires: Wires) -> None:
    until(lambda: not threads_of_pymilk())
    assert (wires.outlets, wires.listeners, wires.answers, wires.here, wires.notices) == ([], [], [], [], [])


# -- sender and receiver: they end, and whoever waits is told --------------------------------------------


@pytest.mark.parametrize("place", ["_names", "_look", "_begin"])
@each_fault
def test_a_sender(
    wires: Wires, source: SHM, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    made = Sender(("wfs",), host="rtc", engine=cast(Engine, wires))
    with monkeypatch.context() as patched:
        patched.setattr(Sender, place, Failing(fault))
        made.start()
        assert comes_from(raised_within(made.wait), fault)
    assert not made.running
    assert comes_from(made.error, fault)
    assert made.report.error == str(made.error)
    within(made.stop)
    nothing_is_left(wires)


@each_fault
def test_a_sender_that_fails_in_its_end(
    wires: Wires, source: SHM, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    made = Sender(("wfs", "psf"), host="rtc", engine=cast(Engine, wires)).start()
    until(lambda: len(wires.here) == 2)
    with monkeypatch.context() as patched:
        patched.setattr(line.Line, "close", Failing(fault, line.Line.close))
        within(made.stop)
        assert comes_from(raised_within(made.wait), fault)
    nothing_is_left(wires)


@pytest.mark.parametrize("after", range(5))
def test_a_sender_without_a_thread(
    wires: Wires, source: SHM, tmp_path: Any, after: int
) -> None:
    """Of those that it begins with: shelf, logs, parameters, its own, and that of its first stream."""
    made = Sender(
        ("wfs",), host="rtc", serve=tmp_path, log=("app",), params=ParameterOffer(("loop",)),
        engine=cast(Engine, wires),
    )  # fmt: skip
    with threads_run_out(after):
        if after < 4:
            with pytest.raises(StreamStorageError, match="no thread"):
                within(made.start)
            assert not made.running
        else:
            made.start()
            assert isinstance(raised_within(made.wait), StreamStorageError)
    nothing_is_left(wires)
    if after < 4:
        with made:
            until(lambda: wires.here)
        nothing_is_left(wires)


@pytest.mark.parametrize("place", ["ask_clock", "_inquire", "_listen"])
@each_fault
def test_a_receiver(
    wires: Wires, sender: Sender, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(receiver if place == "ask_clock" else Receiver, place, Failing(fault))
        made = Receiver("rtc/wfs", name="far", engine=cast(Engine, wires)).start()
        assert comes_from(raised_within(made.wait), fault)
        assert not made.running
        assert comes_from(made.error, fault)
    within(made.stop)
    assert (wires.listeners, wires.notices) == ([], [])


def test_a_receiver_that_fails_in_its_end(
    wires: Wires, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thing cannot be taken back: the others are, and the stream is deleted."""
    fault = KeyError("unforeseen")
    made = Receiver("rtc/wfs", name="far", engine=cast(Engine, wires)).start()
    until(lambda: made.report.received)
    monkeypatch.setattr(made._open[0], "close", Failing(fault, made._open[0].close))
    assert comes_from(raised_within(made.stop), fault)
    assert (wires.listeners, wires.notices) == ([], [])
    with pytest.raises(FileNotFoundError):
        SHM("far")


def test_a_receiver_without_a_thread(wires: Wires, sender: Sender) -> None:
    made = Receiver("rtc/wfs", name="far", engine=cast(Engine, wires))
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        within(made.start)
    assert not made.running
    assert (wires.listeners, wires.notices) == ([], [])
    with made:
        until(lambda: made.report.received)


@each_fault
def test_a_message_that_cannot_be_taken(
    wires: Wires, sender: Sender, source: SHM, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """It is refused in words, or ends the receiver with the cause; it is not left to the engine."""
    with Receiver("rtc/wfs", name="far", engine=cast(Engine, wires)) as made:
        until(lambda: made.report.received)
        with monkeypatch.context() as patched:
            patched.setattr(Receiver, "_why_not", Failing(fault))
            until(lambda: source.set_data(source.get_data()) or made.report.refused or not made.running)
        if made.running:
            assert made.report.trouble
            received = made.report.received
            until(lambda: source.set_data(source.get_data()) or made.report.received > received)
        else:
            assert comes_from(raised_within(made.wait), fault)


@pytest.mark.parametrize("end", ["sender", "receiver", "router"])
def test_who_was_never_started_is_not_waited_for(end: str) -> None:
    made: Any = {
        "sender": lambda: Sender(("wfs",)),
        "receiver": lambda: Receiver("rtc/wfs"),
        "router": lambda: Router(Links()),
    }[end]()
    assert isinstance(raised_within(made.wait), NotStartedError)
    made.stop()
    within(made.wait)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "long"])
def test_no_time(wires: Wires, sender: Sender, timeout: Any) -> None:
    with pytest.raises(StreamArgumentError, match="timeout"):
        sender.wait(timeout)
    made = Receiver("rtc/wfs", engine=cast(Engine, wires))
    with made, pytest.raises(StreamArgumentError, match="timeout"):
        made.wait(timeout)


# -- those that serve others: they go on, and tell -----------------------------------------------------------


@pytest.mark.parametrize("place", ["wanted", "put"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_line(
    wires: Wires, sender: Sender, source: SHM, monkeypatch: pytest.MonkeyPatch, place: str, kind: str
) -> None:
    fault = FAULTS[kind]()
    failing = Failing(fault)

    def frame() -> None:
        source.set_data(np.ones((4, 6), np.uint16))

    with Receiver("rtc/wfs", name="far", engine=cast(Engine, wires)) as made:
        until(lambda: made.report.received and "wfs" in sender._lines)
        with monkeypatch.context() as patched:
            patched.setattr(WireOutlet, place, failing if place == "put" else property(lambda _: failing()))
            told = sender._lines["wfs"]._report
            until(lambda: frame() or (failing.called.is_set() and told.trouble))
        received = made.report.received
        until(lambda: frame() or made.report.received > received)


def test_recordings(
    wires: Wires,
    source: SHM,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A file that a library fails on is left out; a thread that fails tells it, and answers the next one."""
    for name in ("a.npy", "b.npy"):
        with Recorder(source, tmp_path / name, frames=2) as recorder:
            source.set_many(np.ones((2, 4, 6), np.uint16))
            recorder.wait()
    load = shelf.load

    def sometimes(path: str, **given: Any) -> Any:
        if path.endswith("a.npy"):
            raise ZeroDivisionError("within a library")
        return load(path, **given)

    monkeypatch.setattr(shelf, "load", sometimes)
    caplog.set_level(logging.WARNING, "pymilk")
    tidy = Failing(ZeroDivisionError("at work"), shelf.Shelf._tidy, 1)
    with Sender(("wfs",), host="rtc", serve=tmp_path, engine=cast(Engine, wires)) as made:
        until(lambda: wires.here)
        monkeypatch.setattr(shelf.Shelf, "_tidy", tidy)
        question = b'{"stream": "wfs", "since": 0, "until": 9000000000000000000}'
        key = next(each.key for each in wires.answers if each.key.endswith("recordings"))
        answers: list[bytes] = []

        def answered() -> bool:
            answers[:] = [each.message for each in wires.ask(key, 1.0, question)]
            return bool(answers) and answers[0] != shelf.WAIT

        until(answered)
        assert b"b.npy" in answers[0]
        assert b"a.npy" not in answers[0]
        assert made.running
    assert "at work" in caplog.text


def test_a_list_of_recordings_that_cannot_be_made_is_refused(
    wires: Wires, source: SHM, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sender(("wfs",), host="rtc", serve=tmp_path, engine=cast(Engine, wires)) as made:
        until(lambda: wires.here)
        assert made._shelf is not None
        monkeypatch.setattr(made._shelf, "_names", Failing(ZeroDivisionError("unforeseen")))
        question = b'{"stream": "wfs", "since": 0, "until": 9}'
        key = next(each.key for each in wires.answers if each.key.endswith("recordings"))
        until(lambda: wires.ask(key, 1.0, question)[0].message != shelf.WAIT)
        assert b"unforeseen" in wires.ask(key, 1.0, question)[0].message


@pytest.mark.parametrize("place", ["_look", "_tell"])
@each_fault
def test_news_of_logs(
    wires: Wires, shm_dir: object, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    with MessageLog.create("app", 8192) as log, Sender(
        (), host="rtc", log=("app",), engine=cast(Engine, wires)
    ) as made:
        until(lambda: made.report.logs)
        with monkeypatch.context() as patched:
            patched.setattr(log_desk.LogDesk, place, Failing(fault))
            until(lambda: made.report.logs[0].trouble)
        with Tail("rtc/app", engine=cast(Engine, wires)) as tail:
            log.append(b"still there")
            assert within(lambda: tail.read(30)).data == b"still there"
        until(lambda: not made.report.logs[0].trouble)


@pytest.fixture
def loop(shm_dir: object) -> Iterator[FPS]:
    with FPS.create("loop", directories=False) as made:
        made.add_param("gain", "FLOAT32", 0.5)
        yield made


@pytest.fixture
def remote(wires: Wires, loop: FPS) -> Iterator[RemoteParameters]:
    offer = ParameterOffer(("loop",), set=("loop/*",), command=("loop/*",))
    with Sender((), host="rtc", params=offer, engine=cast(Engine, wires)):
        until(lambda: any("loop" in each.key for each in wires.outlets))
        with RemoteParameters("rtc", "loop", engine=cast(Engine, wires), timeout=20) as made:
            yield made


@each_fault
def test_parameters_are_offered_on(
    wires: Wires, remote: RemoteParameters, loop: FPS, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    failing = Failing(fault)
    with monkeypatch.context() as patched:
        patched.setattr(desk, "list_fps", failing)
        assert failing.called.wait(30)
    # Whoever listens hears of changes that come after it.
    watch = remote.watch("gain", timeout=20)
    loop["gain"] = 0.25
    assert within(lambda: next(watch)).value == 0.25
    watch.close()


@pytest.mark.parametrize("kind", ["memory", "disk", "library"])
def test_a_command_that_fails_is_answered(
    remote: RemoteParameters, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    fault = FAULTS[kind]()
    with monkeypatch.context() as patched:
        patched.setattr(acts.Acts, "_do", Failing(fault))
        for _ in range(acts._COMMANDS_MOST + 1):
            error = raised_within(lambda: remote.command("confstop", 1.0))
            assert isinstance(error, BridgeError)
            assert str(fault) in str(error)


def test_a_value_that_cannot_be_written_is_answered(
    remote: RemoteParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts.Acts, "_write", Failing(ZeroDivisionError("unforeseen")))
    error = raised_within(lambda: remote.update({"gain": 0.1}))
    assert "unforeseen" in str(error)


def test_commands_without_a_thread(remote: RemoteParameters) -> None:
    with threads_run_out(named="pymilk-bridge-command"):
        for _ in range(acts._COMMANDS_MOST + 1):  # each gives back its place
            assert "no thread" in str(raised_within(lambda: remote.command("confstop", 1.0)))


# -- connections ---------------------------------------------------------------------------------------------


class Alone:
    """An engine that is connected to nobody."""

    failed = False

    def neighbours(self) -> list[Any]:
        return []

    def renew(self) -> None:
        """Begin anew."""


@each_fault
def test_connections_are_looked_after_on(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    """Why one is not there cannot be found out: that is told, and the list of revoked ones heeded."""
    monkeypatch.setattr(connections, "_PATIENCE_SECONDS", 0.0)
    heeded = threading.Event()
    looked = Failing(fault)
    made = Connections(Links(connect=("tcp/127.0.0.1:9",)), cast(Engine, Alone()))
    monkeypatch.setattr(made, "_heed", heeded.set)
    with monkeypatch.context() as patched:
        patched.setattr(connections, "why_not", looked)
        made.watch()
        until(lambda: made.told()["not_connected"])
        heeded.clear()
        assert heeded.wait(30)
        assert looked.called.is_set()
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", Failing(Panic("no name")))
        made._numbers.clear()
        heeded.clear()
        assert heeded.wait(30)
        assert heeded.clear() is None
        assert heeded.wait(30)
    made.close()
    until(lambda: not threads_of_pymilk())
