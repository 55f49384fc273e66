"""Output of commands: tables, JSON, readable sizes and ages."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click
import rich.table
from rich.console import Console
from rich.text import Text

from ..errors import ForeignFileWarning, StreamGoneWarning, StreamInUseWarning
from ..names import stream_directory
from ..verdicts import wrapped
from .colour import Meaning, paint, wants_colours
from .naming import close_names
from .tables import Table, clean

__all__ = [
    "NOTHING",
    "UNLIMITED",
    "age_text",
    "channel_lines",
    "clean",
    "fitted_table",
    "print_error",
    "print_json",
    "print_none",
    "print_report",
    "print_table",
    "print_told",
    "process_text",
    "size_text",
    "table_lines",
    "table_of",
    "warnings_as_lines",
    "width_of_stdout",
]

#: Width of a table that is not printed on a terminal, in columns: nothing is cut.
UNLIMITED = 10_000

#: Labels of reports whose count is frames that are missing or not whole.
_LOSSES = ("lost", "torn", "not written", "not read in time")

#: The same within a line: "3 lost", or "lost   3".
_LOSS = re.compile(rf"\b(?:(\d+) (?:lost|torn)|(?:{'|'.join(_LOSSES)}) +(\d+))\b")

#: What errors and warnings say of arguments in Python.
_REPLACE_IT = re.compile(r"replace (?:it|the stream) with replace=True")
_SAFE_CHOICE = re.compile(r"; replace='if-free' \(or PYMILK_REPLACE=if-free\) refuses that")
_FORCED = re.compile(r"\b(?:force|replace)=True\b")
_OR_FORCE = re.compile(r", or replace it with force=True")
#: Advice of errors, whose option commands name.
_FORCE = re.compile(r"\bor force (?:it|the removal)\b")

#: Text for an unknown value.
NOTHING = "-"


def process_text(pid: int | None, alive: bool | None) -> str:
    """Write a process number that a stream holds, and whether that process is alive."""
    if pid is None:
        return NOTHING
    if alive is None:
        return Meaning(f"{pid} not visible from here", "doubtful")
    return Meaning(f"{pid} alive", "good") if alive else Meaning(f"{pid} dead", "bad")


def print_error(error: Exception) -> None:
    """Print the message of an error on stderr; it may contain names of processes and text of files."""
    text = f"pymilk: {_with_option(error, _in_options(str(error)) + close_names(error))}"
    click.echo("\n".join(map(clean, text.split("\n"))), err=True)


def print_none(what: str, wanted: Sequence[str] = (), where: Sequence[str] = ()) -> None:
    """Say on stderr that a list has nothing in it.

    Parameters
    ----------
    what : str
        What is not there: ``"stream"``.
    wanted : sequence of str
        The names and patterns that were asked for.
    where : sequence of str
        Directories that were searched. Default: the stream directory, and whether MILK_SHM_DIR names it.
    """
    known = "MILK_SHM_DIR" if "MILK_SHM_DIR" in os.environ else "no MILK_SHM_DIR"
    places = ", ".join(where) or f"{stream_directory()} ({known})"
    fitting = f" matches {' or '.join(map(repr, wanted))}" if wanted else ""
    click.echo(clean(f"no {what} in {places}{fitting}"), err=True)


def _in_options(text: str) -> str:
    """Put options of the running command in the place of arguments in Python, or say what else helps."""
    context = click.get_current_context(silent=True)
    options = [name for each in context.command.params for name in each.opts] if context is not None else []
    forced = "replace it with --force" if "--force" in options else "delete it with pymilk rm --force"
    chosen = "choose with --hdu, or as" if "--hdu" in options else "choose as"
    text = _REPLACE_IT.sub(forced, text).replace("choose with hdu=, or as", chosen)
    text = _SAFE_CHOICE.sub("", text)
    return _FORCED.sub("--force", text) if "--force" in options else _OR_FORCE.sub("", text)


def _with_option(error: Exception, text: str) -> str:
    """Say which option of the running command an error is about: in place of its argument, or at the end."""
    context = click.get_current_context(silent=True)
    argument = getattr(error, "argument", None)
    if argument is None and _FORCE.search(str(error)):  # what the message advises
        argument = "force"
    if context is None or argument is None:
        return text
    for each in context.command.params:
        if each.name == argument and isinstance(each, click.Option) and each.opts[-1] not in text:
            word = rf"(?<!the )(?<![\w'\"-]){re.escape(argument)}(?= is |: )"
            typed = re.sub(word, each.opts[-1], text, count=1)
            return typed if typed != text else f"{text} (option {each.opts[-1]})"
    return text


@contextlib.contextmanager
def warnings_as_lines(*, quiet: bool = False) -> Iterator[None]:
    """Print warnings as lines on stderr: of streams replaced in use or gone, and of files of others.

    With `quiet` what is decided about files of others is not printed.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ForeignFileWarning)
        warnings.simplefilter("always", StreamInUseWarning)
        yield
    for each in said:
        if not issubclass(each.category, (ForeignFileWarning, StreamGoneWarning, StreamInUseWarning)):
            warnings.showwarning(each.message, each.category, each.filename, each.lineno)
        elif not (quiet and issubclass(each.category, ForeignFileWarning)):
            click.echo(f"pymilk: {clean(_in_options(str(each.message)))}", err=True)


