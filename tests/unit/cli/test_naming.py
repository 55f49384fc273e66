"""Names on the command line: patterns, names that were almost right, completion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from pymilk.channels import MessageLog
from pymilk.cli.app import app
from pymilk.cli.naming import matching
from pymilk.errors import StreamNotFoundError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def streams(make_stream) -> None:
    for name in ("wfs2", "wfs1", "dm00", "odd[1]"):
        make_stream(name, (4, 6), "u2")


def test_patterns_become_names(streams: None) -> None:
    assert matching(["wfs*"]) == ["wfs1", "wfs2"]
    assert matching(["dm00", "*", "none"]) == ["dm00", "odd[1]", "wfs1", "wfs2", "none"]
    assert matching(["wfs[2-9]", "dm??"]) == ["wfs2", "dm00"]
    with pytest.raises(StreamNotFoundError, match=r"no stream in .* matches 'cam\*'"):
        matching(["cam*"])


def test_lists_what_matches(streams: None, shm_dir: Path) -> None:
    with MessageLog.create("wfs") as log:
        said = run("ls", "--json", "wfs*")
        assert [each["name"] for each in json.loads(said.stdout)] == ["wfs1", "wfs2", "wfs"]
        assert [each["name"] for each in json.loads(run("ls", "--json", "dm00").stdout)] == ["dm00"]
        log.remove()
    nothing = run("ls", "cam*")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr == f"no stream in {shm_dir} (MILK_SHM_DIR) matches 'cam*'\n"


def test_empty_directory_is_named(shm_dir: Path) -> None:
    said = run("ls")
    assert (said.exit_code, said.stdout, said.stderr) == (0, "", f"no stream in {shm_dir} (MILK_SHM_DIR)\n")
    assert json.loads(run("ls", "--json").stdout) == []


def test_describes_what_matches(streams: None) -> None:
    said = run("info", "wfs*", "--measure", "0", "--json")
    assert [each["name"] for each in json.loads(said.stdout)] == ["wfs1", "wfs2"]
    assert json.loads(run("info", "dm00", "--measure", "0", "--json").stdout)["name"] == "dm00"
    text = run("info", "wfs1", "dm00", "--measure", "0").stdout
    assert text.index("stream      wfs1") < text.index("\n\nstream      dm00")


def test_removes_what_matches(make_stream, shm_dir: Path) -> None:
    for name in ("sim_1", "sim_2", "cam"):
        make_stream(name, (4, 6), "u2").close()
    assert run("rm", "--force", "sim_*").exit_code == 0
    assert [path.name for path in shm_dir.iterdir()] == ["cam.im.shm"]


@pytest.mark.parametrize(
    "command", [["info"], ["kw"], ["show", "--once"], ["capture", "-n", "1", "-o", "x.npy"]]
)
def test_names_that_are_almost_right(command: list[str], streams: None, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run(command[0], "wsf1", *command[1:])
    assert said.exit_code == 1
    assert "did you mean wfs1" in said.stderr
    assert "did you mean" not in run(command[0], "elsewhere", *command[1:]).stderr


def test_completion(streams: None) -> None:
    complete = ShellComplete(app, {}, "pymilk", "_PYMILK_COMPLETE")
    for command in ("info", "kw", "show", "capture", "relay", "record", "rm", "ls", "top"):
        found = complete.get_completions([command], "wf")
        assert [(each.value, each.help) for each in found] == [("wfs1", "4x6 uint16"), ("wfs2", "4x6 uint16")]
    assert "simulate" in [each.value for each in complete.get_completions([], "sim")]
