"""Small pictures of frames, for notebooks."""

from __future__ import annotations

import numpy as np

from .._types import Array
from ..errors import LibraryMissingError
from .colours import colour_table, paint
from .levels import fractions, real_values, span
from .picture import fit, resample
from .png import png_bytes

__all__ = ["thumbnail"]

#: Rows and columns of pixels, at most; height of a frame with one axis, at least.
_ROOM = (160, 160)
_STRIP = 12

#: Percent of the pixels that are between black and white.
_PERCENT = 99.5


def thumbnail(frame: Array) -> bytes | None:
    """Return a frame as a small PNG, in grey, row 0 at the bottom.

    Parameters
    ----------
    frame : ndarray
        Of any shape; of more than two axes, its first plane.

    Returns
    -------
    bytes or None
        None for a frame without pixels or axes, one of events, and if Pillow is not installed.

    Notes
    -----
    At most 160x160 pixels of a frame are looked at, however large it is.
    """
    if not frame.ndim or not frame.size or frame.dtype.names:
        return None
    plane = frame.reshape(1, -1) if frame.ndim == 1 else frame[(0,) * (frame.ndim - 2)]
    window = fit((plane.shape[0], plane.shape[1]), _ROOM)
    height = max(window.height, _STRIP) if frame.ndim == 1 else window.height
    image = real_values(resample(plane, height, window.width, "nearest"))
    try:
        return png_bytes(
            np.ascontiguousarray(paint(fractions(image, span(image, _PERCENT)), colour_table("gray"))[::-1])
        )
    except LibraryMissingError:
        return None
