"""``pymilk record``: frames of streams to disk."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from rich.console import Console

from ...errors import RecordError, StreamError, StreamShapeChangedError, StreamTypeChangedError
from ...recording import Recorder, StreamReport, seconds_of_room
from ...streams.waiting import WAIT_POLICIES
from ...system.extras import toml_of
from ...system.latch import Latch
from ..exits import EXIT_INTERRUPTED, clean_exit, told_to_end
from ..naming import complete_streams, matching
from ..output import NOTHING, age_text, clean, print_json, print_told, size_text
from ..packing import PackingCommand, packing_of
from ..parameters import AliasedOption, NumberRange, parts_of_assignment, size_of, typed_value
from ..progress import watch

__all__ = ["record"]


@click.command(cls=PackingCommand)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_streams)
@click.option("-o", "--output", "path", required=True, metavar="PATH", type=click.Path(),
              help="File: .npy, .fits, .h5, .hdf5 or .zarr. {stream}, {date}, {utc} and {seq:04d} are filled "
                   "in, folders of such names made. For several streams with {stream} in it, or a directory.")
@click.option("-n", "--frames", metavar="N", type=click.IntRange(min=1),
              help="End after so many frames of each.")
@click.option("--seconds", metavar="SECONDS", type=NumberRange(min=0, min_open=True),
              help="End after this time.")
@click.option("--until-stopped", is_flag=True, help="End with Ctrl-C or SIGTERM.")
@click.option("--max-frames-per-file", metavar="N", type=click.IntRange(min=1),
              help="Begin a new, numbered file after so many.")
@click.option("--max-size-per-file", "max_bytes_per_file", callback=size_of, metavar="SIZE",
              help="Begin one before its pixels exceed this: 500M, 2GB.")
@click.option("--max-seconds-per-file", metavar="SECONDS", type=NumberRange(min=0, min_open=True),
              help="Begin one with the first frame after this time.")
@click.option("--format", "format_name", type=click.Choice(["npy", "fits", "hdf5", "zarr"]),
              help="Format of names without a suffix, and in directories.")
@click.option("--restart", is_flag=True,
              help="Go on in a new file (_restart001) if a stream is made anew with another shape or dtype.")
@click.option("--force", is_flag=True, help="Replace recordings that exist, once the first frame is there.")
@click.option("--compress", metavar="[fast|small]", default=None, callback=packing_of,
              help="Compress .h5 and .zarr: fast (LZ4) or small (zstd); without a word: gzip in .h5, "
                   "zstd in .zarr. Compress .fits (Rice): any of them.")
@click.option("--direct", is_flag=True, help="Write past the page cache (O_DIRECT); not .h5.")
@click.option("--sync", type=click.Choice(["end", "second"]),
              help="Wait for the disk: when a file ends, or once a second as well (not .h5).")
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE",
              help="Keyword for the headers, beside those of the stream; may be given several times.")
@click.option("--header", "header_file", type=click.Path(dir_okay=False), metavar="FILE.toml",
              help="Keywords for the headers: KEY = value, or KEY = [value, comment].")
@click.option("--stats", type=NumberRange(min=0, min_open=True), metavar="SECONDS",
              help="Print a line for each stream this often, with the UTC time.")
@click.option("--ring", "depth", cls=AliasedOption, aliases=["--depth"], type=click.IntRange(min=1),
              metavar="SLOTS",
              help="Frames that may wait for the disk. Default: what fits into 256 MiB, up to 8192.")
@click.option("--timeout", type=NumberRange(min=0, min_open=True), metavar="SECONDS",
              help="Longest wait for a frame. Default: a camera may pause, and restart.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How to wait for frames: spin needs a core of its own.")
@click.option("--cpu", metavar="CORE", type=click.IntRange(min=0), help="Core that collects frames.")
@click.option("--priority", metavar="P", type=click.IntRange(1, 99),
              help="Its SCHED_FIFO priority, where permitted.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def record(
    names: tuple[str, ...],
    path: str,
    frames: int | None,
    seconds: float | None,
    until_stopped: bool,
    max_frames_per_file: int | None,
    max_bytes_per_file: int | None,
    max_seconds_per_file: float | None,
    format_name: str | None,
    restart: bool,
    force: bool,
    compress: bool | str,
    direct: bool,
    sync: str | None,
    given: tuple[str, ...],
    header_file: str | None,
    stats: float | None,
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
    _check_end(frames, seconds, until_stopped)
    end = Latch()
    with clean_exit():  # a pipe may be waited for, until Ctrl-C
        keywords = _keywords(given, header_file)
    with clean_exit(), told_to_end(end):
        streams = matching(names)
        recorder = Recorder(
            streams[0] if len(streams) == 1 else streams,
            path,
            frames=frames,
            seconds=seconds,
            max_frames_per_file=max_frames_per_file,
            max_bytes_per_file=max_bytes_per_file,
            max_seconds_per_file=max_seconds_per_file,
            format=format_name,
            restart=restart,
            force=force,
            compress=compress,
            depth=depth,
            timeout=timeout,
            wait=wait,
            cpu=cpu,
            priority=priority,
            keywords=keywords,
            direct=direct,
            sync=sync,
        )
        stats_of = _Stats(recorder, stats)
        try:
            console = Console(stderr=True, quiet=as_json, highlight=False)
            short = recorder.shortage()
            if short:
                console.print(clean(short), markup=False, soft_wrap=True)
            recorder.start()
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
                lambda: stats_of.tend() or not recorder.running,
                seconds if frames is None else frames,
                end=end,
                keep=True,
            )
        finally:
            report = recorder.stop()
        if as_json:
            print_json(report.to_dict())
        else:
            print_told(str(report), report.reasons())
        _raise_what_ended(recorder)
    if not until_stopped and any(each.ended == "stopped" for each in report.streams.values()):
        sys.exit(EXIT_INTERRUPTED)


def _keywords(given: tuple[str, ...], path: str | None) -> dict[str, Any]:
    """Return the keywords of --set and --header."""
    found: dict[str, Any] = {}
    if path is not None:
        entries = toml_of(path, "cli", "headers of TOML files", "header_file")
        found = {key: tuple(each) if isinstance(each, list) else each for key, each in entries.items()}
    for each in given:
        parts = parts_of_assignment(each)
        if parts is None:
            raise click.UsageError(f"--set takes KEY=VALUE, not {each!r}")
        found[parts[0]] = typed_value(parts[1])
    return found


def _check_end(frames: int | None, seconds: float | None, until_stopped: bool) -> None:
    """Refuse options that say two ends of the recording, or none."""
    if until_stopped and (frames is not None or seconds is not None):
        raise click.UsageError("--until-stopped has no other end; leave out --frames and --seconds")
    if not until_stopped and frames is None and seconds is None:
        raise click.UsageError("until when? Give --frames, --seconds or --until-stopped")


def _raise_what_ended(recorder: Recorder) -> None:
    """Raise the error that ended a recording, and say what goes on if a stream is made anew."""
    try:
        recorder.wait()
    except StreamError as error:
        errors = error.errors.values() if isinstance(error, RecordError) else [error]
        if any(isinstance(each, (StreamShapeChangedError, StreamTypeChangedError)) for each in errors):
            click.echo("pymilk: with --restart a recording goes on in a new file then", err=True)
        raise


class _Stats:
    """Lines about a recording, for logs of the night."""

    def __init__(self, recorder: Recorder, seconds: float | None) -> None:
        self._recorder, self._seconds = recorder, seconds
        self._due = time.monotonic() + (seconds or 0.0)

    def tend(self) -> bool:
        """Print lines if it is time; returns False."""
        if self._seconds is not None and time.monotonic() >= self._due:
            self._due += self._seconds
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            reports = self._recorder.report.streams
            room = seconds_of_room(reports.values())
            for name, each in reports.items():
                left = f", disk full in {age_text(room[name])}" if name in room else ""
                click.echo(clean(f"{now} {name}: {_text(each)}{left}"), err=True)
        return False


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
