"""``pymilk capture``: capture frames into memory, save them, and report losses."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import click
from rich.console import Console

from ...capture import Capture
from ...errors import StreamError
from ...multi import MultiCapture, capture_many
from ...recording import check_save, save
from ...shm import SHM
from ...streams.waiting import WAIT_POLICIES
from ...verdicts import wrapped
from ..exits import clean_exit
from ..naming import complete_streams
from ..output import print_json, print_report, print_told, size_text
from ..packing import PackingCommand, packing_of
from ..parameters import NumberRange, check_plot
from ..progress import bar_of_work, watch

__all__ = ["capture"]

#: Bytes from which on reserving memory takes a second or more, and is announced.
_LARGE_NBYTES = 1_000_000_000


@click.command(cls=PackingCommand)
@click.argument("name", shell_complete=complete_streams)
@click.option("-n", "--frames", metavar="N", type=click.IntRange(min=1), help="How many to capture.")
@click.option("--seconds", metavar="SECONDS", type=NumberRange(min=0, min_open=True),
              help="Capture for this time instead.")
@click.option("-o", "--output", metavar="PATH", type=click.Path(),
              help="Save frames here: .npy, .fits, .h5, .hdf5 or .zarr. Default: only report.")
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE.png",
              help="Draw the intervals between frames, and the gaps over time.")
@click.option("--timeout", metavar="SECONDS", type=NumberRange(min=0, min_open=True), default=5.0,
              show_default=True,
              help="Longest wait for one frame, in seconds.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How to wait for frames: spin needs a core of its own.")
@click.option("--wait-on", type=click.Choice(["count", "post"]), default="count", show_default=True,
              help="What makes a frame. post: of a writer that never counts, with -n only.")
@click.option("--strict", is_flag=True, help="Exit code 1 if frames were lost or torn.")
@click.option("--force", is_flag=True, help="Replace recordings that exist, and the picture of --plot.")
@click.option("--compress", metavar="[fast|small]", default=None, callback=packing_of,
              help="Compress .h5 and .zarr: fast (LZ4) or small (zstd); without a word: gzip in .h5, "
                   "zstd in .zarr. Compress .fits (Rice): any of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def capture(
    name: str,
    frames: int | None,
    seconds: float | None,
    output: str | None,
    plot: str | None,
    timeout: float,
    wait: str,
    wait_on: str,
    strict: bool,
    force: bool,
    compress: bool | str,
    as_json: bool,
) -> None:
    """Capture the next frames of stream NAME into memory, save them, and report losses.

    Memory for all of them is reserved first. If capturing ends early (Ctrl-C, SIGTERM, a closed terminal, or
    no new frame), the frames received are still reported and saved. Lost frames do not change the exit code,
    unless --strict is given. pymilk play plays saved frames. To write to disk while frames come, use pymilk
    record.

    Example: pymilk capture cam0 -n 10000 -o out.npy --plot report.png
    """

    if (frames is None) == (seconds is None):
        raise click.UsageError("how many frames? Give -n FRAMES or --seconds SECONDS")
    if wait_on == "post" and frames is None:
        raise click.UsageError("--wait-on post needs -n FRAMES")
    if plot is not None:
        check_plot(plot, replace=force)
    console = Console(stderr=True, quiet=as_json, highlight=False)
    keywords: list[tuple[Any, ...]] = []
    with clean_exit():
        with SHM(name) as shm:
            if output is not None:
                check_save(output, shm, force=force, compress=compress)
                found = shm.get_keywords(comments=True)
                keywords = [(key, *each) for key, each in found.items()]
            done, ending = _capture(shm, frames, seconds, timeout, (wait, wait_on), console)
        report = done.report
        try:
            if output is not None and report.received:
                with bar_of_work(console, "saving", report.received) as progress:
                    save(
                        done, output, keywords=keywords, force=force, compress=compress, progress=progress
                    )
                console.print(f"frames: {output}", markup=False, soft_wrap=True)
            if plot is not None and report.received:
                from ..pictures import save_report_picture

                save_report_picture(done, plot)
                console.print(f"picture: {plot}", markup=False, soft_wrap=True)
        finally:
            if as_json:
                print_json(report.to_dict())
            else:
                size = done.frames.nbytes / 1e6
                print_report(report.rows(), f"{report.received} frames of {name}, {size:.1f} MB")
                print_told("\n".join(map(wrapped, report.reasons())), report.reasons())
        if ending is not None:
            raise ending
    if strict and (report.lost or report.torn):
        sys.exit(1)


def _capture(
    shm: SHM,
    frames: int | None,
    seconds: float | None,
    timeout: float,
    how: tuple[str, str],
    console: Console,
) -> tuple[Capture, BaseException | None]:
    """Capture; returns the capture, and the error that ended it early."""
    run: Capture | MultiCapture
    wait, wait_on = how
    if frames is not None:
        nbytes = frames * math.prod(shm.shape) * shm.nptype.itemsize
        if nbytes > _LARGE_NBYTES:
            console.print(f"reserving {size_text(nbytes)} of memory", highlight=False)
        run = one = shm.capture(frames, timeout=timeout, wait=wait, wait_on=wait_on, background=True)
    else:
        run = capture_many({shm.FNAME: shm}, seconds=seconds, timeout=timeout, wait=wait, background=True)
        one = run[shm.FNAME]
    began = time.monotonic()

    def far() -> float:
        return one.received if seconds is None else min(time.monotonic() - began, seconds)

    try:
        watch(
            console,
            lambda: {"capturing": (far(), f"{one.received} frames")},
            lambda: run.done,
            seconds if frames is None else frames,
        )
        run.join()
    except KeyboardInterrupt as error:
        run.stop()
        one.wait_end()
        return one, error
    except StreamError as error:
        return one, one.error or error
    return one, None
