"""Where geometry stands in a header, and every way into the memory of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pymilk._core import IMAGETYPES, Stream

SHAPE = (64, 64)
TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]

#: Where geometry stands in the header: name, offset, format.
GEOMETRY = [
    ("naxis", 112, "<B"),
    ("size0", 116, "<I"),
    ("size1", 120, "<I"),
    ("size2", 124, "<I"),
    ("nelement", 128, "<Q"),
    ("datatype", 136, "<B"),
    ("sem", 258, "<H"),
    ("NBkw", 290, "<H"),
    ("CBsize", 292, "<I"),
]


def temporal(make_stream: Callable[..., Stream], name: str = "cube") -> Stream:
    return make_stream(name, (8, *SHAPE), np.uint16, imagetype=TEMPORAL)


def publish_series(stream: Stream) -> None:
    stream.publish_many(np.ones((2, *stream.frame_shape), stream.dtype))


def claim(stream: Stream) -> None:
    with stream.claim() as frame:
        frame[:] = 1


#: Every way into the memory of a stream, by name.
USES: dict[str, Callable[[Stream], Any]] = {
    "read": lambda s: s.read(),
    "copy_frame": lambda s: s.copy_frame(np.empty(s.frame_shape, s.dtype)),
    "wait": lambda s: s.wait(1.0),
    "wait for the counter": lambda s: s.wait(1.0, after=s.counter),
    "receive": lambda s: s.receive(np.empty((3, *s.frame_shape), s.dtype), timeout=1.0),
    "publish": lambda s: s.publish(np.ones(s.frame_shape, s.dtype)),
    "publish turned": lambda s: s.publish(np.ones(s.frame_shape[::-1], s.dtype).T),
    "publish_many": publish_series,
    "claim": claim,
    "announce": lambda s: s.announce(),
    "counter": lambda s: s.counter,
    "post": lambda s: s.post(),
    "flush": lambda s: s.flush(),
    "sem_wait": lambda s: s.sem_wait(0, 1.0),
    "sem_values": lambda s: s.sem_values(),
    "read_keywords": lambda s: s.read_keywords() or s.counter,
    "write_keywords": lambda s: s.write_keywords([("A", 1)]),
    "view": lambda s: s.view().sum() and s.counter,
}


def made_in_place(path: str, other: str) -> None:
    """Copy a stream over another one, in the same file, as `cp` does: in pieces, the header first."""
    with open(other, "rb") as source, open(path, "r+b", buffering=0) as target:
        target.truncate(0)
        while piece := source.read(4096):
            target.write(piece)
            time.sleep(0.004)
