"""What commands tell of themselves: their list, names of values, and what the shell completes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

import click
from click.shell_completion import CompletionItem

from pymilk.cli.app import app
from support.calling import call, done, walk

ROOT = Path(__file__).parents[3]


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


def lines_with_commands() -> Iterator[tuple[str, str, str]]:
    """Find commands with options in what users read: the place, the command, its options as they stand."""
    names = "|".join(sorted(filter(None, COMMANDS), key=len, reverse=True))
    found = re.compile(rf"\bpymilk ({names})((?: [^`\n|;]*)?)")
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").iterdir()]
    for place in [*places, *(ROOT / "contrib").rglob("*.service")]:
        for each in found.finditer(place.read_text()):
            yield str(place.relative_to(ROOT)), each[1], each[2]


def test_options_in_texts_are_shown_in_the_help() -> None:
    seen = 0
    for place, path, rest in lines_with_commands():
        known = {word for found, each in PARAMETERS if found == path for word in each.opts}
        for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
            seen += 1
            assert word in known | {"--help"}, f"{place}: pymilk {path} {word}"
    assert seen > 50
