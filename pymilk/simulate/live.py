"""Simulated cameras and loops that are there for the time of a block, and gone behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .._core import Stream
from ..arguments import NAMED, said_as
from ..system.signals import held_signals, unbroken
from .loop import Loop
from .options import CameraOptions, LoopOptions
from .publishing import Publisher
from .scenes import SceneFrames

__all__ = ["living"]


def _camera(options: CameraOptions) -> Publisher:
    shape, dtype = options.scene()
    frames = SceneFrames(options.kind, shape, dtype, options.seed)

    def make(again: bool) -> Stream:
        with said_as(NAMED):
            return Stream.create(
                options.name, shape, dtype, cb_size=options.ring, replace=True if again else "if-free"
            )

    limit = sys.maxsize if options.frames is None else options.frames
    return Publisher(make, frames, options.rate, limit, options.faults)


@contextmanager
def living(options: CameraOptions | LoopOptions) -> Iterator[Publisher | Loop]:
    """Make streams for a block, and delete them behind it.

    Parameters
    ----------
    options : CameraOptions or LoopOptions

    Yields
    ------
    Publisher or Loop
        Its ``run()`` publishes.

    Raises
    ------
    StreamError
        The streams cannot be made; there are none then.
    """
    with ExitStack() as undo:
        with held_signals():  # until the streams are sure to be deleted at the end
            made = Loop(options) if isinstance(options, LoopOptions) else _camera(options)
            undo.callback(unbroken, made.destroy)
        yield made
