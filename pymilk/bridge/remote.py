"""Recordings of other machines, as they are told, and checked."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..axes import Orientation
from ..errors import BridgeMessageError
from ..native.formats import EVENT
from ..recording import orientation_of

__all__ = ["RemoteRecording", "read_recording"]


@dataclass(frozen=True)
class RemoteRecording:
    """A recording of another machine that has frames of the time asked for.

    Attributes
    ----------
    name : str
        Path within the folder that is served.
    begin, count : int
        Number of the first frame of that time, and how many there are.
    frames : int
        Of the whole recording.
    since, until : int
        Times of the first and the last of these frames: nanoseconds since 1970, UTC, by the clock there.
    lost : int
        Frames missing between them.
    dtype : str
    rows : str
        SHA-256 of their rows, as hexadecimal digits.
    complete : bool
        Whether the recording is complete.
    keywords : list
        Name, value, comment of each.
    stream_shape : tuple of int
    symcode, tri_dim : int
    squeeze : bool
        How the frames of the stream are seen.
    """

    name: str
    begin: int
    count: int
    frames: int
    since: int
    until: int
    lost: int
    dtype: str
    rows: str
    complete: bool
    keywords: list[Any]
    stream_shape: tuple[int, ...]
    symcode: Any
    tri_dim: Any
    squeeze: Any

    @property
    def orientation(self) -> Orientation:
        """Return how frames are seen."""
        return orientation_of(asdict(self), self.name)

    @property
    def frame_nbytes(self) -> int:
        """Return the bytes of a frame."""
        return math.prod(self.stream_shape) * np.dtype(self.dtype).itemsize


def read_recording(given: Any) -> RemoteRecording:
    """Check what is told of a recording."""
    try:
        shape = tuple(given["stream_shape"])
        found = RemoteRecording(**{**given, "stream_shape": shape})
        numbers = (found.begin, found.count, found.frames, found.since, found.until, found.lost, *shape)
        texts = (found.name, found.dtype, found.rows)
        words = [(str(name), value, str(comment)) for name, value, comment in found.keywords]
        usable = (
            1 <= len(shape) <= 3 and all(type(each) is int and 0 <= each < 2**62 for each in numbers)
            and found.count > 0 and min(shape) > 0 and all(isinstance(each, str) for each in texts)
            and found.name.isprintable()
            and (np.dtype(found.dtype).kind in "uifcb" or np.dtype(found.dtype) == EVENT)
            and all(isinstance(value, (int, float, str, type(None))) for _, value, _ in words)
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise BridgeMessageError("what is told of a recording was refused: it is none")
    found.orientation  # noqa: B018 - raises if there is none
    return found
