"""``pymilk send``: a command to whoever takes them from a queue."""

from __future__ import annotations

import sys

import click

from ...channels import CommandQueue
from ..exits import EXIT_STREAM_ERROR, clean_exit
from ..naming import completes_channels
from ..output import clean, print_json
from ..parameters import NumberRange

__all__ = ["send"]

#: Exit codes by what has become of the command.
_EXITS = {"done": 0, "not started": 3, "started, unknown": 4}


@click.command()
@click.argument("name", shell_complete=completes_channels("cmd"))
@click.argument("text")
@click.option("-t", "--timeout", type=NumberRange(min=0, max=86400), default=10.0, show_default=True,
              metavar="SECONDS", help="Wait so long for the reply.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
def send(name: str, text: str, timeout: float, as_json: bool) -> None:
    """Send TEXT as a command to queue NAME, and print the reply.

    Exit codes: 0 done; 1 the reply is an error, or the command could not be sent; 3 nobody took it in time,
    and it was taken back; 4 somebody took it and died, or did not answer in time.

    Example: pymilk send cam0 'exposure 0.1'
    """
    code = 0
    with clean_exit(), CommandQueue.attach(name) as queue:
        reply = queue.call(text, timeout)
        code = EXIT_STREAM_ERROR if reply.error else _EXITS[reply.state]
        data = reply.data.decode("utf-8", "backslashreplace") if isinstance(reply.data, bytes) else reply.data
        if as_json:
            print_json({"state": reply.state, "data": data, "error": reply.error})
        elif data is None:
            click.echo(f"{queue.name}: {reply.state}", err=True)
        elif data:
            click.echo(clean(data), err=reply.error)
    sys.exit(code)
