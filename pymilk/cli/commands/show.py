"""``pymilk show``: a stream as a live picture in the terminal, or one frame of it as text or PNG."""

from __future__ import annotations

import math
import os
import sys
from typing import Any

import click

from ...view import Display, Feed, save_png
from ...view.colours import COLOURS
from ...view.dark import load_dark
from ...view.display import MODES
from ...view.picture import REDUCTIONS
from ..exits import clean_exit
from ..naming import complete_streams
from ..output import clean, print_json, warnings_as_lines
from ..parameters import NumberRange
from ..terminal import colours_of, interactive
from ..viewer import headline, view_live

__all__ = ["show"]

#: Size of text that is not printed on a terminal.
_TEXT = (24, 80)

#: Value of --dark that means the first frame.
_NOW = "now"


@click.command()
@click.argument("name", shell_complete=complete_streams)
@click.option("--levels", nargs=2, type=float, metavar="LO HI",
              help="Values that are darkest and brightest. Default: least and largest visible pixel.")
@click.option("--percentile", type=NumberRange(0, 100, min_open=True), metavar="P",
              help="P percent of the visible pixels are between the levels.")
@click.option("--log", is_flag=True, help="Logarithmic brightness.")
@click.option("--colours", default="gray", show_default=True, metavar="MAP",
              help=f"{', '.join(COLOURS)}, with _r reversed; others of matplotlib, if it is installed.")
@click.option("--reduce", "reduction", type=click.Choice(REDUCTIONS), default="peak", show_default=True,
              help="How several pixels become one: the largest, their mean, or the one in the middle.")
@click.option("--dark", metavar="NAME|FILE|now",
              help="Subtract a stream, a recording, an NPY or FITS file (FILE[HDU]), or the first frame.")
@click.option("--zoom", type=NumberRange(1, 4096), default=1.0, show_default=True,
              help="1 is the whole frame.")
@click.option("--centre", nargs=2, type=float, metavar="ROW COLUMN", help="Row and column in the middle.")
@click.option("--symcode", type=click.IntRange(0, 7), default=4, show_default=True,
              help="Orientation, as that of pymilk.SHM.")
@click.option("--row", type=click.IntRange(min=0), metavar="K", help="Draw row K as a curve.")
@click.option("--slice", "index", type=click.IntRange(min=0), metavar="K",
              help="Slice of a cube or a temporal ring. Default: the newest.")
@click.option("--rate", type=NumberRange(0.1, 60), default=10.0, show_default=True, metavar="HZ",
              help="Pictures per second; the stream is not read more often.")
@click.option("--text", "mode", type=click.Choice(MODES),
              help="How to draw on a terminal. Default: from COLORTERM, TERM and NO_COLOR.")
@click.option("--width", type=click.IntRange(min=1), help="Most columns of the text, or pixels of the PNG.")
@click.option("--height", type=click.IntRange(min=1), help="Most lines of the text, or pixels of the PNG.")
@click.option("--once", is_flag=True, help="Draw one frame, and end.")
@click.option("--png", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write one frame into FILE, without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="With --once or --png: print numbers as JSON.")
def show(
    name: str,
    index: int | None,
    rate: float,
    mode: str | None,
    width: int | None,
    height: int | None,
    once: bool,
    png: str | None,
    as_json: bool,
    dark: str | None,
    levels: tuple[float, float] | None,
    percentile: float | None,
    **choices: Any,
) -> None:
    """Show the stream NAME in the terminal, live: images, and rows as curves.

    Row 0 is at the bottom, columns run to the right, as ds9 shows upright FITS files. The writer is not
    affected: no semaphore is taken, and only drawn frames are read. Keys are listed below the picture.

    Example: pymilk show cam0 --log --colours heat
    """
    still = once or png is not None
    if levels is not None and percentile is not None:
        raise click.UsageError("--levels and --percentile exclude each other")
    if levels is not None and not (levels[0] < levels[1] and all(map(math.isfinite, levels))):
        raise click.BadParameter(
            f"the first must be below the second, not {levels[0]:g} {levels[1]:g}", param_hint="--levels"
        )
    if png is not None and not png.lower().endswith(".png"):
        raise click.BadParameter(f"it writes PNG: {png} must end in .png", param_hint="--png")
    if as_json and not still:
        raise click.UsageError("--json goes with --once or --png")
    if not still and not interactive():
        raise click.UsageError(
            "a live picture needs a terminal for drawing and keys, and a TERM that is not dumb; without one "
            "take --once, which prints one frame, or --png FILE"
        )
    with clean_exit():
        display = Display(levels=levels, percentile=percentile, **choices)
        if dark is not None and dark != _NOW:
            with warnings_as_lines():
                display.dark = load_dark(dark)
        with Feed(name) as feed:
            feed.look()
            display.show(feed.take(index))
            if dark == _NOW:
                display.press("d")
            if still:
                _still(feed, display, (height, width), mode, png, as_json)
            else:
                view_live(feed, display, (height, width), mode or colours_of(sys.stdout), index, 1 / rate)


def _still(
    feed: Feed,
    display: Display,
    limits: tuple[int | None, int | None],
    mode: str | None,
    png: str | None,
    as_json: bool,
) -> None:
    """Print one frame, then its numbers."""
    if png is not None:
        wanted = [limit for limit in limits if limit is not None]
        room = (limits[0] or wanted[0], limits[1] or wanted[0]) if wanted else None
        picture = display.picture(room)
        save_png(png, picture)
    else:
        lines, columns = _room(limits)
        drawn = display.text(lines, columns, mode or colours_of(sys.stdout))
    if as_json:
        print_json(_numbers(feed, display, png))
        return
    if png is not None:
        click.echo(f"picture: {png}, {picture.shape[1]}x{picture.shape[0]} pixels")
    else:
        # Text for a file or a pipe keeps requested colours.
        click.echo("\n".join(line.rstrip(" ") for line in drawn), color=True)
    click.echo(clean(headline(feed)))
    click.echo(clean(display.describe()))


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
        "dtype": feed.dtype.name,
        "counter": feed.counter,
        "written_ns": feed.written_ns or None,
        "torn": feed.torn,
        "trouble": feed.trouble,
        "slice": feed.slice,
        **display.statistics(),
        "png": png,
    }
