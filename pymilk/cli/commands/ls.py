"""``pymilk ls``: the streams of a directory, and who uses them."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ...channels.listing import list_channels
from ...inspection import measure_rates, survey
from ...names import stream_directory
from ...reports import COUNTER_SET
from ...streams.kinds import FRAMES
from ..exits import clean_exit
from ..naming import complete_streams, matches
from ..output import (
    NOTHING,
    age_text,
    channel_lines,
    clean,
    console_of_stdout,
    fitted_table,
    print_json,
    process_text,
    size_text,
)
from ..parameters import NumberRange
from ..progress import bar_of_time
from ..terminal import ERASE, Terminal, interactive

__all__ = ["COLUMNS", "ls", "watch_streams"]

#: Columns of the table; it can be sorted by each of them.
COLUMNS = ("name", "content", "dtype", "shape", "counter", "rate", "age", "writer", "readers", "ring",
           "size")  # fmt: skip

#: Columns of numbers, sorted from the largest to the smallest; ages by the times of the last frames.
_NUMBERS = ("counter", "rate", "age", "readers", "ring", "size")

#: Columns that are left out if a terminal is too narrow, the first one first.
_DISPENSABLE = ("size", "ring", "dtype", "readers", "content", "shape")

#: Seconds between two looks of --watch, unless --rate says otherwise.
_WATCH_SECONDS = 1.0

#: Order of writers: alive, not visible from here, dead.
_RANKS = {True: 0, None: 1, False: 2}


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@click.option("--sort", type=click.Choice(COLUMNS), default="name", show_default=True,
              help="Numbers: largest first; ages: newest first.")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--rate", "seconds", type=NumberRange(min=0, min_open=True, max=3600), metavar="SECONDS",
              help="Measure frames per second over this time.")
@click.option("--watch", is_flag=True, help="Look again every second, or every --rate seconds, until q.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def ls(
    patterns: tuple[str, ...], sort: str, reverse: bool, seconds: float | None, watch: bool, as_json: bool
) -> None:
    """List streams, or those whose names match a PATTERN: shape, rate, age, writer and readers.

    Tables, video and audio are streams as well: a column tells them apart if there are any.

    The writer is the process that posted the semaphores last; readers are semaphores that living processes
    hold. Files that are not usable streams are listed below the table, with the reason; then channels.

    Example: pymilk ls 'wfs*' --rate 0.5 --sort rate
    """
    if watch and as_json:
        raise click.UsageError("--watch draws a table; leave out --json")
    if watch and not interactive():
        raise click.UsageError("--watch needs a terminal for drawing and keys; for a pipe leave it out")
    if sort == "rate" and seconds is None and not watch:
        raise click.UsageError("rates are measured with --rate SECONDS only")
    with clean_exit():
        if watch:
            watch_streams(sort, reverse, seconds or _WATCH_SECONDS, patterns)
            return
        streams = _survey(patterns)
        if seconds is not None:
            before = streams
            with bar_of_time(Console(stderr=True, quiet=as_json), "measuring", seconds):
                time.sleep(seconds)
            streams = _survey(patterns)
            measure_rates(before, streams)
        streams = _sorted(streams, sort, reverse)
        channels = [each for each in list_channels() if _wanted(os.path.basename(each["path"]), patterns)]
        if as_json:
            print_json(streams + channels)
            return
        if any("error" not in entry for entry in streams):
            console = console_of_stdout()
            table, missing = _table(streams, console, sort, with_rate=seconds is not None)
            console.print(table)
            if missing:
                click.echo(missing)
        for line in _others(streams) + channel_lines(channels):
            click.echo(line)
        if not streams and not channels:
            fitting = f" matches {' or '.join(map(repr, patterns))}" if patterns else ""
            where = f"{stream_directory()} ({'' if 'MILK_SHM_DIR' in os.environ else 'no '}MILK_SHM_DIR)"
            click.echo(f"no stream in {where}{fitting}", err=True)


def _wanted(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or matches(name, patterns)


def _survey(patterns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Look at the streams whose names match one of the patterns; all, if there is none."""
    return [entry for entry in survey() if _wanted(entry["name"], patterns)]


def watch_streams(sort: str, reverse: bool, seconds: float, patterns: tuple[str, ...] = ()) -> None:
    """Draw the table repeatedly until Ctrl-C or q; keys choose the column to sort by."""
    watch = _Watch(sort, reverse, seconds, patterns)
    with contextlib.suppress(KeyboardInterrupt), Terminal() as terminal:
        while True:
            terminal.draw(watch.lines(terminal.lines, terminal.columns))
            keys = terminal.wait(watch.due)
            if keys is None or not all(watch.press(key) for key in keys):
                return
            watch.update()


