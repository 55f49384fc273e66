"""The memory that frames are captured into."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import allocate, prefault, turn_copy
from ..axes import Orientation
from ..errors import FrameMismatchError
from ..streams.buffers import as_target

__all__ = ["destination", "finish"]


def destination(
    name: str,
    orientation: Orientation,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Any,
    ready: int | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Return the cube that frames are received into: C-contiguous, pre-faulted, axes of the stream.

    Parameters
    ----------
    name : str
        Of the stream.
    orientation : Orientation
        How the user sees frames.
    shape : tuple of int
        (n, *shape of a frame in the stream).
    dtype : dtype
        Of the stream.
    out : array or buffer, shape (n, *orientation.shape), optional
        Memory of the user: see `as_target`.
    ready : int, optional
        Pre-fault so many frames of a new cube only.

    Returns
    -------
    (ndarray, ndarray or None)
        The cube, which is a view of `out` if that is possible; and `out` as an array.

    Raises
    ------
    FrameMismatchError
        `out` does not fit.
    CaptureMemoryError
        The frames need more memory than there is.

    See Also
    --------
    finish : to be called with the same arguments once the frames are there.
    """
    if out is None:
        return allocate(shape, dtype, ready), None
    out = as_target(out, (shape[0], *orientation.shape), dtype, name)
    native = orientation.native(out)
    if native.flags.c_contiguous:
        prefault(native)
        return native, out
    if not (out.flags.c_contiguous or out.flags.f_contiguous):
        raise FrameMismatchError(
            f"stream {name!r}: out has to be contiguous",
            stream=name,
            field="order",
            expected="contiguous",
            found=str(out.strides),
        )
    # The orientation turns pixels within `out`: receive into another cube, and turn it at the end.
    return allocate(shape, dtype), out


def finish(
    orientation: Orientation, cube: npt.NDArray[Any], out: npt.NDArray[Any] | None, count: int
) -> None:
    """Turn the first frames of the cube into the memory of the user, unless they are there already."""
    if out is not None and not np.may_share_memory(out, cube):
        turn_copy(out[:count], orientation.view(cube[:count]))
