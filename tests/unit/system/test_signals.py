"""`held_signals`: what must not be torn apart by Ctrl-C, however many threads there are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymilk.simulate import live
from pymilk.simulate.options import CameraOptions, LoopOptions
from pymilk.system import signals
from pymilk.system.signals import ENDS, held_signals, unbroken
from support.told import Told, told


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    with told(*ENDS):
        yield


@pytest.fixture
def other_thread() -> Iterator[None]:
    """A thread that blocks no signal, as those of NumPy's libraries."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.usefixtures("other_thread")
def test_signals_wait_for_the_end_of_the_block(number: int) -> None:
    steps = []

    def work() -> None:
        with held_signals():
            for step in range(1000):
                if step == 100:
                    os.kill(os.getpid(), number)
                steps.append(step)

    with pytest.raises(Told) as error:
        work()
    assert error.value.args == (number,)
    assert len(steps) == 1000


@pytest.mark.usefixtures("other_thread")
def test_handlers_are_as_before() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = {number: signal.getsignal(number) for number in ENDS}
    with held_signals():
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
        with held_signals():
            pass
    assert {number: signal.getsignal(number) for number in ENDS} == before

    def work() -> None:
        with held_signals():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)

    with pytest.raises(Told) as error:
        work()
    assert isinstance(error.value.__context__, Told), "both"
    assert {number: signal.getsignal(number) for number in ENDS} == before


def test_asyncio_hears_of_each_signal_once() -> None:
    heard = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, heard.append, "SIGTERM")
        with held_signals():
            signal.raise_signal(signal.SIGTERM)
        for _ in range(20):
            await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGTERM)

    asyncio.run(work())
    assert heard == ["SIGTERM"]


def test_a_timer_that_runs_on_counts_once() -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        with held_signals():
            for _ in range(2000):
                signal.raise_signal(signal.SIGALRM)
            assert rung == []
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == [1]


def test_held_within_held() -> None:
    reached = []

    def work() -> None:
        with held_signals():
            with held_signals():
                signal.raise_signal(signal.SIGTERM)
                reached.append("inner")
            reached.append("outer")

    with pytest.raises(Told):
        work()
    assert reached == ["inner", "outer"]


def test_a_fault_of_the_block_is_told_with_the_signal() -> None:
    def work() -> None:
        with held_signals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("of the block")

    with pytest.raises(Told) as error:
        work()
    assert isinstance(error.value.__context__, ValueError)


def test_other_threads_are_served() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with held_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("options", [CameraOptions("cam", rate=500.0), LoopOptions("cam")])
@pytest.mark.usefixtures("other_thread")
def test_no_stream_is_left_by_a_camera_that_ends_as_it_begins(
    options: CameraOptions | LoopOptions, shm_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = live.Stream.create

    def made(*args: object, **kwargs: object) -> object:
        stream = create(*args, **kwargs)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.005)  # another thread may get it
        return stream

    class Streams:
        create = staticmethod(made)

    monkeypatch.setattr(live, "Stream", Streams)
    monkeypatch.setattr("pymilk.simulate.loop.Stream", Streams)
    with pytest.raises(Told), live.living(options):
        raise AssertionError("the signal was lost")
    assert list(shm_dir.iterdir()) == []


@pytest.mark.usefixtures("other_thread")
def test_timeouts_wait_too() -> None:
    before = signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
    steps = []

    def work() -> None:
        with held_signals():
            signal.raise_signal(signal.SIGALRM)
            steps.append("whole")

    with pytest.raises(Told):
        work()
    signal.signal(signal.SIGALRM, before)
    assert steps == ["whole"]


@pytest.mark.parametrize("at", [1, 2])
def test_unbroken_steps_are_done_whatever_comes(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def step() -> str:
        if at == 2:
            signal.raise_signal(signal.SIGINT)
        steps.append("done")
        return "result"

    entered = signals.held_signals

    def interrupted() -> contextlib.AbstractContextManager[None]:
        monkeypatch.setattr(signals, "held_signals", entered)
        signal.raise_signal(signal.SIGINT)
        return entered()

    if at == 1:  # just before the signals are held
        monkeypatch.setattr(signals, "held_signals", interrupted)
    with pytest.raises(Told):
        unbroken(step)
    assert steps == ["done"] * at


def test_unbroken_steps_give_their_result() -> None:
    assert unbroken(lambda: "result") == "result"


def test_a_signal_that_comes_late_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_LONGEST_SECONDS", 0.05)
    steps = []

    def hang() -> None:
        steps.append("begun")
        signal.raise_signal(signal.SIGTERM)  # waits
        over = time.monotonic() + 0.06
        while time.monotonic() < over:
            time.sleep(0.002)
        steps.append("hangs")
        signal.raise_signal(signal.SIGINT)
        steps.append("too far")

    with pytest.raises(Told) as error:
        unbroken(hang)
    assert steps == ["begun", "hangs"], "once"
    assert {error.value.args, error.value.__context__.args} == {(signal.SIGINT,), (signal.SIGTERM,)}


def test_each_signal_that_comes_in_time_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_LONGEST_SECONDS", 60.0)
    with pytest.raises(Told), held_signals() as held:
        signal.raise_signal(signal.SIGINT)
    assert not held.gave_up
