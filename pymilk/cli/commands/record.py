"""``pymilk record``: frames of streams to disk."""

from __future__ import annotations

import sys
import threading

import click
from rich.console import Console

from ...recording import Recorder, StreamReport
from ...streams.waiting import WAIT_POLICIES
from ..exits import EXIT_INTERRUPTED, clean_exit, told_to_end
from ..naming import complete_streams, matching
from ..output import NOTHING, age_text, clean, print_json, size_text
from ..parameters import NumberRange
from ..progress import watch

__all__ = ["record"]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_streams)
@click.option("-o", "--output", required=True, metavar="PATH",
              help="File: .npy, .fits, .h5, .hdf5 or .zarr. For several streams with {stream} in it, or a "
                   "directory.")
@click.option("-n", "--frames", type=click.IntRange(min=1), help="End after so many frames of each.")
@click.option("--seconds", type=NumberRange(min=0, min_open=True), help="End after this time.")
@click.option("--until-stopped", is_flag=True, help="End with Ctrl-C or SIGTERM.")
@click.option("--max-frames-per-file", type=click.IntRange(min=1),
              help="Begin a new, numbered file after so many.")
@click.option("--force", is_flag=True, help="Replace recordings that exist, once the first frame is there.")
@click.option("--compress", is_flag=True, help="Compress .h5 (gzip) and .zarr (Blosc).")
@click.option("--depth", type=click.IntRange(min=1),
              help="Frames that may wait for the disk. Default: what fits into 256 MiB, up to 8192.")
@click.option("--timeout", type=NumberRange(min=0, min_open=True), metavar="SECONDS",
              help="Longest wait for a frame. Default: a camera may pause, and restart.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How to wait for frames: spin needs a core of its own.")
@click.option("--cpu", type=click.IntRange(min=0), help="Core that collects frames.")
@click.option("--priority", type=click.IntRange(1, 99), help="Its SCHED_FIFO priority, where permitted.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def record(
    names: tuple[str, ...],
    output: str,
    frames: int | None,
    seconds: float | None,
    until_stopped: bool,
    max_frames_per_file: int | None,
    force: bool,
    compress: bool,
    depth: int | None,
    timeout: float | None,
    wait: str,
    cpu: int | None,
    priority: int | None,
    as_json: bool,
) -> None:
    """Record the streams NAME to disk, with the number, the times and the losses of each frame.

    Ctrl-C, SIGTERM and a closed terminal (SIGHUP) end it within a second, with finished files and the report.
    Exit code 0 if it ended as requested, also if frames were lost (see the report); 1 after an error of a
    stream or a disk; 130 if it was stopped before its --frames or --seconds were over.

    NAMES may be patterns, in quotes: pymilk record 'wfs*' -o '{stream}.fits' --seconds 60

    Example: pymilk record cam0 -o cam0.fits -n 100000 --max-frames-per-file 10000
    """

    if until_stopped and (frames is not None or seconds is not None):
        raise click.UsageError("--until-stopped has no other end; leave out --frames and --seconds")
    if not until_stopped and frames is None and seconds is None:
        raise click.UsageError("until when? Give --frames, --seconds or --until-stopped")
    end = threading.Event()
    with clean_exit(), told_to_end(end):
        streams = matching(names)
        recorder = Recorder(
            streams[0] if len(streams) == 1 else streams,
            output,
            frames=frames,
            seconds=seconds,
            max_frames_per_file=max_frames_per_file,
            force=force,
            compress=compress,
            depth=depth,
            timeout=timeout,
            wait=wait,
            cpu=cpu,
            priority=priority,
        )
        try:
            recorder.start()
            console = Console(stderr=True, quiet=as_json, highlight=False)
            if not console.is_terminal:
                listed = ", ".join(map(clean, recorder.report.streams))
                text = f"recording {listed}; Ctrl-C ends it with finished files"
                console.print(text, markup=False, soft_wrap=True)
            watch(
                console,
                lambda: {
                    name: (each.duration if frames is None else each.recorded, _text(each))
                    for name, each in recorder.report.streams.items()
                },
                lambda: not recorder.running,
                seconds if frames is None else frames,
                end=end,
                keep=True,
            )
        finally:
            report = recorder.stop()
        if as_json:
            print_json(report.to_dict())
        else:
            for line in str(report).splitlines():
                click.echo(clean(line))
        recorder.wait()  # raises the error that ended it
    if not until_stopped and any(each.ended == "stopped" for each in report.streams.values()):
        sys.exit(EXIT_INTERRUPTED)


def _text(report: StreamReport) -> str:
    """Return the progress of a recording in a few words."""
    wanted = "" if report.requested is None else f"/{report.requested}"
    rate = NOTHING if report.rate != report.rate else f"{report.rate:.0f}"
    words = (
        f"{report.recorded}{wanted} frames, {rate}/s, {report.lost} lost, {size_text(report.nbytes)}, "
        f"ring {report.ring_peak:.0%}"
    )
    silent = report.last_age is None or report.last_age > 1
    return f"{words}, last frame {age_text(report.last_age)} ago" if silent and report.recorded else words
