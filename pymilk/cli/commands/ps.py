"""``pymilk ps``: the loops that have process information, live, with keys to control them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from ...errors import StreamError
from ...parameters.listing import list_processes, remove_stale_processes
from ...parameters.process_folders import process_directories
from ...parameters.processinfo import ProcessInfo
from ...parameters.status import ProcessStatus
from ...times import now_ns
from ..colour import Meaning, paint, wants_colours
from ..exits import clean_exit, until_interrupted
from ..output import (
    NOTHING,
    age_text,
    clean,
    fitted_table,
    print_json,
    print_none,
    print_table,
    width_of_stdout,
)
from ..parameters import NumberRange
from ..scroll import Scroll
from ..tables import Table, cut
from ..terminal import ERASE, Terminal, interactive

__all__ = ["ps"]

COLUMNS = ("name", "pid", "state", "loops", "rate", "jitter", "busy", "last", "trigger", "missed", "message")
_NUMBERS = ("pid", "loops", "rate", "jitter", "busy", "last", "missed")

#: What colours say of what a process does; anything else is bad.
_STATES = {
    "running": "good",
    "stopped": "quiet",
    **dict.fromkeys(("starting", "paused", "stopping", "spinning"), "doubtful"),
}

#: Columns that are left out if a terminal is too narrow, the first one first.
_DISPENSABLE = ("message", "missed", "trigger", "busy", "last", "pid")

#: Mark of the chosen process.
_CHOSEN = "> "

_HELP = "up/down choose  p pause  r resume  s step  x stop  q quit"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|PID]...")
@click.option("--once", is_flag=True, help="Print the table once, as in a pipe.")
@click.option("--interval", type=NumberRange(min=0.05, max=3600), default=0.5, show_default=True,
              metavar="SECONDS", help="Seconds between updates.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
@click.option("--remove-stale", "clean_up", is_flag=True,
              help="Remove the entries of processes that have ended, and nothing else.")
def ps(names: tuple[str, ...], once: bool, interval: float, as_json: bool, clean_up: bool) -> None:
    """Show the processes that have process information: loops, rates, jitter, state.

    On a terminal the table is live, and keys control the chosen process: p pauses it, s has it do one
    iteration, r resumes it, x twice stops it. "busy" is the median time of an iteration, "last" the time
    since the last one.

    Example: pymilk ps --once
    """
    if clean_up and (names or once or as_json):
        raise click.UsageError("--remove-stale goes alone")
    with clean_exit():
        if clean_up:
            for path in remove_stale_processes():
                click.echo(clean(f"removed {path}"))
        elif as_json:
            print_json([status.to_dict() for status in _chosen(names)])
        elif once or not interactive():
            _print(names)
        else:
            _watch(names, interval)


def _chosen(names: Sequence[str]) -> list[ProcessStatus]:
    """Read the processes of these names or PIDs; all without."""
    return [each for each in list_processes() if not names or each.name in names or str(each.pid) in names]


def _print(names: Sequence[str]) -> None:
    processes = _chosen(names)
    good = [each for each in processes if each.error is None]
    if good:
        rows = [_cells(each) for each in good]
        table, missing = fitted_table(width_of_stdout(), COLUMNS, rows, _DISPENSABLE, _NUMBERS)
        print_table(table)
        if missing:
            click.echo(missing)
    for line in _others(processes):
        click.echo(line)
    if not processes:
        print_none("process information", names, process_directories())


def _others(processes: list[ProcessStatus]) -> list[str]:
    """Name the files that cannot be read."""
    return [
        clean(f"{os.path.basename(each.path)}: {each.error.removeprefix(each.path + ': ')}")
        for each in processes
        if each.error is not None
    ]


def _cells(status: ProcessStatus, rate: float | None = None) -> dict[str, str]:
    shown = status.rate if rate is None else rate
    last = None if status.last_start_ns is None else (now_ns() - status.last_start_ns) / 1e9
    return {
        "name": status.name,
        "pid": str(status.pid),
        "state": Meaning(status.doing, _STATES.get(status.doing, "bad")),
        "loops": str(status.loop_count),
        "rate": NOTHING if shown is None else Meaning(f"{shown:.1f}/s", "good" if shown else "quiet"),
        "jitter": age_text(status.jitter),
        "busy": age_text(status.duration),
        "last": age_text(last),
        "trigger": status.trigger or NOTHING,
        "missed": Meaning(str(status.missed), "doubtful") if status.missed else "0",
        "message": (status.message or "").strip() or NOTHING,
    }


def _watch(names: Sequence[str], seconds: float) -> None:
    """Draw the table repeatedly until Ctrl-C or q."""
    view = _View(names, seconds)
    with until_interrupted(), Terminal() as terminal:
        while True:
            terminal.draw(view.lines(terminal.lines, terminal.columns))
            keys = terminal.wait(view.due)
            if keys is None or not all(view.press(key) for key in keys):
                return
            view.update()


class _View:
    """State of the live table."""

    def __init__(self, names: Sequence[str], seconds: float) -> None:
        self._names, self._seconds = names, seconds
        self._key: tuple[str, int] | None = None
        self._said = ""
        self._scroll, self._room = Scroll(), 1
        self._stopping: tuple[str, int] | None = None
        self._before: dict[tuple[str, int], tuple[int, float]] = {}
        self._rates: dict[tuple[str, int], float] = {}
        self._read()

    def _read(self) -> None:
        """Read all processes, and how far they came since the last time."""
        now = time.monotonic()
        self._processes = _chosen(self._names)
        counts: dict[tuple[str, int], tuple[int, float]] = {}
        self._rates = {}
        for each in self._processes:
            if each.loop_count is None:
                continue
            key = (each.path, each.pid)
            counts[key] = (each.loop_count, now)
            count, then = self._before.get(key, (each.loop_count, 0.0))
            if then and now > then and each.loop_count >= count:
                self._rates[key] = (each.loop_count - count) / (now - then)
        self._before = counts
        self.due = now + self._seconds

    def update(self) -> None:
        """Read again if it is time."""
        if time.monotonic() >= self.due:
            self._read()

    @property
    def _good(self) -> list[ProcessStatus]:
        return [each for each in self._processes if each.error is None]

    def _index(self) -> int:
        """Return the place of the chosen process; the first one if it went away."""
        keys = [(each.path, each.pid) for each in self._good]
        return keys.index(self._key) if self._key in keys else 0

    def press(self, key: str) -> bool:
        """Execute the command of a key; returns False if it ends the view."""
        good = self._good
        if key in ("q", "Q"):
            return False
        if not good:
            return True
        self._scroll.at = self._index()
        self._scroll.press(key, len(good), self._room)
        chosen = good[self._scroll.at]
        self._key = (chosen.path, chosen.pid)
        if key != "x":
            self._stopping = None
        if key in ("p", "r", "s"):
            self._tell(chosen, {"p": "pause", "r": "resume", "s": "step"}[key])
        elif key == "x" and self._stopping != self._key:
            self._stopping = self._key
            self._said = f"x again stops {chosen.name} ({chosen.pid})"
        elif key == "x":
            self._stopping = None
            self._tell(chosen, "stop")
        return True

    def _tell(self, status: ProcessStatus, what: str) -> None:
        """Control a process, and say what came of it."""
        try:
            with ProcessInfo(status.path) as process:
                getattr(process, what)()
            self._said = f"{what}: {status.name} ({status.pid})"
        except StreamError as error:
            self._said = str(error)
        self.due = 0.0

    def lines(self, lines: int, columns: int) -> list[str]:
        """Return all lines of the terminal."""
        table, missing = self._table(columns, max(1, lines - 3))
        empty = [] if self._processes else ["no process has process information here"]
        texts = [*empty, *_others(self._processes), clean(self._said)]
        body = table.lines(columns, styles=True, colours=wants_colours(sys.stdout))
        body = (body + [cut(text, columns) for text in texts])[: lines - 1]
        keys = cut(f"{_HELP}  every {self._seconds:g} s  {missing}".rstrip(), columns)
        blank = [""] * (lines - 1 - len(body))
        return [ERASE + line for line in [*body, *blank, paint(keys, "quiet")]]

    def _table(self, columns: int, room: int) -> tuple[Table, str]:
        good, self._scroll.at, self._room = self._good, self._index(), room
        sight = self._scroll.sight(len(good), room)
        rows: list[dict[str, Any]] = []
        for place, each in enumerate(good[sight], sight.start):
            cells = _cells(each, self._rates.get((each.path, each.pid)))
            rows.append({**cells, "name": (_CHOSEN if place == self._scroll.at else "  ") + cells["name"]})
        return fitted_table(columns, COLUMNS, rows, _DISPENSABLE, _NUMBERS)
