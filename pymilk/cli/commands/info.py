"""``pymilk info``: describe one stream in full."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from ..._core import Stream
from ...channels.files import channel_path
from ...channels.listing import channel_details, channel_kind
from ...errors import ChannelError, StreamFormatError
from ...foreign.contents import content_of
from ...recording import is_array_file, is_recording_name, recording_details
from ...system.files import file_error
from ..describing import channel_report, recording_report, stream_report, watched_details
from ..exits import clean_exit
from ..naming import complete_streams_or_files, matching
from ..output import print_json, table_lines, warnings_as_lines
from ..parameters import NumberRange
from ..progress import bar_of_time
from ..tables import Table

__all__ = ["info"]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_streams_or_files)
@click.option("--measure", type=NumberRange(min=0, max=3600), default=1.0,
              show_default=True, metavar="SECONDS",
              help="Measure rate, jitter and writes for this time; 0: not at all.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def info(names: tuple[str, ...], measure: float, as_json: bool) -> None:
    """Describe stream NAME in full: metadata, orientation, sections, semaphores, keywords, rate.

    Watches the stream for a second, without a semaphore. NAME may be a pattern, in quotes: 'wfs*'.

    Of a recording, an array or a series (cam.fits, cam.npy, cam.h5, cam.zarr) in place of a stream: whether
    it is complete, what is missing, its gaps and its keywords. Of a channel (cam0.msg.shm): its
    messages and writer.

    Example: pymilk info cam0 --measure 5
    """
    with clean_exit(), warnings_as_lines():
        found = []
        for at, name in enumerate(matching(names, channels=True)):
            details, report = _details(name, measure, as_json)
            found.append(details)
            if not as_json:
                if at:
                    click.echo()
                click.echo("\n".join(report(details, table_lines)))
        if as_json:
            print_json(found[0] if len(names) == len(found) == 1 else found)


def _details(
    name: str, seconds: float, quiet: bool
) -> tuple[dict[str, Any], Callable[[dict[str, Any], Callable[[Table], list[str]]], list[str]]]:
    """Return what is known of a recording, a channel or a stream, and what makes lines of it."""
    if is_recording_name(name) or is_array_file(name):
        return recording_details(name), recording_report
    _check_kind(name)
    kind = channel_kind(name)
    if kind is not None:
        details = channel_details(channel_path(name, kind), kind)
        if "error" in details:
            raise ChannelError(details["error"], channel=details["name"], path=details["path"])
        return details, channel_report
    with (
        Stream.attach(name, writable=False, prefault=False) as stream,
        bar_of_time(Console(stderr=True, quiet=quiet), "measuring", seconds),
    ):
        return watched_details(stream, seconds), stream_report


def _check_kind(name: str) -> None:
    """Raise if the path of a file of another kind is given."""
    if os.sep not in name or name.endswith(".shm") or not os.path.isfile(name):
        return
    try:
        words = content_of(name).words
    except OSError as error:
        raise file_error(error, name, "read") from error
    raise StreamFormatError(
        f"{name} is {words}, and no stream, recording, array or channel; pymilk play takes images and videos",
        path=name,
        field="file",
        expected="a stream, a recording, an NPY or FITS file, or a channel",
        found=words,
    )
