"""The command group: ``pymilk`` and its commands."""

from __future__ import annotations

import click

from ..about import version_lines
from .bench import bench
from .capture import capture
from .demo import demo
from .doctor import doctor
from .info import info
from .kw import kw
from .ls import ls
from .play import play
from .record import record
from .relay import relay
from .show import show
from .streams import create, rm
from .top import top

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
    bench, capture, create, demo, doctor, info, kw, ls, play, record, relay, rm, show, top,
):
    app.add_command(command)