def print_json(content: Any, indent: int | None = 2) -> None:
    """Print dicts, lists and plain values as JSON; NaN and infinities become null."""
    click.echo(json.dumps(_plain(content), indent=indent, allow_nan=False))


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def channel_lines(channels: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each channel of `channels.listing.list_channels`."""
    lines = []
    for entry in channels:
        file = os.path.basename(entry["path"])
        if "error" in entry:
            lines.append(clean(f"{file}: {entry['error']}"))
            continue
        left = f", {entry['abandoned']} abandoned by processes that died" if entry["abandoned"] else ""
        if entry["kind"] == "cmd":
            numbers = f"{entry['waiting']} waiting, {entry['started']} started, {entry['count']} sent so far"
            users = f"attached {len(entry['users'])} times"
            lines.append(clean(f"{file}: command queue, {numbers}, {users}{left}"))
            continue
        age = f", newest {age_text(entry['age'])} ago" if entry["age"] is not None else ""
        if entry["kind"] == "state":
            keys = f"{entry['keys']} {'fixed ' if entry['fixed'] else ''}keys"
            lines.append(clean(f"{file}: state, {keys}, epoch {entry['count']}{age}{left}"))
            continue
        pid = entry["writer"]
        writer = "no writer" if pid is None else f"written by {pid or 'a process that is not visible here'}"
        lines.append(clean(f"{file}: message log, {entry['count']} messages{age}, {writer}{left}"))
    return lines


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """Make a table without lines; headings in `right` are those of numbers."""
    return Table(headings, list(rows), right)


def fitted_table(
    width: int,
    headings: Sequence[str],
    rows: Sequence[dict[str, str]],
    dispensable: Sequence[str],
    right: Sequence[str] = (),
) -> tuple[Table, str]:
    """Return a table with as many columns as there is room for.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    headings : sequence of str
    rows : sequence of dict
        Cells by heading.
    dispensable : sequence of str
        Columns that are left out if there is no room, the first one first.
    right : sequence of str, optional
        Columns of numbers.

    Returns
    -------
    (Table, str)
        The text names the columns that are left out; "" if none is.
    """
    shown = list(headings)
    missing: list[str] = []
    for name in ("", *dispensable):
        if name in shown:
            shown.remove(name)
            missing.append(name)
        table = table_of(shown, [[row[key] for key in shown] for row in rows], right=right)
        if table.width <= width:
            break
    return table, f"no room for {', '.join(missing)}" if missing else ""


def width_of_stdout() -> int:
    """Return the columns of the terminal, or of ``COLUMNS``; no limit elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


def table_lines(table: Table) -> list[str]:
    """Return a table as lines for stdout; with colours on a terminal that wants them."""
    styles, colours = sys.stdout.isatty(), wants_colours(sys.stdout)
    return table.lines(width_of_stdout(), styles=styles, colours=colours)


def print_table(table: Table) -> None:
    """Print a table on stdout."""
    click.echo("\n".join(table_lines(table)))


def print_report(rows: Iterable[tuple[str, str]], title: str) -> None:
    """Print a report, (label, text) each, as a table on stdout; losses in colours on a terminal."""
    table = rich.table.Table(title=Text(clean(title)), title_justify="left")
    table.add_column("what")
    table.add_column("result")
    colours = {"bad": "red", "good": "green"} if wants_colours(sys.stdout) else {}
    for label, text in rows:
        style = _style_of_loss(text) if label in _LOSSES else ""
        table.add_row(label, Text(clean(text), style=colours.get(style, "")))
    Console(markup=False).print(table)


def _style_of_loss(text: str) -> str:
    """Return the style of a number of lost frames, which may be followed by words."""
    return "good" if text.split(maxsplit=1)[0].rstrip(",") == "0" else "bad"


def print_told(text: str, reasons: Iterable[str] = ()) -> None:
    """Print the text of a report on stdout; on a terminal losses, and what explains them, in colours.

    Parameters
    ----------
    text : str
        One line or more.
    reasons : iterable of str
        Sentences that the text ends with.
    """
    colours, columns = wants_colours(sys.stdout), width_of_stdout()
    explained = set()
    for sentence in reasons:
        here = wrapped(sentence, columns)
        text = text.replace(wrapped(sentence), here)
        explained.update(here.splitlines())
    for line in text.splitlines():
        shown = clean(line)
        if colours and line in explained:
            shown = paint(shown, "doubtful")
        elif colours:
            shown = _LOSS.sub(lambda found: paint(found[0], _style_of_loss(found[1] or found[2])), shown)
        click.echo(shown)


def size_text(nbytes: int) -> str:
    """Write bytes in powers of 1000."""
    size = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def age_text(seconds: float | None) -> str:
    """Return an age as text; a negative one, from clocks that differ, is shown as it is."""
    if seconds is None:
        return NOTHING
    length = abs(seconds)
    for limit, unit, name in ((1e-3, 1e-6, "us"), (1.0, 1e-3, "ms"), (120.0, 1.0, "s"),
                              (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):  # fmt: skip
        if length < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 86400:.1f} d"