class _Watch:
    """State of the live table."""

    def __init__(self, sort: str, reverse: bool, seconds: float, patterns: tuple[str, ...]) -> None:
        self._sort, self._reverse, self._seconds, self._patterns = sort, reverse, seconds, patterns
        self._streams = _survey(patterns)
        measure_rates([], self._streams)
        self.due = time.monotonic() + seconds

    def update(self) -> None:
        """Read the streams again if it is time."""
        if time.monotonic() >= self.due:
            before, self._streams = self._streams, _survey(self._patterns)
            measure_rates(before, self._streams)
            self.due = time.monotonic() + self._seconds

    def press(self, key: str) -> bool:
        """Execute the command of a key; returns False if it ends the view."""
        if key in ("<", ">"):
            step = 1 if key == ">" else -1
            self._sort = COLUMNS[(COLUMNS.index(self._sort) + step) % len(COLUMNS)]
        elif key == "r":
            self._reverse = not self._reverse
        return key not in ("q", "Q")

    def lines(self, lines: int, columns: int) -> list[str]:
        """Return all lines of the terminal."""
        console = Console(width=columns, highlight=False, markup=False)
        # The first ones, if not all fit between the headings and the last line.
        shown = _sorted(self._streams, self._sort, self._reverse)[: max(1, lines - 2)]
        table, missing = _table(shown, console, self._sort, with_rate=True)
        others = [Text(line, no_wrap=True, overflow="ellipsis") for line in _others(shown)]
        order = f"by {self._sort}{', reversed' if self._reverse else ''}"
        if len(shown) < len(self._streams):
            order += f"  {len(self._streams) - len(shown)} more"
        keys = f"{order}  < > column  r reverse  q quit  every {self._seconds:g} s  {missing}".rstrip()
        with console.capture() as drawn:
            console.print(Group(table, *others, Text(keys, style="dim", no_wrap=True)))
        text = drawn.get().splitlines()
        return [ERASE + line for line in text + [""] * (lines - len(text))]


def _sorted(streams: list[dict[str, Any]], column: str, reverse: bool) -> list[dict[str, Any]]:
    """Sort by a column; streams without a value come last, then files that are not streams."""
    # Ages are read at different times; the times of the last frames can be compared.
    keys = {"size": "nbytes", "shape": "frame_shape", "age": "last_frame_ns"}
    good = [entry for entry in streams if "error" not in entry]

    def value(entry: dict[str, Any]) -> Any:
        if column == "writer":
            pid = entry["writer_pid"]
            return None if pid is None else (_RANKS[entry["writer_alive"]], pid)
        if column == "readers":
            return len(entry["readers"])
        return entry[keys.get(column, column)]

    known = [entry for entry in good if value(entry) is not None]
    known.sort(key=value, reverse=(column in _NUMBERS) != reverse)
    unknown = [entry for entry in good if value(entry) is None]
    return known + unknown + [entry for entry in streams if "error" in entry]


def _table(
    streams: list[dict[str, Any]], console: Console, sort: str, *, with_rate: bool
) -> tuple[Table, str]:
    """Return the table, with as many columns as there is room for, and the names of missing ones."""
    cells = [_cells(entry) for entry in streams if "error" not in entry]
    left_out = {"rate"} if not with_rate else set()
    if all(each["content"] == FRAMES for each in cells) and sort != "content":
        left_out.add("content")
    headings = [name for name in COLUMNS if name not in left_out]
    return fitted_table(console, headings, cells, [name for name in _DISPENSABLE if name != sort], _NUMBERS)


def _cells(entry: dict[str, Any]) -> dict[str, str]:
    pid, alive, rate = entry["writer_pid"], entry["writer_alive"], entry.get("rate")
    ring = str(entry["ring"]) if entry["ring"] else NOTHING
    return {
        "name": entry["name"],
        "content": entry["content"],
        "dtype": entry["dtype"],
        "shape": "x".join(str(length) for length in entry["frame_shape"]),
        "counter": str(entry["counter"]),
        "rate": NOTHING if rate is None else f"{rate:.1f}/s",
        "age": age_text(entry["age"]),
        "writer": process_text(pid, alive),
        "readers": str(len(entry["readers"])),
        "ring": f"temporal {ring}" if entry["ring_kind"] == "temporal" else ring,
        "size": size_text(entry["nbytes"]),
    }


def _others(streams: list[dict[str, Any]]) -> list[str]:
    """Return a line for each file that is not a usable stream, and each stream whose counter was set."""
    return [
        clean(f"{os.path.basename(entry['path'])}: {entry['error'].removeprefix(entry['path'] + ': ')}")
        if "error" in entry
        else clean(f"{entry['name']}: {COUNTER_SET}")
        for entry in streams
        if "error" in entry or entry["counter_set"]
    ]
