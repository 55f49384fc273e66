"""``pymilk show``: a stream as a live picture in the terminal, or one frame of it as text or PNG."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
from typing import Any, NamedTuple

import click
import numpy as np
from click.shell_completion import CompletionItem

from ...native.formats import dtype_name
from ...times import to_utc
from ...view import Display, Feed, save_png
from ...view.colours import COLOURS
from ...view.dark import load_dark
from ...view.display import MODES
from ...view.picture import REDUCTIONS
from ..exits import clean_exit
from ..naming import complete_streams, complete_streams_or_files
from ..output import clean, print_json, warnings_as_lines
from ..parameters import AliasedOption, Number, NumberRange
from ..terminal import colours_of, interactive
from ..viewer import Viewer, headline, view_live

__all__ = ["show"]

#: Size of text that is not printed on a terminal.
_TEXT = (24, 80)

#: Streams that are shown side by side.
_MOST_STREAMS = 2

#: Most columns and lines of a picture: more than any screen has.
_MOST_PIXELS = 32_767

#: Value of --dark that means the first frame.
_NOW = "now"


def _complete_colours(
    context: click.Context, parameter: click.Parameter, start: str
) -> list[CompletionItem]:
    """Complete the name of a colour map that needs no library."""
    names = [name + end for name in COLOURS for end in ("", "_r")]
    return [CompletionItem(name) for name in names if name.startswith(start)]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME [OTHER]", shell_complete=complete_streams)
@click.option("--levels", nargs=2, type=float, metavar="LO HI",
              help="Values that are darkest and brightest. Default: least and largest visible pixel.")
@click.option("--percentile", type=NumberRange(0, 100, min_open=True), metavar="P",
              help="P percent of the visible pixels are between the levels.")
@click.option("--log", is_flag=True, help="Logarithmic brightness.")
@click.option("--colours", cls=AliasedOption, aliases=["--colors"], default="gray", show_default=True,
              metavar="MAP", shell_complete=_complete_colours,
              help=f"{', '.join(COLOURS)}, with _r reversed; others of matplotlib, if it is installed.")
@click.option("--reduce", "reduction", type=click.Choice(REDUCTIONS), default="peak", show_default=True,
              help="How several pixels become one: the largest, their mean, or the one in the middle.")
@click.option("--dark", metavar="NAME|FILE|now", shell_complete=complete_streams_or_files,
              help="Subtract a stream, a recording, an NPY or FITS file (FILE[HDU]), or the first frame.")
@click.option("--saturation", type=Number(), metavar="VALUE",
              help="Pixels from this value on are saturated. Default: the largest of an integer type.")
@click.option("--histogram", is_flag=True, help="Show how many pixels have which value.")
@click.option("--zoom", metavar="FACTOR", type=NumberRange(1, 4096), default=1.0, show_default=True,
              help="1 is the whole frame.")
@click.option("--centre", cls=AliasedOption, aliases=["--center"], nargs=2, type=float, metavar="ROW COLUMN",
              help="Row and column in the middle.")
@click.option("--symcode", metavar="0..7", type=click.IntRange(0, 7), default=4, show_default=True,
              help="Orientation, as that of pymilk.SHM.")
@click.option("--row", type=click.IntRange(min=0), metavar="K", help="Draw row K as a curve.")
@click.option("--slice", "index", type=click.IntRange(min=0), metavar="K",
              help="Slice of a cube or a temporal ring. Default: the newest.")
@click.option("--rate", type=NumberRange(0.1, 60), default=10.0, show_default=True, metavar="HZ",
              help="Pictures per second; the stream is not read more often.")
@click.option("--text", type=click.Choice(MODES),
              help="How to draw on a terminal. Default: from COLORTERM, TERM and NO_COLOR.")
@click.option("--width", metavar="N", type=click.IntRange(1, _MOST_PIXELS),
              help="Most columns of the text, or pixels of the PNG.")
@click.option("--height", metavar="N", type=click.IntRange(1, _MOST_PIXELS),
              help="Most lines of the text, or pixels of the PNG.")
@click.option("--once", is_flag=True, help="Draw one frame, and end.")
@click.option("--png", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write one frame with a scale and a caption into FILE, without a terminal.")
@click.option("--bare", is_flag=True, help="With --png: the pixels alone.")
@click.option("--json", "as_json", is_flag=True, help="With --once or --png: print numbers as JSON.")
def show(names: tuple[str, ...], index: int | None, rate: float, dark: str | None, **choices: Any) -> None:
    """Show the stream NAME in the terminal, live: images, and rows as curves; two streams side by side.

    Row 0 is at the bottom, columns run to the right, as ds9 shows upright FITS files. The writer is not
    affected: no semaphore is taken, and only drawn frames are read. Keys are listed below the picture.

    Example: pymilk show cam0 --log --colours heat
    """
    drawing = _Drawing(**{name: choices.pop(name) for name in _Drawing._fields})
    _check(names, drawing, choices["levels"], choices["percentile"])
    with clean_exit(), contextlib.ExitStack() as stack:
        seen = [_opened(stack.enter_context(Feed(name)), index, dark, choices) for name in names]
        if drawing.still:
            _still(seen, drawing)
            return
        limits, mode = (drawing.height, drawing.width), drawing.text or colours_of(sys.stdout)
        view_live([Viewer(feed, display, limits, mode, index) for feed, display in seen], 1 / rate)


class _Drawing(NamedTuple):
    """Where and how frames are drawn."""

    text: str | None
    width: int | None
    height: int | None
    once: bool
    png: str | None
    bare: bool
    as_json: bool

    @property
    def still(self) -> bool:
        """Whether one frame is drawn."""
        return self.once or self.png is not None


def _check(
    names: tuple[str, ...], drawing: _Drawing, levels: tuple[float, float] | None, percentile: float | None
) -> None:
    """Refuse options that do not go together."""
    if len(names) > _MOST_STREAMS:
        raise click.UsageError(f"at most {_MOST_STREAMS} streams are shown side by side, not {len(names)}")
    if levels is not None and percentile is not None:
        raise click.UsageError("--levels and --percentile exclude each other")
    if levels is not None and not (levels[0] < levels[1] and all(map(math.isfinite, levels))):
        raise click.BadParameter(
            f"the first must be below the second, not {levels[0]:g} {levels[1]:g}", param_hint="--levels"
        )
    if drawing.png is not None and not drawing.png.lower().endswith(".png"):
        raise click.BadParameter(
            f"it writes PNG: {drawing.png} must end in .png", param_hint="--png"
        )
    if drawing.bare and drawing.png is None:
        raise click.UsageError("--bare goes with --png")
    if drawing.as_json and not drawing.still:
        raise click.UsageError("--json goes with --once or --png")
    if not drawing.still and not interactive():
        raise click.UsageError(
            "a live picture needs a terminal for drawing and keys, and a TERM that is not dumb; without one "
            "take --once, which prints one frame, or --png FILE"
        )


def _opened(feed: Feed, index: int | None, dark: str | None, choices: dict[str, Any]) -> tuple[Feed, Display]:
    """Take the first frame of a stream."""
    display = Display(**choices)
    if dark is not None and dark != _NOW:
        with warnings_as_lines():
            display.dark = load_dark(dark)
    feed.look()
    display.show(feed.take(index))
    if dark == _NOW:
        display.press("d")
    return feed, display


def _still(seen: list[tuple[Feed, Display]], drawing: _Drawing) -> None:
    """Print one frame of each stream side by side, then its numbers."""
    if drawing.png is not None:
        size = _save(seen, drawing, drawing.png)
    else:
        lines, columns = _room((drawing.height, drawing.width))
        wide = max(1, (columns + 1) // len(seen) - 1)
        parts = [display.text(lines, wide, drawing.text or colours_of(sys.stdout)) for _, display in seen]
        drawn = [" ".join(line) for line in itertools.zip_longest(*parts, fillvalue=" " * wide)]
    if drawing.as_json:
        numbers = [_numbers(feed, display, drawing.png) for feed, display in seen]
        print_json(numbers[0] if len(numbers) == 1 else numbers)
        return
    if drawing.png is not None:
        click.echo(f"picture: {drawing.png}, {size[1]}x{size[0]} pixels")
    else:
        # Text for a file or a pipe keeps requested colours.
        click.echo("\n".join(line.rstrip(" ") for line in drawn), color=True)
    for feed, display in seen:
        click.echo(clean(headline(feed)))
        click.echo(clean(display.describe()))


def _save(seen: list[tuple[Feed, Display]], drawing: _Drawing, path: str) -> tuple[int, int]:
    """Write the frames side by side into a PNG file; returns its height and width."""
    wanted = [limit for limit in (drawing.height, drawing.width) if limit is not None]
    room = (drawing.height or wanted[0], drawing.width or wanted[0]) if wanted else None
    pictures = [
        display.picture(room) if drawing.bare else display.captioned(_caption(feed, display), room)
        for feed, display in seen
    ]
    height = max(len(picture) for picture in pictures)
    pieces = [np.pad(each, ((0, height - len(each)), (0, 0), (0, 0))) for each in pictures]
    whole = np.hstack(pieces)
    save_png(path, whole)
    return whole.shape[0], whole.shape[1]


def _caption(feed: Feed, display: Display) -> list[str]:
    written = to_utc(feed.written_ns)
    when = [] if np.isnat(written) else [f"{written} UTC"]
    return [clean(line) for line in (headline(feed), *when, display.describe())]


def _room(limits: tuple[int | None, int | None]) -> tuple[int, int]:
    """Return lines and columns of text that is printed once."""
    lines, columns = _TEXT
    if sys.stdout.isatty():
        size = os.get_terminal_size(sys.stdout.fileno())
        lines, columns = size.lines, size.columns
    # Leave room for two more lines, and the line of the next command.
    return limits[0] or max(1, lines - 3), limits[1] or max(1, columns)


def _numbers(feed: Feed, display: Display, png: str | None) -> dict[str, Any]:
    return {
        "name": feed.name,
        "path": feed.path,
        "shape": feed.shape,
        "dtype": dtype_name(feed.dtype),
        "counter": feed.counter,
        "written_ns": feed.written_ns or None,
        "torn": feed.torn,
        "trouble": feed.trouble,
        "slice": feed.slice,
        **display.statistics(),
        "png": png,
    }
