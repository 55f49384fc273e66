"""A small adaptive-optics loop in streams: what the sensor sees, what the mirror does, and what is left."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

import numpy as np

from .._core import Stream
from ..arguments import NAMED, said_as
from .optics import ACTUATORS, SENSOR, Air, Controller, Sensor
from .options import LoopOptions

__all__ = ["Loop"]

#: End of the name, shape and dtype of each stream.
_STREAMS = (("wfs", SENSOR, np.uint16), ("dm", ACTUATORS, np.float32), ("res", (2,), np.float32))

#: Longest pause between two looks at signals, in seconds.
_LOOK = 0.05


class Loop:
    """The streams of a loop, and its iterations.

    Parameters
    ----------
    options : LoopOptions

    Attributes
    ----------
    wfs, dm, residual : Stream
        The frame of the sensor, 120x120 uint16; the command of the mirror, 11x11 float32, in micrometres of
        wavefront; and the rms of the wavefront behind the mirror and before it, 2 float32, in micrometres.

    Raises
    ------
    StreamError
        One of the streams cannot be made, or is in use.
    """

    def __init__(self, options: LoopOptions) -> None:
        self._options = options
        with ExitStack() as undo:
            made = []
            for end, shape, dtype in _STREAMS:
                with said_as(NAMED):
                    stream = Stream.create(f"{options.name}_{end}", shape, dtype, replace="if-free")
                undo.callback(stream.destroy)
                made.append(stream)
            undo.pop_all()
        self.wfs, self.dm, self.residual = made

    def run(self) -> None:
        """Iterate: see the air through the mirror as it is, and, with a gain, move the mirror."""
        options = self._options
        air = Air(options.rate, np.random.default_rng(options.seed))
        sensor, controller = Sensor(np.random.default_rng(options.seed + 1)), Controller(options.gain)
        due = time.monotonic()
        left = sys.maxsize if options.frames is None else options.frames
        for _ in range(left):
            mirror = self.dm.read()[0].astype(np.float64)
            before = air.step()
            behind = before - mirror
            frame = sensor.frame(behind)
            self.wfs.publish(frame)
            self.residual.publish(np.array([behind.std(), before.std()], np.float32))
            if options.gain:
                self.dm.publish(controller.next(frame, mirror).astype(np.float32))
            due = max(due + 1 / options.rate, time.monotonic() - 1 / options.rate)
            while (wait := due - time.monotonic()) > 0:
                time.sleep(min(wait, _LOOK))

    def destroy(self) -> None:
        """Delete the streams."""
        for stream in (self.wfs, self.dm, self.residual):
            stream.destroy()
