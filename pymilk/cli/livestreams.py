"""The live table of streams: sorted, filtered and scrolled by keys; opens what is chosen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .._core import Stream
from ..errors import StreamError
from ..inspection import measure_rates
from ..inspection.describe import each_stream
from ..names import is_pattern, matches
from .colour import paint, wants_colours
from .describing import stream_report, watched_details
from .exits import until_interrupted
from .output import UNLIMITED
from .pager import read_lines
from .scroll import Scroll
from .streamtable import COLUMNS, notes_of, ordered, stream_table, unusable_line
from .tables import clean, cut
from .terminal import ERASE, Terminal
from .viewer import view_stream

__all__ = ["LiveStreams", "wanted", "wanted_streams", "watch_streams"]

#: Seconds of looking at streams between two looks at the keyboard.
_SLICE = 0.05

#: Seconds that a stream is watched before it is described.
_WATCHED = 0.5

_KEYS = "q quit  return show  i info  / filter  < > sort  r reverse"
_TYPING = "return keeps it, escape drops it"

#: Keys that delete a letter, and all of them.
_DELETE, _DELETE_ALL = ("\x7f", "\b"), "\x15"
_RETURN = ("\r", "\n")


def wanted(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a name matches one of the patterns; always, if there is none."""
    return not patterns or matches(name, patterns)


