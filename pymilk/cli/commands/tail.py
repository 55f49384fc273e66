"""``pymilk tail``: the messages of a log, and those that come."""

from __future__ import annotations

import datetime
from typing import Any

import click

from ...channels import MessageLog
from ...errors import ChannelRemovedError
from ..exits import clean_exit
from ..naming import completes_channels
from ..output import clean, print_json

__all__ = ["entry_of", "print_message", "tail"]


@click.command()
@click.argument("name", shell_complete=completes_channels("msg"))
@click.option("-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True,
              help="Begin with so many messages that are there.")
@click.option("-f", "--follow", is_flag=True,
              help="Wait for messages, until Ctrl-C or until the log is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print an object of JSON a message, one a line.")
def tail(name: str, lines: int, follow: bool, as_json: bool) -> None:
    """Print the newest messages of log NAME, each with its time (UTC) and number.

    Messages that were overwritten before they could be read are counted in a line of their own.

    Example: pymilk tail cam0 --follow
    """
    with clean_exit(), MessageLog.attach(name, start="oldest") as log:
        newest: list[dict[str, Any]] = []
        last, seen = log.count, 0
        while seen < last and len(batch := log.read_many()):
            seen = int(batch.rows["number"][-1])
            found = [
                entry_of(int(row["number"]), int(row["time_ns"]), data)
                for row, data in zip(batch.rows, batch, strict=True)
            ]
            newest = (newest + found)[-lines:] if lines else []
        for entry in newest:
            print_message(entry, as_json)
        while follow:
            try:
                message = log.read()
            except ChannelRemovedError:
                return
            if message.lost and not as_json:
                click.echo(f"({message.lost} messages were overwritten before they were read)")
            print_message(entry_of(message.number, message.time_ns, message.data, message.lost), as_json)


def entry_of(number: int, time_ns: int, data: bytes | str, lost: int = 0) -> dict[str, Any]:
    """Return what is printed of a message."""
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    return {"number": number, "time_ns": time_ns, "text": text, "lost": lost}


def print_message(entry: dict[str, Any], as_json: bool) -> None:
    """Print a message: its time (UTC), number and text, or an object of JSON."""
    if as_json:
        print_json(entry, indent=None)
        return
    # Not by a float, which has no room for microseconds of today.
    seconds, rest = divmod(entry["time_ns"], 1_000_000_000)
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    click.echo(clean(f"{when}.{rest // 1000:06d} {entry['number']:6d}  {entry['text']}"))
