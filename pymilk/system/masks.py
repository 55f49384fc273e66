"""Arrays that callers give: masks are never dropped without a word."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..arraylike import ArrayLike
from ..errors import StreamArgumentError

__all__ = ["unmasked"]


def unmasked(given: Any, argument: str, dtype: np.dtype[Any] | None = None) -> Any:
    """Return the pixels of a masked array, or of an `ArrayLike`, as a plain array; anything else as it is.

    Masked pixels become NaN. Types without NaN are refused, unless nothing is masked.

    Parameters
    ----------
    given : object
    argument : str
        Its name, for messages.
    dtype : dtype, optional
        What the pixels will be converted to.

    Raises
    ------
    StreamArgumentError
        Pixels of integers are masked.
    """
    if isinstance(given, ArrayLike):
        return np.asarray(given)
    # NumPy imports masked arrays late. Where they were never imported there are none, and nothing is loaded:
    # neither in the middle of a first frame, nor by a user who may not read the library any more.
    if "numpy.ma" not in sys.modules or not isinstance(given, np.ma.MaskedArray):
        return given
    mask = np.ascontiguousarray(np.ma.getmaskarray(given)).view(np.bool_)  # of structured arrays each field
    if not mask.any():
        return given.data
    dtype = given.dtype if dtype is None else dtype
    if given.dtype.kind in "fc" and dtype.kind in "fc":
        return given.filled(np.nan)
    count = int(np.count_nonzero(mask))
    raise StreamArgumentError(
        f"{argument}: {count} pixels are masked, and {dtype} has no value for that; give "
        "array.filled(value), or floating-point pixels, where masked ones become NaN",
        argument=argument,
        found=dtype,
    )
