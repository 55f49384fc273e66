"""``pymilk simulate``: a live test stream, or a small closed loop, until Ctrl-C."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click
import numpy as np

from ...simulate.faults import Faults
from ...simulate.live import living
from ...simulate.options import CameraOptions, LoopOptions
from ...simulate.scenes import SCENES
from ..exits import clean_exit, until_interrupted
from ..parameters import NumberRange, axes_of, dtype_of

__all__ = ["simulate"]

#: Options that a loop has, too.
_OF_LOOP = {"rate", "frames", "seed", "gain"}


def _kinds() -> str:
    return "; ".join(f"{name}: {scene.what}" for name, scene in SCENES.items())


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(list(SCENES)), default=None,
              help=f"What it sees. {_kinds()}. Default: shack-hartmann.")
@click.option("--rate", metavar="HZ", type=NumberRange(min=0), default=None,
              help="Frames per second; 0 is as fast as it can. Default: 2000, of a loop 300.")
@click.option("--shape", metavar="HEIGHTxWIDTH", callback=axes_of, default=None,
              help="HEIGHTxWIDTH, or LENGTH. Default: as the kind has it.")
@click.option("--dtype", metavar="DTYPE", callback=dtype_of, default=None,
              help="Pixel type. Default: as the kind has it.")
@click.option("--ring", metavar="SLOTS", type=click.IntRange(min=2), default=None,
              help="Slots of a ring in the stream.")
@click.option("--frames", metavar="N", type=click.IntRange(min=1), default=None, help="End after so many.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=None,
              help="The same seed gives the same frames.")
@click.option("--drop", metavar="FRACTION", type=NumberRange(0, 1), default=None,
              help="Fraction of frames that are missing.")
@click.option("--tear", metavar="FRACTION", type=NumberRange(0, 1), default=None,
              help="Fraction of frames that are counted half done; the rest comes 60 ms later.")
@click.option("--late", metavar="FRACTION", type=NumberRange(0, 1), default=None,
              help="Fraction of frames that come half an interval late.")
@click.option("--die", type=NumberRange(min=0, min_open=True), default=None, metavar="SECONDS",
              help="Be killed within a frame after so long; the stream stays.")
@click.option("--restart", type=NumberRange(min=0, min_open=True), default=None, metavar="SECONDS",
              help="Make the stream anew this often.")
@click.option("--loop", is_flag=True,
              help="A closed loop: NAME_wfs, NAME_dm, and NAME_res, the rms behind the mirror and before it.")
@click.option("--gain", metavar="GAIN", type=NumberRange(0, 2), default=None,
              help="Of the loop. 0 leaves NAME_dm to other processes. Default: 0.4.")
def simulate(name: str, loop: bool, **given: Any) -> None:
    """Publish simulated frames into a new stream NAME, until Ctrl-C, SIGTERM or SIGHUP; then delete it.

    A stream that another living process writes is not replaced.

    Examples: pymilk simulate cam0 --rate 1000; pymilk simulate cam0 --kind ramp --drop 0.01 --ring 64;
    pymilk simulate ao --loop
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    _check(loop, chosen)
    with clean_exit():
        if loop:
            options: CameraOptions | LoopOptions = LoopOptions(name, **chosen)
            what = f"a loop at {options.rate:g}/s: {name}_wfs, {name}_dm, {name}_res"
        else:
            faults = Faults(**{each.name: chosen.pop(each.name, 0.0) for each in fields(Faults)})
            if "dtype" in chosen:
                chosen["dtype"] = np.dtype(chosen["dtype"]).name
            options = CameraOptions(name, **chosen, faults=faults)
            shape, dtype = options.scene()
            speed = f"{options.rate:g} frames/s" if options.rate else "full speed"
            what = f"{options.kind} {'x'.join(map(str, shape))} {dtype.name} at {speed} into {name}"
        with living(options) as camera:
            click.echo(f"simulating {what}; Ctrl-C ends it", err=True)
            with until_interrupted():  # the way to end it
                camera.run()


def _check(loop: bool, chosen: dict[str, Any]) -> None:
    """Refuse options that have no effect."""
    for name in chosen:
        if loop and name not in _OF_LOOP:
            raise click.UsageError(f"--{name} is for a camera, and --loop has sensor and mirror of its own")
        if not loop and name == "gain":
            raise click.UsageError("--gain is for a loop: --loop")
