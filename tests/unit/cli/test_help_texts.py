"""What commands tell of themselves: their list, names of values, and what the shell completes."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

import click
from click.shell_completion import CompletionItem

from pymilk.cli.app import app
from support.calling import call, done, walk

COMMANDS = {"": app, **dict(walk())}

PARAMETERS = [
    (path, parameter)
    for path, command in COMMANDS.items()
    for parameter in command.params
    if not getattr(parameter, "hidden", False)
]

#: Commands whose first argument is the name of a stream, or a pattern.
NAMES_OF_STREAMS = (
    "bridge send", "capture", "info", "kw", "ls", "record", "relay", "rm", "show", "top", "watch", "web",
)  # fmt: skip


def items(path: str, parameter: click.Parameter, start: str) -> list[CompletionItem]:
    return parameter.shell_complete(click.Context(COMMANDS[path]), start)


@pytest.mark.parametrize("path", [path for path, each in COMMANDS.items() if isinstance(each, click.Group)])
def test_list_of_commands_has_whole_sentences(path: str) -> None:
    group = COMMANDS[path]
    assert isinstance(group, click.Group)
    context = click.Context(group, info_name=path or "pymilk", max_content_width=80)
    told = " ".join(group.get_help(context).split())
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        assert command.help is not None
        first = " ".join(command.help.split()).partition(". ")[0]
        assert f"{name} {first}" in told


def test_values_have_names() -> None:
    without = [
        f"{path} {parameter.opts[-1]}"
        for path, parameter in PARAMETERS
        if isinstance(parameter, click.Option)
        and not parameter.is_flag
        and parameter.metavar is None
        and not isinstance(parameter.type, click.Choice)
    ]
    assert without == []


@pytest.mark.parametrize("path", COMMANDS)
def test_limits_that_are_none_are_not_told(path: str) -> None:
    assert "None" not in COMMANDS[path].get_help(click.Context(COMMANDS[path], info_name=path))


def test_numbers_without_limits_are_numbers(make_stream) -> None:
    make_stream("cam", (8, 8), "u2")
    assert "0 saturated" not in done("show", "cam", "--once", "--saturation", "-1e3")
    assert "not a finite number" in call("show", "cam", "--once", "--saturation", "nan").stderr


def test_files_are_completed() -> None:
    wanted = [
        (path, parameter)
        for path, parameter in PARAMETERS
        if re.search(r"\b(FILE|PATH|DIR)\b", parameter.metavar or "")
    ]
    assert len(wanted) > 20
    for path, parameter in wanted:
        kinds = {each.type for each in items(path, parameter, "none/")}
        assert kinds & {"file", "dir"}, f"{path} {parameter.name}"


def test_recordings_to_play_are_completed() -> None:
    path = "play"
    assert [each.type for each in items(path, COMMANDS[path].params[0], "none/")] == ["file"]


@pytest.mark.parametrize(("path", "name"), [("info", "names"), ("show", "dark")])
def test_streams_come_before_files(path: str, name: str, make_stream) -> None:
    make_stream("cam", (8, 8), "u2")
    (parameter,) = (each for each in COMMANDS[path].params if each.name == name)
    assert [(each.value, each.type) for each in items(path, parameter, "c")] == [("cam", "plain")]
    assert [(each.value, each.type) for each in items(path, parameter, "d")] == [("d", "file")]


@pytest.mark.parametrize("path", NAMES_OF_STREAMS)
def test_streams_are_completed(path: str, make_stream) -> None:
    make_stream("cam", (8, 8), "u2")
    assert [each.value for each in items(path, COMMANDS[path].params[0], "ca")] == ["cam"]
