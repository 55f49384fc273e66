"""Pictures as values of one kind: brightness of colours, and the way up that a file states."""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["COLOURS", "FURTHER", "TRANSPARENCY", "brightness", "turned"]

#: Notes for what is done.
COLOURS = "colours become brightness"
TRANSPARENCY = "transparency is left out"
FURTHER = "values beside the colours are left out"

#: What brightness is made of: red, green, blue (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114])


def brightness(colours: Array) -> Array:
    """Return the brightness of a picture of shape (height, width, 3 or more), in its own dtype."""
    bright = colours[..., :3] @ _GREY
    if colours.dtype.kind == "f":
        made: Array = bright.astype(colours.dtype)
        return made
    limits = np.iinfo(colours.dtype)
    whole = np.rint(bright)
    made = whole.astype(colours.dtype)
    made[whole >= limits.max] = limits.max  # of 64 bits, where floats round up
    return made


def turned(picture: Array, orientation: int) -> Array:
    """Turn a picture the way up that tag Orientation of TIFF and Exif states: 1 to 8. A view."""
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture
