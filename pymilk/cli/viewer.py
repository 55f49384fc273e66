"""`Viewer`: the live picture of a stream in a terminal, with its keys."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from ..errors import StreamDamagedError
from ..view import Display, Feed
from .colour import paint
from .tables import clean
from .terminal import Terminal, colours_of

__all__ = ["Viewer", "headline", "page", "view_live", "view_stream"]

#: Lines of text above a picture.
_ABOVE = 2

#: Seconds that a line about a key is shown.
_NOTICE_SECONDS = 3.0

#: Seconds between two pictures of a stream that was opened from a table.
_INTERVAL = 0.1

_KEYS = ("q quit", "space pause", "x cursor", "h histogram", "l log", "a auto", "p percentile", "f fix",
         "c colours", "arrows pan", "+/- zoom", "0 whole", "r curve", "m reduce", "d/D dark",
         "s symcode")  # fmt: skip
_SLICE_KEYS = ("[ ] slice", "n newest")

#: Lines that the keys may take; on a low terminal one line, with the keys that fit.
_KEY_LINES, _HIGH = 3, 20

#: Seconds over which drawn frames are counted: at most, and at least.
_COUNTED_SECONDS, _LEAST_SECONDS = 2.0, 0.5


def headline(feed: Feed, drawn: str = "") -> str:
    """Return a line about the frame, problems of the stream, and what is drawn of it.

    Parameters
    ----------
    feed : Feed
    drawn : str, optional
        About a live picture.
    """
    words = [feed.name, f"{'x'.join(map(str, feed.shape))} {feed.dtype}"]
    if feed.trouble:
        words.insert(1, f"** {feed.trouble} **")
    words.append(f"frame {feed.counter}")
    if feed.slice is not None:
        words.append(f"slice {feed.slice} of {feed.slices}")
    return "  ".join([*words, *filter(None, (drawn,))])


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0f}" if rate >= 9.5 or not rate else f"{rate:.1f}"


def view_stream(name: str) -> None:
    """Show a stream live until a key ends it, as ``pymilk show NAME`` does."""
    with Feed(name) as feed:
        feed.look()
        display = Display()
        display.show(feed.take())
        view_live([Viewer(feed, display, (None, None), colours_of(sys.stdout), None)], _INTERVAL)


def view_live(viewers: Sequence[Viewer], interval: float) -> None:
    """Draw until a key or a signal ends it; several streams side by side, with the same keys.

    Parameters
    ----------
    viewers : sequence of Viewer
        One or more.
    interval : float
        Seconds between two pictures.
    """
    with Terminal() as terminal:
        due = time.monotonic() + interval  # the first frame was taken already
        while True:
            now = time.monotonic()
            if now >= due:
                for viewer in viewers:
                    viewer.update()
                due = max(due + interval, now)
            terminal.draw(page(viewers, terminal.lines, terminal.columns))
            keys = terminal.wait(due)
            if keys is None:
                return
            for key in keys:
                if key in ("q", "Q"):
                    return
                for viewer in viewers:
                    viewer.press(key)


def page(viewers: Sequence[Viewer], lines: int, columns: int) -> list[str]:
    """Return all lines, each as wide as the terminal: the streams side by side, and the keys."""
    keys = _wrapped(_KEYS + (_SLICE_KEYS if any(each.feed.slices for each in viewers) else ()), columns)
    keys = keys[: _KEY_LINES if lines >= _HIGH else 1]
    room = max(1 + _ABOVE, lines - len(keys))
    wide = max(1, (columns + 1) // len(viewers) - 1)
    widths = [wide] * (len(viewers) - 1) + [max(1, columns - (wide + 1) * (len(viewers) - 1))]
    # Text that is cut would run into that of the next stream.
    marks = ["~" if each.mode == "ascii" else "…" for each in viewers[:-1]] + [""]
    parts = [each.lines(room, width, mark) for each, width, mark in zip(viewers, widths, marks, strict=True)]
    # Reversed, if there are colours.
    below = keys if viewers[0].mode == "ascii" else [paint(line, "chosen") for line in keys]
    return [*(" ".join(line) for line in zip(*parts, strict=True)), *below]


class Viewer:
    """State of the live picture of one stream.

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
    """

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
        self._drawn: deque[float] = deque()
        self._began = time.monotonic()

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
        self._drawn.append(time.monotonic())

    def _drawn_rate(self) -> float | None:
        """Return the frames drawn per second, lately; None in the beginning."""
        now = time.monotonic()
        while self._drawn and self._drawn[0] < now - _COUNTED_SECONDS:
            self._drawn.popleft()
        span = min(_COUNTED_SECONDS, now - self._began)
        return len(self._drawn) / span if span >= _LEAST_SECONDS else None

    def _say(self, text: str) -> None:
        self._notice = (time.monotonic() + _NOTICE_SECONDS, text)

    def press(self, key: str) -> None:
        """Execute the command of a key."""
        if key == " ":
            self.paused = not self.paused
        elif key in ("[", "]", "n") and self.feed.slices:
            self._step(key)
        elif self.display.press(key):
            self._picture = None

    def _step(self, key: str) -> None:
        slices, now = self.feed.slices, self.feed.slice or 0
        self.index = None if key == "n" else (now + (1 if key == "]" else -1)) % slices
        self._again = True
        self.update()

    def lines(self, lines: int, columns: int, mark: str = "") -> list[str]:
        """Return so many lines of so many columns: two of text, marked where cut, and the picture."""
        room = (max(1, lines - _ABOVE), columns)
        if self._picture is None or self._picture[0] != room:
            height, width = (min(limit or most, most) for limit, most in zip(self.limits, room, strict=True))
            drawn = self.display.text(height, width, self.mode)
            blank = " " * columns
            drawn = [line + " " * (columns - width) for line in drawn] + [blank] * (room[0] - len(drawn))
            self._picture = (room, drawn)
        until, notice = self._notice
        first = ("PAUSED  " if self.paused else "") + headline(
            self.feed, f"drawn {_rate(self._drawn_rate())} of {_rate(self.feed.rate)}/s"
        )
        second = notice if time.monotonic() < until else self.display.describe()
        return [*(_cut(clean(text), columns, mark) for text in (first, second)), *self._picture[1]]


def _cut(text: str, columns: int, mark: str) -> str:
    """Return a text of exactly so many columns, with the mark, if any, where more of it was cut."""
    if not mark or cell_len(text) <= columns:
        return set_cell_size(text, columns)
    return set_cell_size(text, columns - 1) + mark


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
