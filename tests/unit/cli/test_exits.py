"""How commands end upon signals: one interrupt, one sentence, whatever follows it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.cli import exits
from pymilk.cli.exits import clean_exit, told_to_end, until_interrupted
from pymilk.system.latch import Latch
from pymilk.system.signals import ENDS
from support.told import Told, told

SENTENCES = {
    signal.SIGINT: "pymilk: interrupted\n",
    signal.SIGTERM: "pymilk: ended by SIGTERM\n",
    signal.SIGHUP: "pymilk: ended by SIGHUP\n",
}
first = pytest.mark.parametrize("first", ENDS)
second = pytest.mark.parametrize("second", ENDS)


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Handlers of the test, and what a command sets for its whole process."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    with told(*ENDS, signal.SIGALRM):
        yield


@first
@second
def test_second_signal_does_not_tear_the_clean_up(
    first: int, second: int, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    def work() -> None:
        try:
            signal.raise_signal(first)
        finally:
            signal.raise_signal(second)
            steps.append("cleaned up")

    with pytest.raises(SystemExit) as ended, clean_exit():
        work()
    assert (ended.value.code, steps) == (128 + first, ["cleaned up"])
    assert capsys.readouterr().err == SENTENCES[signal.Signals(first)]


@second
def test_later_signal_ends_a_clean_up_that_hangs(second: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(exits, "time", SimpleNamespace(monotonic=lambda: now[0]))
    steps = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            for now[0] in (1001.0, 1003.0):
                signal.raise_signal(second)
                steps.append(now[0])

    with pytest.raises(SystemExit) as ended, clean_exit():
        work()
    assert (ended.value.code, steps) == (128 + second, [1001.0])


@first
def test_signal_while_the_sentence_is_printed(
    first: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = exits.click.echo

    def interrupted(*args: object, **kwargs: bool) -> None:
        signal.raise_signal(first)
        echo(*args, **kwargs)

    monkeypatch.setattr(exits.click, "echo", interrupted)
    with pytest.raises(SystemExit) as ended, clean_exit():
        signal.raise_signal(first)
    assert ended.value.code == 128 + first
    assert capsys.readouterr().err == SENTENCES[signal.Signals(first)]


@first
def test_signal_just_before_the_block(
    first: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter = exits._Ending.enter

    def late(ending: exits._Ending) -> None:
        signal.raise_signal(first)
        enter(ending)

    monkeypatch.setattr(exits._Ending, "enter", late)
    with pytest.raises(SystemExit) as ended, clean_exit():
        raise AssertionError("the signal was lost")
    assert ended.value.code == 128 + first
    assert capsys.readouterr().err == SENTENCES[signal.Signals(first)]


@first
def test_signal_just_behind_the_block_is_not_lost(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leave = exits._Ending.leave

    def early(ending: exits._Ending) -> None:
        leave(ending)
        signal.raise_signal(first)

    monkeypatch.setattr(exits._Ending, "leave", early)

    def work() -> None:
        with clean_exit():
            pass

    with pytest.raises(Told) as error:
        work()
    assert error.value.args == (first,)


@first
@second
def test_signal_behind_one_that_was_heeded(
    first: int, second: int, capsys: pytest.CaptureFixture[str]
) -> None:
    end, reached = Latch(), []
    with clean_exit():
        with told_to_end(end):
            signal.raise_signal(first)
        signal.raise_signal(second)
        reached.append("the report")
    assert (end.is_set(), reached) == (True, ["the report"])
    assert capsys.readouterr().err == ""


@first
@pytest.mark.parametrize("heeded", [False, True])
def test_a_command_is_not_interrupted_between_its_end_and_that_of_its_process(
    first: int, heeded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exits, "is_command", lambda: True)
    heeding = told_to_end(Latch()) if heeded else contextlib.nullcontext()
    with contextlib.suppress(SystemExit), clean_exit(), heeding:
        signal.raise_signal(first)
    for number in ENDS:
        signal.raise_signal(number)


@first
def test_interrupt_that_is_the_way_to_end_does_not_come_again(
    first: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exits, "is_command", lambda: True)
    alarms = []
    with clean_exit():
        with until_interrupted():
            signal.raise_signal(first)
        gc.collect()
        alarms.append(signal.getitimer(signal.ITIMER_REAL))
    assert alarms == [(0.0, 0.0)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("module", "watch"),
    [
        ("livestreams", lambda tables: tables.watch_streams("name", False, 1.0)),
        ("commands.fps", lambda tables: tables._watch_table("*", "*")),
        ("commands.ps", lambda tables: tables._watch((), 1.0)),
    ],
)
def test_an_interrupt_beside_a_table_is_the_way_to_end_it(
    module: str, watch: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch, shm_dir: Path
) -> None:
    """One that comes before the table has handlers of its own, or behind them."""
    tables = importlib.import_module(f"pymilk.cli.{module}")
    monkeypatch.setattr(exits, "is_command", lambda: True)
    monkeypatch.setattr(tables, "Terminal", lambda: signal.raise_signal(signal.SIGTERM))
    with clean_exit():
        watch(tables)
        gc.collect()
        alarm = signal.getitimer(signal.ITIMER_REAL)
    assert alarm == (0.0, 0.0)


def test_an_interrupt_of_a_simulated_camera_is_the_way_to_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clean-up may take longer than a lost interrupt is waited for."""
    command = importlib.import_module("pymilk.cli.commands.simulate")
    alarms = []

    @contextlib.contextmanager
    def living(options: object) -> Iterator[Any]:
        yield SimpleNamespace(run=lambda: signal.raise_signal(signal.SIGTERM))
        gc.collect()
        alarms.append(signal.getitimer(signal.ITIMER_REAL))

    monkeypatch.setattr(exits, "is_command", lambda: True)
    monkeypatch.setattr(command, "living", living)
    command.simulate.main(["cam"], standalone_mode=False)
    assert alarms == [(0.0, 0.0)]


def test_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in ENDS]
    with contextlib.suppress(SystemExit), clean_exit():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in ENDS] == before


@first
def test_ignored_signals_stay_ignored(first: int) -> None:
    signal.signal(first, signal.SIG_IGN)
    with clean_exit(), told_to_end(end := Latch()):
        signal.raise_signal(first)
        assert not end.is_set()
    assert signal.getsignal(first) == signal.SIG_IGN
