"""The option ``--compress``, with a word or without one."""

from __future__ import annotations

import click

from ..recording.sinks.packing import WORDS

__all__ = ["PackingCommand", "packing_of"]


class PackingCommand(click.Command):
    """A command whose option ``--compress`` may stand without its word, before the name of a stream too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let the option have an empty word, if what follows is none."""
        end = args.index("--") if "--" in args else len(args)
        for at in range(end):
            if args[at] == "--compress" and args[at + 1 : at + 2] not in [[word] for word in WORDS]:
                args[at] = "--compress="
        return super().parse_args(ctx, args)


def packing_of(ctx: click.Context, parameter: click.Parameter, value: str | None) -> bool | str:
    """Return what ``--compress`` asks for."""
    if not value:
        return value is not None
    if value not in WORDS:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(WORDS)}", ctx, parameter)
    return value
