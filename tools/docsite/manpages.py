"""Man pages from the help of the commands.

    nox -s man                          # build/man/man1/*.1
    man -M build/man pymilk-record

Groff's macros ``man`` are what every system has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pymilk import __version__

from .commands import CommandHelp, command_help
from .files import write_all

__all__ = ["man_page", "write_man_pages"]


def write_man_pages(folder: Path) -> list[Path]:
    """Write a page for each command into a folder that holds nothing else; returns their paths."""
    pages = {f"{each.file}.1": man_page(each) for each in command_help()}
    write_all(folder, pages)
    return [folder / name for name in sorted(pages)]


def man_page(command: CommandHelp) -> str:
    """Return the man page of a command, in the macros of ``man``."""
    lines = [
        f'.TH "{_text(command.file.upper())}" 1 "" "pymilk {_text(__version__)}" "pymilk"',
        ".ad l",
        ".SH NAME",
        f"{_text(command.file)} \\- {_text(command.summary)}",
        ".SH SYNOPSIS",
        f".B {_text(command.name)}",
        _line(command.usage),
        ".SH DESCRIPTION",
    ]
    for paragraph in command.paragraphs:
        if "\n" in paragraph:
            lines += [".PP", ".nf", *(_line(line) for line in paragraph.splitlines()), ".fi"]
        else:
            lines += [".PP", _line(paragraph)]
    if command.options:
        lines.append(".SH OPTIONS")
        for written, what in command.options:
            lines += [".TP", f".B {_text(written)}", _line(what)]
    others = [each.replace(" ", "-") for each in command.subcommands]
    others += [each for each in [command.file.rpartition("-")[0]] if each]
    if others:
        lines += [".SH SEE ALSO", ", ".join(f"\\fB{_text(each)}\\fR(1)" for each in others)]
    return "\n".join(lines) + "\n"


def _text(words: str) -> str:
    """Return words as roff wants them: dashes that can be copied, no escapes, ASCII quotes."""
    signs = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", '"': "\\(dq", "~": "\\(ti", "^": "\\(ha"}
    return "".join(signs.get(sign, sign) for sign in words)


def _line(words: str) -> str:
    """Return a line of text; one that begins with a dot would be a request."""
    text = _text(words)
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    for path in write_man_pages(Path(sys.argv[1])):
        print(path)
