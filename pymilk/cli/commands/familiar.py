"""Commands that existing scripts call, with their old arguments: ``creashmim`` and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..._core import Stream
from ...loading import creashmim as make_stream
from ...streams.keywords import Keywords
from ..exits import clean_exit
from ..output import warnings_as_lines
from ..parameters import NumberRange
from .kw import keyword_named, say_new_types
from .show import show
from .streams import TYPES

__all__ = ["creashmim", "shm_imshow", "shm_plot", "shm_termshow", "updatekw"]

_HELP = {"help_option_names": ["-h", "--help"]}


@click.command(context_settings=_HELP)
@click.argument("name")
@click.argument("size", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--type", "kind", type=click.Choice(list(TYPES)), default="f32", show_default=True,
              help="Pixel type.")
@click.option("-z", "do_zero", is_flag=True, help="Publish zeros in a stream that is kept.")
@click.option("--kw", "nbkw", metavar="N", type=click.IntRange(min=0), default=50, show_default=True,
              help="Room for keywords.")
@click.option("--force", is_flag=True, help="Make a new stream, even if the existing one fits.")
@click.option("--del", "delete", is_flag=True, help="Delete the existing stream before.")
def creashmim(
    name: str, size: tuple[int, ...], kind: str, do_zero: bool, nbkw: int, force: bool, delete: bool
) -> None:
    """Create the stream NAME of this SIZE and type, or keep the existing one if it fits.

    Example: creashmim cam0 120 120 --type=u16 --kw=50
    """
    with clean_exit(), warnings_as_lines():
        make_stream(
            name,
            size,
            TYPES[kind],
            nb_kw=nbkw,
            delete_existing=delete,
            attempt_reuse=not (force or delete),
            do_zero=do_zero,
        ).close()


# Values may be negative numbers, which are not options.
@click.command(context_settings={**_HELP, "ignore_unknown_options": True})
@click.argument("shm")
@click.argument("kw")
@click.argument("value")
def updatekw(shm: str, kw: str, value: str) -> None:
    """Set the keyword KW of the stream SHM: to a float if VALUE is a number, else to the text.

    A change of its type is said on stderr.

    Example: updatekw cam0 GAIN 2.5
    """
    stored: float | str
    try:
        stored = float(value)
    except ValueError:
        stored = value
    with clean_exit(), Stream.attach(shm, prefault=False) as stream:
        keywords = Keywords(stream)
        before = keywords.named()
        keywords.merge({keyword_named(kw, before, new=True): stored})
        say_new_types(before, keywords.named())


def _pictures(default: float) -> Callable[[Any], Any]:
    """Add the option --fr, with its default."""
    return click.option("--fr", "rate", type=NumberRange(0.1, 60), default=default, show_default=True,
                        metavar="HZ", help="Pictures per second.")  # fmt: skip


class _Number(NumberRange):
    """A number after a short option; existing calls also write ``-s=4``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number, without the sign in front."""
        return super().convert(value.removeprefix("=") if isinstance(value, str) else value, param, ctx)


_SYMCODE = click.option("-s", "symcode", type=_Number(0, 7), metavar="CODE", help="Orientation, 0 to 7.")


@click.command("shmImshow", context_settings=_HELP)
@click.argument("name")
@_pictures(8.0)
@_SYMCODE
@click.pass_context
def shm_imshow(context: click.Context, name: str, rate: float, symcode: float | None) -> None:
    """Show the stream NAME live in the terminal: pymilk show. Keys are listed below the picture.

    Example: shmImshow cam0 --fr=8 -s=0
    """
    context.invoke(show, names=(name,), rate=rate, symcode=int(symcode or 0))


@click.command("shmPlot", context_settings=_HELP)
@click.argument("name")
@_pictures(10.0)
@click.option("-t", "over_time", is_flag=True, help="No effect.")
@click.pass_context
def shm_plot(context: click.Context, name: str, rate: float, over_time: bool) -> None:
    """Draw the stream NAME live, in the terminal: a curve if it has one axis. See pymilk show.

    Example: shmPlot slopes --fr=10
    """
    context.invoke(show, names=(name,), rate=rate)


@click.command("shmTermshow", context_settings=_HELP)
@click.argument("name")
@_pictures(10.0)
@_SYMCODE
@click.option("-z", "zoom", type=_Number(1, 4096), metavar="FACTOR", help="1 is the whole frame.")
@click.pass_context
def shm_termshow(
    context: click.Context, name: str, rate: float, symcode: float | None, zoom: float | None
) -> None:
    """Show the stream NAME live, in the terminal: pymilk show.

    Example: shmTermshow cam0 --fr=10 -s=4
    """
    chosen = {"symcode": 4 if symcode is None else int(symcode), "zoom": 1.0 if zoom is None else zoom}
    context.invoke(show, names=(name,), rate=rate, **chosen)
