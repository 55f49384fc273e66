"""`Reading`: the frames of one `RingReader.read`, from the first copy until they are handed over."""

from __future__ import annotations

from time import monotonic
from typing import Any

import numpy as np

from .._core import Rows
from .._types import Array
from ..axes import Orientation
from ..capture import Capture, destination, finish, finished_capture

__all__ = ["Reading"]

_empty = np.empty

#: Cubes up to this size, in bytes, come from NumPy; pages of larger ones are made before they are filled.
_SMALL = 1 << 17


class Reading:
    """Memory for frames that are copied out of a ring.

    Parameters
    ----------
    name : str
        Of the stream.
    orientation : Orientation
        How the user sees frames.
    count : int
        Frames wanted.
    shape : tuple of int
        Of a frame in the stream.
    dtype : dtype
    nbytes : int
        Bytes of a frame.
    out : array or buffer, optional
        Where the user wants them.

    Attributes
    ----------
    cube : ndarray, shape (count, *shape)
        Where frames are copied to.
    rows : Rows
        Their rows.
    began : float
        Of `time.monotonic`.

    Raises
    ------
    FrameMismatchError, CaptureMemoryError
        `out` does not fit, or there is no memory.
    """

    __slots__ = ("_name", "_orientation", "_out", "began", "cube", "rows")

    cube: Array
    rows: Rows

    def __init__(
        self,
        name: str,
        orientation: Orientation,
        count: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        nbytes: int,
        out: Any,
    ) -> None:
        self._name = name
        self._orientation = orientation
        if out is None and count * nbytes <= _SMALL:
            self.cube, self._out = _empty((count, *shape), dtype), None
        else:
            self.cube, self._out = destination(name, orientation, (count, *shape), dtype, out)
        self.rows = Rows(count)
        self.began = monotonic()

    def capture(self, done: int) -> Capture:
        """Return the first frames as a finished capture."""
        cube, out, info, orientation = self.cube, self._out, self.rows.array, self._orientation
        count = len(info)
        if out is not None:
            finish(orientation, cube, out, done)
        if done < count:
            cube, info = cube[:done], info[:done]
            out = None if out is None else out[:done]
        frames = orientation.view(cube) if out is None else out
        return finished_capture(self._name, count, frames, info, orientation, monotonic() - self.began)
