"""`Viewer`: the live picture of a stream in a terminal, with its keys."""

from __future__ import annotations

import sys
import time

from rich.cells import set_cell_size

from ..errors import StreamDamagedError
from ..view import Display, Feed
from .tables import clean
from .terminal import Terminal, colours_of

__all__ = ["Viewer", "headline", "view_live", "view_stream"]

#: Lines of text above a picture.
_ABOVE = 2

#: Seconds that a line about a key is shown.
_NOTICE_SECONDS = 3.0

#: Seconds between two pictures of a stream that was opened from a table.
_INTERVAL = 0.1

_KEYS = ("q quit", "space pause", "l log", "a auto", "p percentile", "f fix levels", "c colours",
         "arrows pan", "+/- zoom", "0 whole", "r curve", "m reduce", "d dark", "D no dark",
         "s symcode")  # fmt: skip
_SLICE_KEYS = ("[ ] slice", "n newest")

#: Lines that the keys may take; on a low terminal one line, with the keys that fit.
_KEY_LINES, _HIGH = 3, 20


def headline(feed: Feed, *, live: bool = False) -> str:
    """Return a line about the frame, and problems of the stream."""
    words = [feed.name, f"{'x'.join(map(str, feed.shape))} {feed.dtype}"]
    if feed.trouble:
        words.insert(1, f"** {feed.trouble} **")
    words.append(f"frame {feed.counter}")
    if feed.slice is not None:
        words.append(f"slice {feed.slice} of {feed.slices}")
    if live:
        words.append("rate -" if feed.rate is None else f"{feed.rate:.1f}/s")
        words.append(f"lost {feed.lost} (not drawn)")
    return "  ".join(words)


def view_stream(name: str) -> None:
    """Show a stream live until a key ends it, as ``pymilk show NAME`` does."""
    with Feed(name) as feed:
        feed.look()
        display = Display()
        display.show(feed.take())
        view_live(feed, display, (None, None), colours_of(sys.stdout), None, _INTERVAL)


def view_live(
    feed: Feed,
    display: Display,
    limits: tuple[int | None, int | None],
    mode: str,
    index: int | None,
    interval: float,
) -> None:
    """Draw until a key or a signal ends it.

    Parameters
    ----------
    feed : Feed
    display : Display
        Has a frame.
    limits : (int or None, int or None)
        Most lines and columns of the picture.
    mode : str
        One of `pymilk.view.display.MODES`.
    index : int or None
        Slice of a cube; None: the newest.
    interval : float
        Seconds between two pictures.
    """
    viewer = Viewer(feed, display, limits, mode, index)
    with Terminal() as terminal:
        due = time.monotonic() + interval  # the first frame was taken already
        while True:
            now = time.monotonic()
            if now >= due:
                viewer.update()
                due = max(due + interval, now)
            terminal.draw(viewer.lines(terminal.lines, terminal.columns))
            keys = terminal.wait(due)
            if keys is None or not all(viewer.press(key) for key in keys):
                return


class Viewer:
    """State of the live view."""

    def __init__(
        self,
        feed: Feed,
        display: Display,
        limits: tuple[int | None, int | None],
        mode: str,
        index: int | None,
    ) -> None:
        self.feed, self.display, self.limits, self.mode, self.index = feed, display, limits, mode, index
        self.paused = False
        self._notice = (0.0, "")
        self._picture: tuple[tuple[int, int], list[str]] | None = None
        self._again = False

    def update(self) -> None:
        """Take the newest frame of the stream, unless it is drawn already or drawing is paused."""
        new = self.feed.look()
        if not self._again and (self.paused or not new):
            return
        self._again = False
        if self.index is not None and self.index >= self.feed.slices:  # the stream was replaced
            self.index = None
        try:
            frame = self.feed.take(self.index)
        except StreamDamagedError:  # the next look reports it, and follows the stream
            return
        if self.display.dark is not None and self.display.dark.shape != frame.shape:
            self.display.dark = None
            self._say("the frames have another shape now: no dark")
        if self.display.row is not None:
            last = self.display.rows_of(frame) - 1
            self.display.row = None if frame.ndim == 1 else min(self.display.row, last)
        self.display.show(frame)
        self._picture = None

    def _say(self, text: str) -> None:
        self._notice = (time.monotonic() + _NOTICE_SECONDS, text)

    def press(self, key: str) -> bool:
        """Execute the command of a key; returns False if it ends the view."""
        if key in ("q", "Q"):
            return False
        if key == " ":
            self.paused = not self.paused
        elif key in "[]n" and self.feed.slices:
            self._step(key)
        elif self.display.press(key):
            self._picture = None
        return True

    def _step(self, key: str) -> None:
        slices, now = self.feed.slices, self.feed.slice or 0
        self.index = None if key == "n" else (now + (1 if key == "]" else -1)) % slices
        self._again = True
        self.update()

    def lines(self, lines: int, columns: int) -> list[str]:
        """Return all lines, each as wide as the terminal."""
        keys = _wrapped(_KEYS + (_SLICE_KEYS if self.feed.slices else ()), columns)
        keys = keys[: _KEY_LINES if lines >= _HIGH else 1]
        room = (max(1, lines - _ABOVE - len(keys)), columns)
        if self._picture is None or self._picture[0] != room:
            height, width = (min(limit or most, most) for limit, most in zip(self.limits, room, strict=True))
            drawn = self.display.text(height, width, self.mode)
            blank = " " * columns
            drawn = [line + " " * (columns - width) for line in drawn] + [blank] * (room[0] - len(drawn))
            self._picture = (room, drawn)
        until, notice = self._notice
        state = "PAUSED  " if self.paused else ""
        first = state + headline(self.feed, live=True)
        line = notice if time.monotonic() < until else self.display.describe()
        above = [set_cell_size(clean(text), columns) for text in (first, line)]
        # Reversed, if there are colours.
        below = keys if self.mode == "ascii" else [f"\x1b[7m{line}\x1b[0m" for line in keys]
        return [*above, *self._picture[1], *below]


def _wrapped(words: tuple[str, ...], columns: int) -> list[str]:
    """Wrap words into lines as wide as the terminal."""
    lines = [""]
    for word in words:
        joined = f"{lines[-1]}  {word}" if lines[-1] else word
        if len(joined) <= columns:
            lines[-1] = joined
        else:
            lines.append(word)
    return [set_cell_size(line, columns) for line in lines if line]
