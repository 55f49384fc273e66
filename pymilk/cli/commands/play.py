"""``pymilk play``: a recording, an image folder or a video as a live stream."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from ...playback import Player
from ...system.latch import Latch
from ..exits import EXIT_INTERRUPTED, clean_exit, told_to_end
from ..output import clean, print_json, print_report, warnings_as_lines
from ..parameters import NumberRange
from ..progress import watch

__all__ = ["play"]


@click.command()
@click.argument("source", type=click.Path())
@click.option("--stream", metavar="NAME",
              help="Stream to publish in. Default: the one that was recorded, or the name of the file.")
@click.option("--rate", type=NumberRange(min=0, max=1e9), metavar="HZ",
              help="Frames per second; 0: as fast as possible.")
@click.option("--original-timing", is_flag=True,
              help="Publish at the times of the recording, gaps included. "
                   "The default where it has times.")
@click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C.")
@click.option("--ring", type=click.IntRange(0, 2**32 - 1), default=0, metavar="SLOTS",
              help="Give a new stream a ring. Default: none.")
@click.option("--temporal", is_flag=True, help="Make the ring a circular cube.")
@click.option("--cpu", type=click.IntRange(min=0), metavar="CORE", help="Core that publishes.")
@click.option("--priority", metavar="P", type=click.IntRange(1, 99),
              help="SCHED_FIFO priority, where permitted.")
@click.option("--hdu", metavar="HDU",
              help="Which image of a FITS file: number, name, or name,version. Default: the first one. "
                   "SOURCE may also be file.fits[HDU].")
@click.option("--frame-axes", type=click.IntRange(1, 3), metavar="N",
              help="How many axes a frame of an NPY or FITS array has. Default: 2 for FITS images; else the "
                   "first axis is time.")
@click.option("--remove", is_flag=True, help="Delete the stream at the end. Default: it stays.")
@click.option("--force", is_flag=True, help="Replace any stream of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def play(
    source: str,
    stream: str | None,
    rate: float | None,
    original_timing: bool,
    loop: bool,
    ring: int,
    temporal: bool,
    cpu: int | None,
    priority: int | None,
    hdu: str | None,
    frame_axes: int | None,
    remove: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Publish SOURCE as a live stream: a recording, an array, a folder of images, an image, or a video.

    The first line says what is played, what is done to its pixels, and which options decide. Pixels are the
    values that are stored, but colours, which become brightness. A file that has fewer frames than it says
    ends with an error and exit code 1.

    A stream of that name is used if it has the same shape, dtype and ring, and no living process writes it.
    Reports the rate reached, jitter, and how late frames were. Ctrl-C, SIGTERM and a closed terminal (SIGHUP)
    end it cleanly, with the report.

    Exit code 130 if a signal ended it before the last frame; 0 with --loop, which only a signal ends.

    Example: pymilk play cam.fits --stream replay --rate 500 --loop
    """

    if original_timing and rate is not None:
        raise click.UsageError("--original-timing and --rate exclude each other")
    if temporal and not ring:
        raise click.UsageError("--temporal needs the number of slots: --ring SLOTS")
    end = Latch()
    console = Console(stderr=True, quiet=as_json, highlight=False)
    with clean_exit():
        with warnings_as_lines(quiet=True):  # the first line says it
            player = Player(
                source,
                stream,
                rate=rate,
                loop=loop,
                ring=ring,
                ring_kind="temporal" if temporal else "fast",
                cpu=cpu,
                priority=priority,
                hdu=hdu,
                frame_axes=frame_axes,
                remove=remove,
                force=force,
            )
        with told_to_end(end), player:
            text = f"playing {player.source_for_command} as stream {player.name}; Ctrl-C ends it"
            console.print(clean(text), markup=False, soft_wrap=True)
            watch(
                console,
                lambda: {"playing": (player.published, f"{player.published} frames")},
                lambda: not player.running,
                player.frames,
                end=end,
            )
        report = player.report
        if as_json:
            print_json(report.to_dict())
        else:
            print_report(report.rows(), f"stream {report.stream}")
        player.wait()  # raises the error that ended it
    if report.ended == "stopped" and not loop:
        sys.exit(EXIT_INTERRUPTED)
