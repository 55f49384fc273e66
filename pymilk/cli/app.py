"""The command group, and what all commands share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from ..about import version_lines
from ..errors import StreamError
from .output import print_error

__all__ = ["app", "clean_exit"]

#: Exit codes: 0 done, 1 a stream error (its message is on stderr), 2 wrong usage, 130 Ctrl-C.
EXIT_STREAM_ERROR = 1
EXIT_INTERRUPTED = 130


@contextlib.contextmanager
def clean_exit() -> Iterator[None]:
    """Turn stream errors and Ctrl-C into a line on stderr and an exit code."""
    try:
        yield
    except StreamError as error:
        print_error(error)
        sys.exit(EXIT_STREAM_ERROR)
    except KeyboardInterrupt:
        click.echo("pymilk: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)


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


from .bench import bench  # noqa: E402  (commands import the helpers above)
from .capture import capture  # noqa: E402
from .demo import demo  # noqa: E402
from .doctor import doctor  # noqa: E402
from .info import info  # noqa: E402
from .kw import kw  # noqa: E402
from .ls import ls  # noqa: E402
from .play import play  # noqa: E402
from .record import record  # noqa: E402
from .relay import relay  # noqa: E402
from .show import show  # noqa: E402
from .streams import create, rm  # noqa: E402
from .top import top  # noqa: E402

for command in (
    bench, capture, create, demo, doctor, info, kw, ls, play, record, relay, rm, show, top,
):
    app.add_command(command)
