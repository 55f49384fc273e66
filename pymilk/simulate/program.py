"""The process of a simulated camera or loop, as `SimulatedCamera` and `SimulatedLoop` start it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from dataclasses import fields

from ..errors import StreamError
from ..system.signals import ENDS
from ..system.threads import start_thread
from .faults import Faults
from .live import living
from .options import CameraOptions, LoopOptions

__all__ = ["main"]


#: Seconds after which the camera is interrupted again if it goes on.
_AGAIN_SECONDS = 1.0

#: Seconds between two looks for a signal that came just before one waits for them.
_LOOK_SECONDS = 1.0


def _end(number: int, frame: object) -> None:
    """Interrupt the camera; a second signal, of either kind, must not interrupt its clean-up.

    An exception that comes in a destructor, or in a library that asks for something that may not be there, is
    lost: the alarm interrupts what goes on then.
    """
    for each in ENDS:
        signal.signal(each, _nothing)  # one that came already, and is ignored now, Python would complain of
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
    raise KeyboardInterrupt


def _nothing(number: int, frame: object) -> None:
    """Note that it ends already."""


def _end_with_stdin() -> None:
    """End the process when its parent closes the pipe, or dies."""

    def watch() -> None:
        try:
            while os.read(0, 4096):  # whatever it says; `sys.stdin` has a lock, which the end of Python needs
                pass
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    start_thread(threading.Thread(target=watch, name="pymilk-stdin", daemon=True))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split("x"))


def _options(arguments: list[str] | None) -> CameraOptions | LoopOptions:
    parser = argparse.ArgumentParser(prog="python -m pymilk.simulate", description=__doc__)
    parser.add_argument("name", help="stream to create")
    parser.add_argument("--kind", default="shack-hartmann")
    parser.add_argument("--shape", type=_shape, help="HEIGHTxWIDTH")
    parser.add_argument("--dtype")
    parser.add_argument("--rate", type=float, help="frames/s; 0: as fast as possible")
    parser.add_argument("--frames", type=int, help="stop publishing after so many")
    parser.add_argument("--ring", type=int, default=0, help="slots")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loop", action="store_true", help="a closed loop: NAME_wfs, NAME_dm, NAME_res")
    parser.add_argument("--gain", type=float, default=LoopOptions.gain)
    for each in fields(Faults):
        parser.add_argument(f"--{each.name}", type=float, default=0.0)
    chosen = vars(parser.parse_args(arguments))
    faults = Faults(**{each.name: chosen.pop(each.name) for each in fields(Faults)})
    loop, kinds = chosen.pop("loop"), (LoopOptions, CameraOptions)
    wanted = {each.name for each in fields(kinds[not loop])}
    given = {name: value for name, value in chosen.items() if name in wanted and value is not None}
    return LoopOptions(**given) if loop else CameraOptions(**given, faults=faults)


def main(arguments: list[str] | None = None) -> None:
    """Make the streams, say ``ready``, publish until a signal comes, or standard input ends."""
    try:
        options = _options(arguments)
        try:
            for number in (*ENDS, signal.SIGALRM):
                signal.signal(number, _end)
            with living(options) as camera:
                _end_with_stdin()
                print("ready", flush=True)
                camera.run()
                while True:
                    time.sleep(_LOOK_SECONDS)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except StreamError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass  # the way to end it
