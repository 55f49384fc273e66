"""``pymilk ls``: the streams of a directory, and who uses them."""

from __future__ import annotations

import os
import time

import click
from rich.console import Console

from ...channels.listing import list_channels
from ...inspection import measure_rates
from ..exits import clean_exit
from ..livestreams import wanted, wanted_streams, watch_streams
from ..naming import complete_streams
from ..output import channel_lines, print_json, print_none, print_table, width_of_stdout
from ..parameters import AliasedOption, NumberRange
from ..progress import bar_of_time
from ..streamtable import COLUMNS, notes_of, ordered, stream_table, unusable_line
from ..terminal import interactive

__all__ = ["ls"]

#: Seconds between two looks of --watch, unless --interval says otherwise.
_WATCH_SECONDS = 1.0


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@click.option("--sort", type=click.Choice(COLUMNS), default="name", show_default=True,
              help="Numbers: largest first; ages: newest first.")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--measure", cls=AliasedOption, aliases=["--rate"], metavar="SECONDS",
              type=NumberRange(min=0, min_open=True, max=3600),
              help="Measure frames per second over this time.")
@click.option("--watch", is_flag=True, help="Draw the table again and again until q, as pymilk top.")
@click.option("--interval", type=NumberRange(min=0.05, max=3600), metavar="SECONDS",
              help="With --watch: seconds between updates.  [default: 1]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def ls(
    patterns: tuple[str, ...],
    sort: str,
    reverse: bool,
    measure: float | None,
    watch: bool,
    interval: float | None,
    as_json: bool,
) -> None:
    """List streams, or those whose names match a PATTERN: shape, rate, age, writer and readers.

    Tables, video and audio are streams as well: a column tells them apart if there are any.

    The writer is the process that posted the semaphores last; readers are semaphores that living processes
    hold. Files that are not usable streams are listed below the table, with the reason; then channels.

    Example: pymilk ls 'wfs*' --measure 0.5 --sort rate
    """
    if watch and as_json:
        raise click.UsageError("--watch draws a table; leave out --json")
    if watch and not interactive():
        raise click.UsageError("--watch needs a terminal for drawing and keys; for a pipe leave it out")
    if interval is not None and not watch:
        raise click.UsageError("--interval goes with --watch")
    if sort == "rate" and measure is None and not watch:
        raise click.UsageError("rates are measured with --measure SECONDS only")
    with clean_exit():
        if watch:
            watch_streams(sort, reverse, interval or measure or _WATCH_SECONDS, patterns)
            return
        streams = wanted_streams(patterns)
        if measure is not None:
            before = streams
            with bar_of_time(Console(stderr=True, quiet=as_json), "measuring", measure):
                time.sleep(measure)
            streams = wanted_streams(patterns)
            measure_rates(before, streams)
        streams = ordered(streams, sort, reverse)
        channels = [each for each in list_channels() if wanted(os.path.basename(each["path"]), patterns)]
        if as_json:
            print_json(streams + channels)
            return
        if any("error" not in entry for entry in streams):
            table, missing = stream_table(streams, width_of_stdout(), sort, with_rate=measure is not None)
            print_table(table)
            if missing:
                click.echo(missing)
        others = [unusable_line(each) for each in streams if "error" in each]
        for line in notes_of(streams) + others + channel_lines(channels):
            click.echo(line)
        if not streams and not channels:
            print_none("stream", patterns)