def wanted_streams(patterns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Look at the streams whose names match one of the patterns; all, if there is none."""
    return [entry for entry in each_stream() if wanted(entry["name"], patterns)]


def watch_streams(sort: str, reverse: bool, seconds: float, patterns: tuple[str, ...] = ()) -> None:
    """Draw the table repeatedly until Ctrl-C or q; what is chosen is shown until q.

    Parameters
    ----------
    sort : str
        One of `streamtable.COLUMNS`.
    reverse : bool
    seconds : float
        Between two looks at the streams.
    patterns : tuple of str
        Names of streams.
    """
    live = LiveStreams(sort, reverse, seconds, patterns)
    with until_interrupted():
        while _drawn(live):
            live.open()


def _drawn(live: LiveStreams) -> bool:
    """Draw until a stream is to be opened; returns False at the end."""
    with Terminal() as terminal:
        while live.opening is None:
            terminal.draw(live.lines(terminal.lines, terminal.columns))
            keys = terminal.wait(live.due)
            if keys is None or not all(live.press(key) for key in keys):
                return False
            live.update()
        return True
    return False  # the terminal is gone


class LiveStreams:
    """State of the live table.

    Parameters
    ----------
    sort, reverse, seconds, patterns
        See `watch_streams`.

    Attributes
    ----------
    due : float
        Time of the monotonic clock at which `update` has something to do.
    opening : tuple of (callable, str), optional
        What is to be opened, and the name of its stream.
    """

    def __init__(self, sort: str, reverse: bool, seconds: float, patterns: tuple[str, ...]) -> None:
        self._sort, self._reverse, self._seconds, self._patterns = sort, reverse, seconds, patterns
        self._filter, self._typing, self._said = "", False, ""
        self._scroll, self._chosen, self._room = Scroll(), "", 1
        self._streams = wanted_streams(patterns)
        measure_rates([], self._streams)
        self._looking: Iterator[dict[str, Any]] | None = None
        self._found: list[dict[str, Any]] = []
        self.opening: tuple[Callable[[str], None], str] | None = None
        self.due = time.monotonic() + seconds
        self._arrange()

    # -- the streams

    def update(self) -> None:
        """Go on reading the streams if it is time; returns after 0.05 s, so that keys are noticed."""
        begin = time.monotonic()
        if begin < self.due:
            return
        if self._looking is None:
            self._looking, self._found = each_stream(), []
        for entry in self._looking:
            if wanted(entry["name"], self._patterns):
                self._found.append(entry)
            if time.monotonic() > begin + _SLICE:
                return
        before, self._streams, self._looking = self._streams, self._found, None
        measure_rates(before, self._streams)
        self.due = time.monotonic() + self._seconds
        self._arrange()

    def _arrange(self) -> None:
        """Filter and sort; the chosen stream stays chosen, wherever it went."""
        text = self._filter.lower()
        fitting = [
            entry
            for entry in self._streams
            if (matches(entry["name"].lower(), [text]) if is_pattern(text) else text in entry["name"].lower())
        ]
        self._rows = ordered(fitting, self._sort, self._reverse)
        names = [entry["name"] for entry in self._rows]
        if self._chosen in names:
            self._scroll.at = names.index(self._chosen)

    # -- keys

    def press(self, key: str) -> bool:
        """Execute the command of a key; returns False if it ends the view."""
        self._said = ""
        if self._scroll.press(key, len(self._rows), self._room):
            # At the top the table is followed, not a stream.
            at = self._scroll.at
            self._chosen = self._rows[at]["name"] if at and self._rows else ""
        elif self._typing:
            self._type(key)
        elif key in ("<", ">"):
            step = 1 if key == ">" else -1
            self._sort = COLUMNS[(COLUMNS.index(self._sort) + step) % len(COLUMNS)]
        elif key == "r":
            self._reverse = not self._reverse
        elif key == "/":
            self._typing = True
        elif key == "escape":
            self._filter = ""
        elif key in (*_RETURN, "i") and self._rows:
            name = self._rows[self._scroll.at]["name"]
            self.opening = (_info if key == "i" else view_stream, name)
        self._arrange()
        return self._typing or key not in ("q", "Q")

    def _type(self, key: str) -> None:
        """Take a key as a part of the filter."""
        if key in _RETURN or key == "escape":
            self._typing = False
            self._filter = "" if key == "escape" else self._filter
        elif key in _DELETE:
            self._filter = self._filter[:-1]
        elif key == _DELETE_ALL:
            self._filter = ""
        elif len(key) == 1 and key.isprintable():
            self._filter += key

    def open(self) -> None:
        """Show what is to be opened until its user comes back."""
        assert self.opening is not None
        (show, name), self.opening = self.opening, None
        try:
            show(name)
        except StreamError as error:
            self._said = str(error)

    # -- drawing

    def lines(self, lines: int, columns: int) -> list[str]:
        """Return all lines of the terminal."""
        self._room = max(1, lines - 2)
        sight = self._scroll.sight(len(self._rows), self._room)
        shown = self._rows[sight]
        table, missing = stream_table(shown, columns, self._sort, with_rate=True)
        others = [cut(unusable_line(each), columns) for each in shown if "error" in each]
        body = table.lines(columns, styles=True, colours=wants_colours(sys.stdout)) + others
        if shown:
            chosen = 1 + self._scroll.at - sight.start
            body[chosen] = paint((table.lines(columns) + others)[chosen].ljust(columns), "chosen")
        body += [cut(line, columns) for line in notes_of(shown)]
        body = body[: max(1, lines - 1)]
        below = paint(cut(self._below(sight, missing), columns), "quiet")
        return [ERASE + line for line in [*body, *[""] * (lines - 1 - len(body)), below]]

    def _below(self, sight: slice, missing: str) -> str:
        """Return what the last line says."""
        if self._typing:
            return f"/{self._filter}_  {_TYPING}"
        if self._said:
            return clean(self._said)
        order = f"by {self._sort}{', reversed' if self._reverse else ''}"
        count = len(self._rows)
        if count > sight.stop - sight.start:
            order += f"  {sight.start + 1}-{sight.stop} of {count}"
        if self._filter:
            order += f"  /{self._filter}"
        return clean(f"{order}  {_KEYS}  every {self._seconds:g} s  {missing}".rstrip())


def _info(name: str) -> None:
    """Show what is known of a stream."""
    with Stream.attach(name, writable=False, prefault=False) as stream:
        details = watched_details(stream, _WATCHED)
    read_lines(stream_report(details, lambda table: table.lines(UNLIMITED)))
