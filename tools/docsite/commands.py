"""The help of every command, read from its parser; and a page of the site for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from pymilk.cli.app import app
from pymilk.cli.commands import familiar

from .files import write_all

__all__ = ["CommandHelp", "command_help", "write_command_pages"]

#: Commands of their own, beside `pymilk`: those of existing scripts.
FAMILIAR = {
    "creashmim": familiar.creashmim,
    "updatekw": familiar.updatekw,
    "shmImshow": familiar.shm_imshow,
    "shmPlot": familiar.shm_plot,
    "shmTermshow": familiar.shm_termshow,
}


@dataclass(frozen=True)
class CommandHelp:
    """What a command says about itself.

    Parameters
    ----------
    name : str
        As it is typed: ``pymilk fps set``.
    usage : str
        What follows the name.
    paragraphs : tuple of str
        Its description; the first sentence of the first says what it does.
    options : tuple of (str, str)
        Each option as it is written, and what it does; also arguments that have words of their own. Hidden
        ones are left out.
    subcommands : tuple of str
        Full names.
    """

    name: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    subcommands: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Its name with dashes, as files are called: ``pymilk-fps-set``."""
        return self.name.replace(" ", "-")

    @property
    def summary(self) -> str:
        """What it does, in one sentence without a full stop."""
        first = self.paragraphs[0] if self.paragraphs else ""
        return first.partition(". ")[0].rstrip(".")


def command_help() -> list[CommandHelp]:
    """Return the help of ``pymilk``, of all its commands, and of those of existing scripts, in this order."""
    found = list(_walk(app, "pymilk"))
    for name, command in FAMILIAR.items():
        found.extend(_walk(command, name))
    return found


def _walk(command: click.Command, name: str) -> Iterator[CommandHelp]:
    context = click.Context(command, info_name=name, max_content_width=100)
    options = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            options.append((record[0], record[1]))
    below: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        within = {each: command.get_command(context, each) for each in sorted(command.list_commands(context))}
        below = {each: found for each, found in within.items() if found is not None and not found.hidden}
    yield CommandHelp(
        name=name,
        usage=" ".join(command.collect_usage_pieces(context)),
        paragraphs=tuple(_paragraphs(command.help or "")),
        options=tuple(options),
        subcommands=tuple(f"{name} {each}" for each in below),
    )
    for each, found in below.items():
        yield from _walk(found, f"{name} {each}")


def _paragraphs(text: str) -> Iterator[str]:
    """Give the paragraphs of a help text, each as one line, or, where it asks for that, as it is."""
    for part in text.replace("\f", "").split("\n\n"):
        if part.startswith("\b"):
            yield part.lstrip("\b").strip("\n")
        elif part.strip():
            yield " ".join(part.split())


def write_command_pages(commands: list[CommandHelp], folder: Path) -> None:
    """Write a page for each command, and one that lists them, into a folder that holds nothing else."""
    pages = {f"{each.file}.rst": _page(each) for each in commands}
    pages["index.rst"] = _index(commands)
    write_all(folder, pages)


def _literal(text: str) -> str:
    """Return text of a terminal for reStructuredText, where these signs mean something."""
    return "".join(f"\\{sign}" if sign in "\\*`_|" else sign for sign in text)


def _page(command: CommandHelp) -> str:
    lines = [command.name, "=" * len(command.name), "", "::", "", f"    {command.name} {command.usage}", ""]
    for paragraph in command.paragraphs:
        if "\n" in paragraph:
            lines += ["::", "", *(f"    {line}" for line in paragraph.splitlines()), ""]
        else:
            lines += [_literal(paragraph), ""]
    if command.options:
        lines += ["Options", "-------", ""]
        for written, what in command.options:
            lines += [f"``{written}``", f"    {_literal(what)}", ""]
    if command.subcommands:
        lines += ["Commands", "--------", "", ".. toctree::", "    :maxdepth: 1", ""]
        lines += [f"    {name.replace(' ', '-')}" for name in command.subcommands]
    return "\n".join(lines).rstrip() + "\n"


def _index(commands: list[CommandHelp]) -> str:
    title = "Commands and their options"
    lines = [title, "=" * len(title), ""]
    lines += ["From the help of the commands of this version. With their output: :doc:`../cli`.", ""]
    for command in commands:
        lines += [f":doc:`{command.file}`", f"    {_literal(command.summary)}.", ""]
    tops = [each.file for each in commands if " " not in each.name]
    lines += [".. toctree::", "    :hidden:", "", *(f"    {name}" for name in tops)]
    return "\n".join(lines) + "\n"
