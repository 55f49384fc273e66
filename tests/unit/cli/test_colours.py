"""Colours that carry meaning: on a terminal that wants them, and nowhere else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk import RelayReport
from pymilk.cli import fpsprinting, output
from pymilk.cli.colour import STYLES, wants_colours
from pymilk.cli.commands import ps
from pymilk.cli.output import print_report, print_told, table_of
from pymilk.verdicts import wrapped
from support.calling import call

SENTENCE = "The thread was away for up to 12.0 ms, which is more than a ring of 8 frames keeps. " * 2
TEXT = "cam0 -> ring: 900 frames, 3 lost, 0 torn, 10.0 frames/s\n  not written  7, in the ring at the end"


def painted(text: str) -> dict[str, str]:
    """Return the parts of a text that have a style."""
    names = {code: name for name, code in STYLES.items()}
    return {part: names[code] for code, part in re.findall(r"\x1b\[(\d+)m([^\x1b]*)\x1b\[0m", text)}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "wants_colours", lambda stream: True)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *given: False)


@pytest.mark.usefixtures("terminal")
def test_losses_and_reasons_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    print_told("\n".join([TEXT, wrapped(SENTENCE)]), [SENTENCE])
    printed = capsys.readouterr().out
    found = painted(printed)
    assert found.pop("3 lost") == "bad"
    assert found.pop("0 torn") == "good"
    assert found.pop("not written  7") == "bad"
    assert list(found) == wrapped(SENTENCE).splitlines()
    assert set(found.values()) == {"doubtful"}
    assert re.sub(r"\x1b\[\d+m", "", printed) == "\n".join([TEXT, wrapped(SENTENCE), ""])


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("columns", [40, 79, 100])
def test_reasons_are_broken_where_the_terminal_ends(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "width_of_stdout", lambda: columns)
    print_told("\n".join([TEXT, wrapped(SENTENCE)]), [SENTENCE])
    lines = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).splitlines()
    assert lines[:2] == TEXT.splitlines()
    assert max(len(line) for line in lines[2:]) <= columns
    assert " ".join(line.strip() for line in lines[2:]) == SENTENCE.strip()


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_findings_are_broken_where_the_terminal_ends(
    columns: int, shm_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shm_dir.joinpath("notes.im.shm").write_text("x" * 500)
    whole = call("doctor").stdout
    module = importlib.import_module("pymilk.cli.commands.doctor")
    monkeypatch.setattr(module, "width_of_stdout", lambda: columns)
    fitted = call("doctor").stdout
    broken = [line for line in fitted.splitlines() if line.startswith(" " * 21)]
    assert len(broken) > sum(line.startswith(" " * 21) for line in whole.splitlines())
    # A path has no place to break at.
    assert all(len(line) <= columns or str(shm_dir) in line or "xxx" in line for line in fitted.splitlines())
    assert sorted(word for word in fitted.split() if word.isalpha()) == sorted(
        word for word in whole.split() if word.isalpha()
    )


def test_no_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_told("\n".join([TEXT, wrapped(SENTENCE)]), [SENTENCE])
    print_report([("lost", "3")], "title")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("text", "code"), [("0", "32"), ("3", "31"), ("12, in the ring at the end", "31")])
def test_losses_in_a_table(
    text: str, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = output.Console
    monkeypatch.setattr(
        output, "Console", lambda **how: console(**how, force_terminal=True, color_system="standard")
    )
    print_report([("frames received", "9 of 9"), ("lost", text)], "title")
    lines = capsys.readouterr().out.splitlines()
    assert [f"\x1b[{code}m{text}" in line for line in lines if "lost" in line] == [True]
    assert not any("\x1b[3" in line for line in lines if "received" in line)


@pytest.mark.parametrize(
    ("tty", "given", "wanted"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False),
     (True, {"NO_COLOR": ""}, True)],
)  # fmt: skip
def test_who_wants_colours(
    tty: bool, given: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert wants_colours(SimpleNamespace(isatty=lambda: tty)) is wanted


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "name": "loop", "parameters": 1, "slots": 8, "conf": "stopped", "conf_pid": 0, "run": "running",
        "run_pid": 7, "check": "ok", "labels": [], "description": "", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words", "style"),
    [({}, "running 7", "good"), ({}, "ok", "good"), ({}, "stopped", "quiet"),
     ({"run": "died"}, "died", "bad"),
     ({"check": "2 errors"}, "2 errors", "bad"), ({"check": "not done"}, "not done", "quiet"),
     ({"conf": "starting"}, "starting", "doubtful")],
)  # fmt: skip
def test_states_of_fps(changes: dict[str, Any], words: str, style: str) -> None:
    table = fpsprinting.fps_table([entry(**changes)])
    drawn = "\n".join(table.lines(200, styles=True, colours=True))
    assert painted(drawn)[words] == style
    plain = "\n".join(table.lines(200, styles=True, colours=False))  # NO_COLOR
    assert painted(plain).get(words) == (style if style == "quiet" else None)


@pytest.mark.parametrize(
    ("doing", "style"),
    [("running", "good"), ("paused", "doubtful"), ("stopped", "quiet"), ("dead", "bad"), ("crashed", "bad"),
     ("state 9", "bad")],
)  # fmt: skip
def test_states_of_processes(doing: str, style: str) -> None:
    status: Any = SimpleNamespace(
        name="p", pid=7, doing=doing, loop_count=3, rate=2.0, jitter=None, duration=None, last_start_ns=None,
        trigger=None, missed=5, message="",
    )  # fmt: skip
    cells = ps._cells(status)
    table = table_of(ps.COLUMNS, [[cells[key] for key in ps.COLUMNS]])
    found = painted("\n".join(table.lines(200, styles=True, colours=True)))
    assert (found[doing], found["2.0/s"], found["5"]) == (style, "good", "doubtful")


def test_reports_say_losses_as_they_are_looked_for() -> None:
    report = RelayReport(source="a", target="b", relayed=9, lost=3, lag=0, duration=1.0, cpu_share=0.0)
    assert [found[0] for found in output._LOSS.finditer(str(report).splitlines()[0])] == ["3 lost"]
    rows = "  lost       3\n  torn       0"
    assert [found[0] for found in output._LOSS.finditer(rows)] == ["lost       3", "torn       0"]
