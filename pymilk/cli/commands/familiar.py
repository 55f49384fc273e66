"""``creashmim`` and ``updatekw``: commands that existing scripts call, with the arguments they always had."""

from __future__ import annotations

import click

from ..._core import Stream
from ...loading import creashmim as make_stream
from ...streams.keywords import Keywords
from ..exits import clean_exit
from .streams import TYPES

__all__ = ["creashmim", "updatekw"]

_HELP = {"help_option_names": ["-h", "--help"]}


@click.command(context_settings=_HELP)
@click.argument("name")
@click.argument("size", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--type", "kind", type=click.Choice(list(TYPES)), default="f32", show_default=True,
              help="Pixel type.")
@click.option("-z", "do_zero", is_flag=True, help="Publish zeros in a stream that is kept.")
@click.option("--kw", "nbkw", type=click.IntRange(min=0), default=50, show_default=True,
              help="Room for keywords.")
@click.option("--force", is_flag=True, help="Make a new stream, also where the existing one would fit.")
@click.option("--del", "delete", is_flag=True, help="Delete the existing stream before.")
def creashmim(
    name: str, size: tuple[int, ...], kind: str, do_zero: bool, nbkw: int, force: bool, delete: bool
) -> None:
    """Make sure that there is a stream NAME of this SIZE and type: the existing one, or a new one.

    Example: creashmim cam0 120 120 --type=u16 --kw=50
    """
    with clean_exit():
        make_stream(
            name,
            size,
            TYPES[kind],
            nb_kw=nbkw,
            delete_existing=delete,
            attempt_reuse=not (force or delete),
            do_zero=do_zero,
        ).close()


# Values may be negative numbers, which are no options.
@click.command(context_settings={**_HELP, "ignore_unknown_options": True})
@click.argument("shm")
@click.argument("kw")
@click.argument("value")
def updatekw(shm: str, kw: str, value: str) -> None:
    """Set the keyword KW of the stream SHM: to a float if VALUE can be one, else to the text.

    Example: updatekw cam0 GAIN 2.5
    """
    stored: float | str
    try:
        stored = float(value)
    except ValueError:
        stored = value
    with clean_exit(), Stream.attach(shm, prefault=False) as stream:
        Keywords(stream).merge({kw: stored})
