"""``pymilk create`` and ``pymilk rm``: create and remove streams by hand."""

from __future__ import annotations

import re
import sys
from typing import Any

import click
import numpy as np

from ...channels import listing
from ...errors import StreamError
from ...inspection import create_stream, remove_stream
from ...streams.directory import remove_stale
from ..exits import clean_exit
from ..naming import complete_streams, matching
from ..output import print_error, warnings_as_lines
from ..parameters import axes_of, dtype_with_complex_of

__all__ = ["TYPES", "create", "rm"]

#: Pixel types by their short names.
TYPES = {
    "f16": np.float16, "f32": np.float32, "f64": np.float64,
    "c64": np.complex64, "c128": np.complex128,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
}  # fmt: skip


def octal(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Return permissions from octal digits, as for chmod."""
    if text is None:
        return None
    if not re.fullmatch("[0-7]{1,4}", text) or int(text, 8) > 0o777:
        raise click.BadParameter(f"three octal digits, like 600, not {text!r}")
    return int(text, 8)


@click.command()
@click.argument("name")
@click.argument("size", type=click.IntRange(min=1), nargs=-1, metavar="[SIZE]...")
@click.option("--shape", callback=axes_of, metavar="HEIGHTxWIDTH",
              help="Shape of a frame, in place of SIZEs: one to three lengths.")
@click.option("--dtype", callback=dtype_with_complex_of, metavar="DTYPE",
              help="Pixel type of NumPy.  [default: float32]")
@click.option("--type", "kind", type=click.Choice(list(TYPES)), hidden=True)
@click.option("--ring", metavar="SLOTS", type=click.IntRange(0, 2**32 - 1), default=0,
              help="Slots of a ring: frames that readers may be late. Default: no ring.")
@click.option("--temporal", is_flag=True,
              help="Make the ring a circular cube whose slices are the frames, which are images then.")
@click.option("--kw", "nbkw", metavar="N", type=click.IntRange(0, 65535), default=50, show_default=True,
              help="Room for keywords.")
@click.option("--mode", metavar="OCTAL", callback=octal,
              help="Permissions of the file, like 600 or 644. Default: 666 less the umask.")
@click.option("--force", is_flag=True, help="Replace a stream of that name.")
def create(
    name: str,
    size: tuple[int, ...],
    shape: tuple[int, ...] | None,
    dtype: np.dtype | None,
    kind: str | None,
    **choices: Any,
) -> None:
    """Create the stream NAME of zeros; its frames have this --shape: 120x120, or 64.

    SIZEs in place of it are the same lengths: an image is HEIGHT WIDTH. Refuses to replace a stream unless
    --force is given. With a ring the writer copies each frame once more, and every ISIO program sees a plain
    stream; a --temporal ring costs nothing, but programs that do not know such cubes see a stream of three
    axes.

    Example: pymilk create cam0 --shape 120x120 --dtype uint16 --ring 256 --kw 50
    """
    temporal = choices.pop("temporal")
    if temporal and not choices["ring"]:
        raise click.UsageError("--temporal needs the number of slots: --ring SLOTS")
    if bool(size) == (shape is not None):
        raise click.UsageError("the shape of a frame is needed, once: --shape HEIGHTxWIDTH")
    if kind is not None and dtype is not None:
        raise click.UsageError("--type is the older word for --dtype: give one of them")
    pixels = dtype or np.dtype(TYPES[kind or "f32"])
    with clean_exit(), warnings_as_lines():
        create_stream(name, shape or size, pixels, ring_kind="temporal" if temporal else "fast", **choices)


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_streams)
@click.option("--force", is_flag=True, help="Remove streams that living processes use, too.")
@click.option("--dead", is_flag=True,
              help="Remove temporary files that creators left when they died, and nothing else.")
def rm(names: tuple[str, ...], force: bool, dead: bool) -> None:
    """Remove streams that no living process reads or writes, and channels that nobody writes.

    A channel is named by its file: cam0.msg.shm.

    All NAMEs are tried; exit code 1 if one of them could not be removed. Files that are not streams are not
    removed.

    NAMES may be patterns: 'wfs*', in quotes.

    Example: pymilk rm cam0 'sim_*'
    """
    if dead and (names or force):
        raise click.UsageError("--dead goes alone: it removes no streams")
    if not dead and not names:
        raise click.UsageError("which stream? Give a NAME, or --dead")
    failed = False
    with clean_exit():
        if dead:
            for path in remove_stale():
                click.echo(f"removed {path}")
        for name in matching(names, channels=True):
            try:
                if listing.channel_kind(name) is not None:
                    listing.remove(name, force=force)
                else:
                    remove_stream(name, force=force)
            except StreamError as error:
                print_error(error)
                failed = True
    if failed:
        sys.exit(1)
