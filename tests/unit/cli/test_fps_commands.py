"""``pymilk fps``, and what ``pymilk doctor`` finds about parameters."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from pymilk.cli.app import app
from pymilk.parameters import FPS, ParameterFlag, Status
from pymilk.parameters.header import write_field


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fps", *arguments])


@pytest.fixture
def loop(shm_dir: Path) -> Iterator[FPS]:
    with FPS.create("loop", 20, description="the\x1b[2J loop", labels=["ao"], directories=False) as fps:
        fps.add_param("gain", default=0.5, type="FLOAT32", limits=(0, 1), description="loop gain")
        fps.add_param("on", default=False)
        fps.add_param("modes", default=100)
        fps.add_param("delay", default=1.5, type="TIMESPEC")
        fps.add_param("text", default="abc")
        fps.add_param("out", default=1.0, flags=ParameterFlag.DEFAULT_OUTPUT)
        yield fps


def dead(fps: FPS) -> None:
    write_field(fps.table, "runpid", 2**22 + 12345)
    fps.change_status(set=Status.CMDRUN)


def test_ls(loop: FPS, shm_dir: Path) -> None:
    FPS.create("other", directories=False).close()
    (shm_dir / "bad.fps.shm").write_bytes(b"x")
    dead(loop)
    result = run("ls")
    assert result.exit_code == 0
    header, first, second, bad = result.output.splitlines()
    assert header.split() == ["name", "parameters", "conf", "run", "check", "labels", "description"]
    assert first.split() == ["loop", "6/20", "stopped", "died", "not", "done", "ao", "the?[2J", "loop"]
    assert second.split() == ["other", "0/200", "stopped", "stopped", "not", "done", "-"]
    assert "bad.fps.shm is not a parameter file" in bad
    assert run("ls", "o*").output.splitlines()[1].split()[0] == "other"
    found = json.loads(run("ls", "--label", "a?", "--json").output)
    assert [(each["name"], each["run"], each.get("labels")) for each in found if "error" not in each] == [
        ("loop", "died", ["ao"])
    ]
    assert run("ls", "--watch").exit_code == 2


def test_get(loop: FPS) -> None:
    before = Path(loop.path).read_bytes()
    lines = [line.split() for line in run("get", "loop").output.splitlines()]
    assert lines[0] == ["key", "value", "type", "limits", "write", "count", "description"]
    assert lines[1] == ["gain", "0.5", "FLOAT32", "0.0..1.0", "yes", "1", "loop", "gain"]
    assert lines[2][:5] == ["on", "off", "ONOFF", "-", "yes"]
    assert lines[6][:5] == ["out", "1.0", "FLOAT64", "-", "no"]
    assert run("get", "loop", "loop.modes", "delay").output == "100\n1.500000000\n"
    found = json.loads(run("get", "loop", "gain", "--json").output)[0]
    assert (found["value"], found["low"], found["high"], found["writable"]) == (0.5, 0.0, 1.0, True)
    assert "WRITE" in found["flags"]
    result = run("get", "loop", "gian")
    assert (result.exit_code, "did you mean 'gain'?" in result.output) == (1, True)
    assert run("get", "nothing").exit_code == 1
    assert Path(loop.path).read_bytes() == before


def test_set(loop: FPS) -> None:
    assert (
        run("set", "loop", "gain=0.25", "on=on", "modes=0x10", "delay=0.000000001", "text=a=b").exit_code == 0
    )
    assert (loop["gain"], loop["on"], loop["modes"], loop["delay"], loop["text"]) == (
        0.25,
        True,
        16,
        (0, 1),
        "a=b",
    )
    for wrong in ("gain=2", "modes=1.5", "on=maybe", "delay=x", f"text={'x' * 64}", "out=2", "nothing=1"):
        result = run("set", "loop", "modes=99", wrong)
        assert (result.exit_code, result.output[:8]) == (1, "pymilk: "), wrong
        assert loop["modes"] == 16
    assert run("set", "loop", "gain=2", "out=2", "--force").exit_code == 0
    assert (loop["gain"], loop["out"]) == (2.0, 2.0)
    for wrong in ("gain", "=1"):
        assert run("set", "loop", wrong).exit_code == 2
    assert run("set", "loop").exit_code == 2


def test_watch_ends(loop: FPS) -> None:
    assert run("watch", "loop", "gain", "--timeout", "0.01").exit_code == 0
    assert run("watch", "loop", "gian", "--timeout", "0.01").exit_code == 1


def test_create_and_rm(shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = ("gain:FLOAT32=0.5", "n=3", "x=0.5", "on=on", "t=abc", "s:STREAMNAME=")
    options = ("--standard", "--label", "a", "--label", "b", "--description", "what")
    made = ("create", "new", *params, *options, "--program", "pymilk", "m:f")
    assert run(*made).exit_code == 0
    with FPS("new") as fps:
        assert [(each.key, each.type_name, each.value) for each in fps.params()[16:]] == [
            ("gain", "FLOAT32", 0.5), ("n", "INT64", 3), ("x", "FLOAT64", 0.5), ("on", "ONOFF", True),
            ("t", "STRING", "abc"), ("s", "STREAMNAME", "NULLSTREAM"),
        ]  # fmt: skip
        assert (fps.labels, fps.description) == (["a", "b"], "what")
        header = fps.header()
        assert (header["callprogname"], header["callfuncname"]) == ("pymilk", "m:f")
    assert run(*made).exit_code == 1
    assert run(*made, "--force").exit_code == 0
    assert run("create", "bad.name").exit_code == 1
    assert run("create", "bad", "x:NOTYPE=1").exit_code == 1
    assert run("create", "bad", "x").exit_code == 2
    with FPS("new") as fps, fps.running():
        result = run("rm", "new")
        assert (result.exit_code, "its conf and run process runs" in result.output) == (1, True)
        assert fps.is_current()
    result = run("rm", "nothing", "new")
    assert result.exit_code == 1
    assert not (shm_dir / "new.fps.shm").exists()


def test_states(loop: FPS) -> None:
    dead(loop)
    assert run("conf", "loop", "state").output == "stopped\n"
    assert run("run", "loop", "state").output == "died\n"
    assert run("run", "loop", "dance").exit_code == 2


def completions(*arguments: str) -> list[str]:
    *before, last = arguments
    complete = ShellComplete(app, {}, "pymilk", "_PYMILK_COMPLETE")
    return [each.value for each in complete.get_completions(["fps", *before], last)]


def test_names_and_keys_are_completed(loop: FPS) -> None:
    assert completions("get", "lo") == ["loop"]
    assert completions("get", "loop", "") == ["gain", "on", "modes", "delay", "text", "out"]
    assert completions("set", "loop", "gain=1", "o") == ["on", "out"]
    assert completions("watch", "nothing", "") == []


def test_doctor_finds_processes_that_died(loop: FPS, shm_dir: Path) -> None:
    def findings() -> list[dict[str, Any]]:
        found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
        return [each for each in found if each["topic"] == "fps"]

    assert [each["level"] for each in findings()] == ["ok"]
    dead(loop)
    (shm_dir / "bad.fps.shm").write_bytes(b"x")
    found = findings()
    assert [each["level"] for each in found] == ["ok", "note", "problem"]
    assert found[2]["found"] == f"loop: its run process {2**22 + 12345} died"
    assert "pymilk fps run loop start" in found[2]["todo"]
    assert os.path.exists(loop.path)


def test_what_cannot_be_made_leaves_nothing(
    shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in (
        ("x:NOTYPE=1",), ("n:INT32=a",), ("n:UINT64=-1",), (f"t={'x' * 64}",), ("a b=1",),
        ("t:TIMESPEC=1e999999999",),
        ("a=1", "b=2", "c=3", "--slots", "2"),
    ):  # fmt: skip
        result = run("create", "bad", *wrong)
        assert (result.exit_code, result.output[:8]) == (1, "pymilk: "), wrong
    assert list(tmp_path.iterdir()) == []
    assert list(shm_dir.iterdir()) == []
    assert run("create", "loop", "n=1").exit_code == 0
    assert run("create", "loop", "n:INT32=a", "--force").exit_code == 1
    with FPS("loop") as fps:
        assert fps["n"] == 1  # the old one is not lost


def test_messages_name_options_as_they_are_typed(loop: FPS) -> None:
    for command in (("set", "loop", "gain=2"), ("set", "loop", "out=2"), ("create", "loop")):
        said = run(*command).output
        assert "--force" in said
        assert "=True" not in said
