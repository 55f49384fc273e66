"""``pymilk graph``: which process makes which stream from which."""

from __future__ import annotations

import click

from ...parameters.graph import read_graph
from ..exits import clean_exit
from ..output import clean, print_json, print_none

__all__ = ["graph"]


@click.command()
@click.option("--dot", is_flag=True, help="Print it for Graphviz: pymilk graph --dot | dot -Tsvg > graph.svg")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def graph(dot: bool, as_json: bool) -> None:
    """Draw which process makes which stream from which other one, as a tree from the sources down.

    "age" is the time since the newest frame of a stream. "after its source" is the time from the frame at the
    source to this one, as the process traces tell it. Dotted lines of --dot are known from semaphores or
    process information only.

    Example: pymilk graph
    """
    if dot and as_json:
        raise click.UsageError("--dot and --json are two formats; give one")
    with clean_exit():
        found = read_graph()
        if as_json:
            print_json(found.to_dict())
        elif dot:
            click.echo(found.to_dot())
        elif not found.streams:
            print_none("stream")
        else:
            for line in found.lines():
                click.echo(clean(line))
