"""``pymilk demo``: camera and capture on one machine, in ten seconds."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator

import click
import numpy as np
from rich.console import Console

from ...capture import Capture
from ...shm import SHM
from ...simulate import SimulatedCamera
from ...streams.waiting import WAIT_POLICIES
from ...system.signals import held_signals
from ..exits import clean_exit
from ..output import print_json, print_report
from ..parameters import AliasedOption, NumberRange, check_plot, dtype_of, shape_of
from ..progress import watch

__all__ = ["demo"]

STREAM = "demo_camera"


@contextlib.contextmanager
def _stream_directory(chosen: str | None) -> Iterator[None]:
    """Use a stream directory for a block: the given one, or a private one that is removed afterwards."""
    before = os.environ.get("MILK_SHM_DIR")
    with contextlib.ExitStack() as stack:
        if chosen is None:
            memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
            with held_signals():  # until it is sure to be removed
                chosen = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="pymilk-demo-", dir=memory)
                )
        os.environ["MILK_SHM_DIR"] = chosen
        try:
            yield
        finally:
            if before is None:
                del os.environ["MILK_SHM_DIR"]
            else:
                os.environ["MILK_SHM_DIR"] = before


@click.command()
@click.option("--rate", metavar="HZ", type=NumberRange(min=0), default=2000, show_default=True,
              help="Frames per second of the camera; 0 is as fast as it can.")
@click.option("--frames", metavar="N", type=click.IntRange(min=1), default=10_000, show_default=True,
              help="How many to capture.")
@click.option("--shape", metavar="HEIGHTxWIDTH", callback=shape_of, default="120x120", show_default=True,
              help="HEIGHTxWIDTH in pixels.")
@click.option("--dtype", metavar="DTYPE", callback=dtype_of, default="uint16", show_default=True,
              help="Pixel type.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How to wait for frames: spin needs a core of its own.")
@click.option("--dir", "directory", metavar="DIR", type=click.Path(exists=True, file_okay=False),
              help="Directory for the stream. Default: a private one.")
@click.option("--plot", cls=AliasedOption, aliases=["--picture"], metavar="FILE.png",
              type=click.Path(dir_okay=False, writable=True),
              default="pymilk-demo.png", show_default=True, help="Where to draw the result.")
@click.option("--no-plot", "no_picture", cls=AliasedOption, aliases=["--no-picture"], is_flag=True,
              help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def demo(
    rate: float,
    frames: int,
    shape: tuple[int, int],
    dtype: np.dtype,
    wait: str,
    directory: str | None,
    plot: str,
    no_picture: bool,
    as_json: bool,
) -> None:
    """Capture from a simulated camera, and report losses.

    A second process publishes Shack-Hartmann frames into a stream; this one captures them into one
    NumPy cube, without the GIL, and accounts for every frame.

    Example: pymilk demo --rate 5000 --frames 20000
    """
    if not no_picture and importlib.util.find_spec("matplotlib") is not None:
        check_plot(plot)
    console = Console(stderr=True, quiet=as_json)
    with clean_exit():
        with _stream_directory(directory):
            console.print(
                f"camera: {shape[0]}x{shape[1]} {dtype.name} at "
                f"{f'{rate:g} frames/s' if rate else 'full speed'}, in a process of its own"
            )
            with SimulatedCamera(STREAM, shape, dtype, rate), SHM(STREAM) as shm:
                capture = shm.capture(frames, wait=wait, background=True)
                try:
                    watch(
                        console,
                        lambda: {"capturing": (capture.received, f"{capture.received} frames")},
                        lambda: capture.done,
                        frames,
                    )
                finally:
                    capture.stop()
                capture.join()
        report = capture.report
        if as_json:
            print_json(report.to_dict())
        else:
            print_report(
                report.rows(), f"{frames} frames into a cube of {capture.frames.nbytes / 1e6:.1f} MB"
            )
        if not no_picture:
            _draw(capture, plot, console)


def _draw(capture: Capture, path: str, console: Console) -> None:
    """Save the picture, or print which library is missing."""
    try:
        from ..pictures import save_picture
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        console.print("no picture: matplotlib is not installed; pip install matplotlib")
        return
    save_picture(capture, path)
    console.print(f"picture: {path}")
