"""Images made smaller, of any kind of pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .._types import Array
from ..native.bins import bin_complex, bin_image

__all__ = ["shrunk"]


def shrunk(part: Array, down: int, across: int, how: Literal["mean", "max", "first"]) -> tuple[Array, bool]:
    """Make one pixel of each block of `down` rows by `across` columns.

    Parameters
    ----------
    part : ndarray, shape (rows, columns)
        Pixels of any kind.
    down, across : int
        1 and more.
    how : {"mean", "max", "first"}
        As `pymilk.native.bins.bin_image` has it, and `bin_complex` for complex numbers.

    Returns
    -------
    small : ndarray, shape (ceil(rows / down), ceil(columns / across))
        Of the same dtype; float16 becomes float32, bool uint8. `part` itself for blocks of one pixel.
    exact : bool
        Whether it is that.
    """
    if down == across == 1:
        return part, True
    if part.dtype == np.float16:
        part = part.astype(np.float32)
    if part.dtype == np.bool_:
        part = part.view(np.uint8)
    shape = (-(-part.shape[0] // down), -(-part.shape[1] // across))
    small = np.empty(shape, part.dtype)
    shrink = bin_complex if part.dtype.kind == "c" else bin_image
    shrink(part, small, down, across, how)
    return small, False
