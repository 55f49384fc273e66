"""The command group: ``pymilk`` and its commands."""

from __future__ import annotations

import click

from ..inspection.about import version_lines
from .commands.bench import bench
from .commands.bridge import bridge
from .commands.capture import capture
from .commands.completion import completion
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.fps import fps
from .commands.graph import graph
from .commands.info import info
from .commands.kw import kw
from .commands.ls import ls
from .commands.play import play
from .commands.ps import ps
from .commands.record import record
from .commands.relay import relay
from .commands.send import send
from .commands.show import show
from .commands.simulate import simulate
from .commands.state import state
from .commands.streams import create, rm
from .commands.tail import tail
from .commands.top import top
from .commands.watch import watch
from .commands.web import web

__all__ = ["app"]


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("\n".join(version_lines()))
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show versions and build options, as a bug report needs them.",
)
def app() -> None:
    """Camera frames through shared memory, every one of them accounted for."""


for command in (
    bench, bridge, capture, completion, create, demo, doctor, fps, graph, info, kw, ls, play, ps, record,
    relay, rm, send, show, simulate, state, tail, top, watch, web,
):
    app.add_command(command)
