"""Groups of commands whose help tells each command's whole first sentence."""

from __future__ import annotations

import click

__all__ = ["SentenceGroup"]

#: Longer than any sentence: click cuts those that are longer.
_UNCUT = 1000


class SentenceGroup(click.Group):
    """A group whose list of commands breaks a long sentence into lines, where click's own cuts it."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a paragraph for each command."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [
            (name, command.get_short_help_str(_UNCUT))
            for name, command in commands.items()
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
