"""Commands of pymilk within this process: starting Python takes its time."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

import click

from pymilk.cli.app import app


def walk(group: click.Group = app, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Find all commands below a group, each with its words ("bridge send"); groups as well."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield path + name, command
        if isinstance(command, click.Group):
            yield from walk(command, f"{path}{name} ")


def call(*arguments: object, command: click.Command = app) -> subprocess.CompletedProcess[str]:
    """Do the same within this process, for what needs many commands: starting Python takes its time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command.main([str(each) for each in arguments], prog_name="pymilk")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())


def done(*arguments: object, function: Callable[..., subprocess.CompletedProcess[str]] = call) -> str:
    """Do a command that must end well; returns what it prints."""
    said = function(*arguments)
    assert (said.returncode, said.stderr) == (0, "")
    return said.stdout
