"""``pymilk ps``, ``pymilk graph`` and the findings of ``pymilk doctor`` about processes; old viewers."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from click.testing import CliRunner

from pymilk.cli.app import app
from pymilk.cli.commands import familiar
from pymilk.cli.commands.ps import _View
from pymilk.parameters.process_folders import process_path
from pymilk.parameters.process_layout import V1, Control
from pymilk.parameters.processinfo import ProcessInfo
from pymilk.parameters.trace_writer import TraceWriter

NOBODY = 2**22 + 12345


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def dead(shm_dir):
    content = bytearray(V1.nbytes)
    struct.pack_into("<i", content, V1.fields["PID"].offset, NOBODY)
    at = V1.fields["statusmsg"].offset
    content[at : at + 9] = b"bad\x1b[2Jxx"
    path = process_path(str(shm_dir), "deadloop", NOBODY)
    with open(path, "wb") as file:
        file.write(content)
    return path


def test_table_of_processes(dead, shm_dir):
    (shm_dir / "proc.broken.000001.shm").write_bytes(b"x")
    with ProcessInfo.create("myloop", message="all well") as process:
        list(process.loop(range(20)))
        result = run("ps", "--once", "myloop", "deadloop", "broken")
    assert result.exit_code == 0
    header, *lines, broken = result.output.splitlines()
    assert header.split() == ["name", "pid", "state", "loops", "rate", "jitter", "busy", "last", "trigger",
                              "missed", "message"]  # fmt: skip
    assert [line.split()[:3] for line in lines] == [
        ["deadloop", str(NOBODY), "dead"], ["myloop", str(os.getpid()), "stopped"]
    ]  # fmt: skip
    assert "bad?[2Jxx" in lines[0]
    assert broken.startswith("proc.broken.000001.shm: 1 bytes is the size of no known layout")


def test_processes_as_json(dead):
    found = json.loads(run("ps", "--json", str(NOBODY)).output)
    assert [(each["name"], each["state"], each["control"], each["rate"]) for each in found] == [
        ("deadloop", "gone", "RUN", None)
    ]


def test_no_processes(shm_dir):
    assert run("ps", "--once", "nobody").stdout == ""
    assert json.loads(run("ps", "--json", "nobody").output) == []


def test_removal_of_stale_entries(dead):
    assert f"removed {dead}\n" in run("ps", "--remove-stale").output
    assert not os.path.exists(dead)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ps", "--remove-stale", "--json"],
        ["ps", "--remove-stale", "x"],
        ["graph", "--dot", "--json"],
        ["ps", "--interval", "nan"],
    ],
)
def test_usage(arguments):
    assert run(*arguments).exit_code == 2


def test_doctor_tells_of_dead_processes(dead):
    findings = json.loads(run("doctor", "--json").output)
    (found,) = [each for each in findings if "deadloop" in each["found"]]
    assert found["topic"] == "processes"
    assert found["level"] == "note"
    assert "ps --remove-stale" in found["todo"]
    assert os.path.exists(dead)


def test_graph_in_three_forms(make):
    source, output = (make(name, np.zeros((2, 2), np.float32)) for name in ("cam", "out"))
    TraceWriter(output._live(), source._live()).write(10**18, 10**18 + 1, 1, 0)
    tree = run("graph").output
    assert tree.splitlines()[0].startswith("cam  frame 1  age ")
    assert f" {os.getpid()}" in tree.splitlines()[1]
    assert "└─ out  frame 1" in tree.splitlines()[2]
    assert run("graph", "--dot").output.startswith("digraph pymilk {\n")
    found = json.loads(run("graph", "--json").output)
    assert {node["name"] for node in found["streams"]} == {"cam", "out"}


def test_graph_of_nothing(shm_dir):
    said = run("graph")
    assert (said.stdout, said.stderr) == ("", f"no stream in {shm_dir} (MILK_SHM_DIR)\n")
    assert json.loads(run("graph", "--json").output) == {"streams": [], "processes": [], "feeds": []}


def test_live_view_without_a_terminal(dead):
    """What the keys do, and what is drawn at any size."""
    with ProcessInfo.create("myloop") as process:
        view = _View(("deadloop", "myloop"), 0.5)
        for lines, columns in ((24, 130), (3, 10), (1, 1), (100, 300)):
            drawn = view.lines(lines, columns)
            assert len(drawn) >= lines
        text = "\n".join(view.lines(24, 130))
        assert "> deadloop" in text
        assert view.press("p")
        assert "nothing was written" in "\n".join(view.lines(24, 200))
        assert view.press("down")
        assert "> myloop" in "\n".join(view.lines(24, 130))
        for key, control in (("p", Control.PAUSE), ("s", Control.STEP), ("r", Control.RUN)):
            assert view.press(key)
            assert process.control is control
        assert view.press("x")
        assert process.control is Control.RUN
        assert view.press("up")
        assert view.press("down")
        assert view.press("x")
        assert process.control is Control.RUN
        assert view.press("x")
        assert process.control is Control.EXIT
        assert view.press("?")
        assert not view.press("q")
    view.due = 0.0
    view.update()
    assert "> myloop" not in "\n".join(view.lines(24, 130))


def test_live_view_of_nothing():
    view = _View(("nobody",), 0.5)
    assert view.press("p")
    assert "no process has process information" in "\n".join(view.lines(10, 100))


@pytest.mark.parametrize(("command", "arguments"), [
    ("shm_imshow", ["cam", "--fr=8", "-s=0"]), ("shm_plot", ["cam", "--fr=10", "-t"]),
    ("shm_termshow", ["cam", "--fr=10", "-s=4", "-z=4"]), ("shm_termshow", ["cam", "-s", "4", "-z4"]),
])  # fmt: skip
def test_old_viewers_take_their_arguments(make, command, arguments):
    """They get as far as to need a terminal."""
    make("cam", np.zeros((2, 2), np.float32))
    result = CliRunner().invoke(getattr(familiar, command), arguments)
    assert "needs a terminal" in result.output
    assert result.exit_code == 2


@pytest.mark.parametrize("arguments", [["cam", "-s=9"], ["cam", "-s=x"], ["cam", "--fr=0"], []])
def test_old_viewers_refuse_others(arguments):
    result = CliRunner().invoke(familiar.shm_termshow, arguments)
    assert result.exit_code == 2
    assert "needs a terminal" not in result.output
