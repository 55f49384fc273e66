"""The command group: ``pymilk`` and its commands."""

from __future__ import annotations

import click

from ..inspection.about import version_lines
from .groups import SentenceGroup
from .start import loaded

__all__ = ["app"]

#: The module of each command, where it is not called like it.
_MODULES = {"create": "streams", "rm": "streams"}

_COMMANDS = (
    "bench", "bridge", "capture", "completion", "create", "demo", "doctor", "fps", "graph", "info", "kw",
    "ls", "play", "ps", "record", "relay", "rm", "send", "show", "simulate", "state", "tail", "top", "watch",
    "web",
)  # fmt: skip


class _Commands(SentenceGroup):
    """Imports a command when it is asked for: the others need much that it does not."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = loaded(f".commands.{_MODULES.get(name, name)}", name)
        assert isinstance(command, click.Command)
        return command


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("\n".join(version_lines()))
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show versions and build options, as a bug report needs them.",
)
def app() -> None:
    """Camera frames through shared memory, every one of them accounted for."""
