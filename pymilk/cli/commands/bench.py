"""``pymilk bench``: measure how many frames this machine misses."""

from __future__ import annotations

import json
import sys

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ...bench import DEFAULT_RATES, SOURCES, Benchmark
from ...bench.result import COLUMNS, DISPENSABLE, BenchResult, Point
from ...streams.waiting import WAIT_POLICIES
from ..exits import clean_exit
from ..parameters import AliasedOption, NumberRange, check_plot, dtype_of, rates_of, shapes_of

__all__ = ["bench"]

#: Styles of table rows, by trouble.
_STYLES = {"": "", "lossy": "yellow", "wrong": "bold red"}


@click.command()
@click.option("--rate", "rates", cls=AliasedOption, aliases=["--rates"], metavar="HZ,...", callback=rates_of,
              default=",".join(f"{rate:g}" for rate in DEFAULT_RATES),
              show_default=True, help="Frames per second, with commas.")
@click.option("--shape", "shapes", metavar="HEIGHTxWIDTH", callback=shapes_of, multiple=True,
              default=["120x120"],
              show_default=True, help="HEIGHTxWIDTH in pixels. May be given several times.")
@click.option("--dtype", metavar="DTYPE", callback=dtype_of, default="uint16", show_default=True,
              help="Pixel type.")
@click.option("--source", "sources", type=click.Choice(list(SOURCES)), multiple=True,
              help="What to read from. May be given several times. Default: all.")
@click.option("--seconds", metavar="SECONDS", type=NumberRange(min=0, min_open=True),
              help="For each point. Default: so that the whole run takes less than a minute.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How readers wait for frames: spin needs a core of its own.")
@click.option("--ring", "depth", cls=AliasedOption, aliases=["--depth"], type=click.IntRange(min=2),
              metavar="SLOTS",
              help="Slots of the rings. Default: what fits into 64 MiB, 2048 at most.")
@click.option("--cpu-writer", type=click.IntRange(min=0), metavar="CORE", help="Core of the writer.")
@click.option("--cpu-reader", type=click.IntRange(min=0), metavar="CORE",
              help="Core of the thread that takes frames out of the stream.")
@click.option("--priority", metavar="P", type=click.IntRange(1, 99),
              help="SCHED_FIFO priority of both, where permitted.")
@click.option("--busy", is_flag=True, help="Keep a second Python thread busy beside the reader.")
@click.option("--stall", type=NumberRange(min=0), default=0, metavar="MS",
              help="Milliseconds that the consumer of a ring sleeps, every half second.")
@click.option("--memory", type=NumberRange(min=0, min_open=True), metavar="MB",
              help="For the frames of a point. Default: 1074 MB, or a quarter of what is free.")
@click.option("--plot", type=click.Path(dir_okay=False, writable=True), metavar="FILE.png",
              help="Draw loss and latency.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def bench(
    rates: list[float],
    shapes: list[tuple[int, int]],
    dtype: np.dtype,
    sources: tuple[str, ...],
    seconds: float | None,
    wait: str,
    depth: int | None,
    cpu_writer: int | None,
    cpu_reader: int | None,
    priority: int | None,
    busy: bool,
    stall: float,
    memory: float | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Measure how many frames this machine misses, and from which rate on.

    A second process publishes frames that contain their numbers; this one reads them from a plain stream,
    through a collector, and from both kinds of rings, at each rate. The losses that pymilk reports are
    compared with the numbers in the frames. Ctrl-C ends it and shows the results so far.

    Exit code 1 if both disagree or a writer died.

    Example: pymilk bench --rate 1000,2000,4000 --shape 240x240 --cpu-reader 3 --plot bench.png
    """
    if plot is not None:
        check_plot(plot)
    console = Console(stderr=True, quiet=as_json)
    with clean_exit():
        benchmark = Benchmark(
            rates=rates,
            shapes=shapes,
            dtype=dtype,
            sources=sources or tuple(SOURCES),
            seconds=seconds,
            wait=wait,
            depth=depth,
            cpu_writer=cpu_writer,
            cpu_reader=cpu_reader,
            priority=priority,
            busy=busy,
            stall=stall / 1e3,
            memory=None if memory is None else round(memory * 1e6),
        )
        console.print(
            f"{benchmark.tasks} points, about {benchmark.expected_seconds:.0f} s, up to "
            f"{benchmark.nbytes / 1e6:.0f} MB; Ctrl-C shows the results so far",
            highlight=False,
        )
        try:
            _run(benchmark, console)
        finally:
            _show(benchmark.result, as_json)
            if plot is not None and benchmark.result.points:
                _draw(benchmark.result, plot, console)
    if not benchmark.result.agreed:
        click.echo("pymilk: a measurement failed, see above", err=True)
        sys.exit(1)


def _run(benchmark: Benchmark, console: Console) -> None:
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(compact=True),
               TextColumn("{task.description}"))  # fmt: skip
    with Progress(
        *columns, console=console, refresh_per_second=5, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=1.0)
        benchmark.run(lambda share, text: progress.update(task, completed=share, description=text))


def _show(result: BenchResult, as_json: bool) -> None:
    """Print the result: as a coloured table on a terminal, else as plain text."""
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    if not result.points:
        return
    if not sys.stdout.isatty():
        click.echo(str(result))
        return
    console = Console(highlight=False)
    console.print(escape(result.title()))
    for shape in dict.fromkeys(point.shape for point in result.points):
        here = [point for point in result.points if point.shape == shape]
        console.print(_table(here, console))
    for line in result.verdict():
        console.print(escape(line), style="bold red" if line.startswith(("WRONG", "PROBLEM")) else "")


def _table(points: list[Point], console: Console) -> Table:
    """Return the table of one shape, with as many columns as the terminal has room for."""
    left_out: tuple[str, ...] = ()
    for count in range(len(DISPENSABLE) + 1):
        left_out = DISPENSABLE[:count]
        table = Table(
            title=f"{points[0].shape[0]}x{points[0].shape[1]} {points[0].dtype}",
            title_justify="left",
            caption="held up: the writer, beyond an interval"
            + (f"; no room for {', '.join(left_out)}" if left_out else ""),
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        shown = [(key, heading) for key, heading in COLUMNS if key not in left_out]
        for key, heading in shown:
            table.add_column(heading, justify="left" if key == "source" else "right", no_wrap=True)
        for at, point in enumerate(points):
            cells = point.cells()
            last = at + 1 == len(points) or points[at + 1].source != point.source
            table.add_row(
                *(cells[key] for key, _ in shown), style=_STYLES[point.trouble], end_section=last
            )
        if console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
            break
    return table


def _draw(result: BenchResult, path: str, console: Console) -> None:
    from ..pictures import save_bench_picture

    save_bench_picture(result, path)
    console.print(f"picture: {path}", highlight=False)
