"""``pymilk top``: the streams of a directory as a live table."""

from __future__ import annotations

import click

from ..exits import clean_exit
from ..livestreams import watch_streams
from ..naming import complete_streams
from ..parameters import NumberRange
from ..streamtable import COLUMNS
from ..terminal import interactive

__all__ = ["top"]


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@click.option("--sort", type=click.Choice(COLUMNS), default="rate", show_default=True,
              help="Numbers: largest first; ages: newest first.")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--interval", type=NumberRange(min=0.05, max=3600), default=1.0, show_default=True,
              metavar="SECONDS", help="Seconds between updates.")
def top(patterns: tuple[str, ...], sort: str, reverse: bool, interval: float) -> None:
    """Show all streams, or those that match a PATTERN, in a live table, the fastest first.

    Keys: arrows, page keys, home and end choose a stream; return shows its picture, i what is known of it,
    and q comes back. / filters by a part of the name, or by a pattern. < and > choose the column to sort by,
    r reverses, q and Ctrl-C quit.

    The same as pymilk ls --watch, sorted by rate.

    Example: pymilk top --sort age --interval 0.5
    """
    if not interactive():
        raise click.UsageError("top needs a terminal for drawing and keys; a pipe takes ls --measure 1")
    with clean_exit():
        watch_streams(sort, reverse, interval, patterns)
