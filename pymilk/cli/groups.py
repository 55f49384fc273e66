"""Groups of commands whose help tells each command's whole first sentence."""

from __future__ import annotations

import difflib

import click

__all__ = ["SentenceGroup"]

#: Longer than any sentence: click cuts those that are longer.
_UNCUT = 1000


class SentenceGroup(click.Group):
    """A group of commands that says what was meant by a name that was almost right.

    Its list of commands breaks a long sentence into lines, where click's own cuts it.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and add to the error what it may have been."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), 3, 0.6)
            if getattr(error, "possibilities", None):  # said already, by click 8.4 and later
                raise
            if not close:
                raise
            meant = " or ".join(map(repr, close))
            raise click.UsageError(f"{error.message} Did you mean {meant}?", error.ctx) from None

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
