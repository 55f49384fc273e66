"""The memory that frames are captured into."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import allocate, prefault, turn_copy
from ..axes import Orientation
from ..errors import FrameMismatchError
from ..streams.buffers import as_target

__all__ = ["destination", "finish", "make_pages"]

#: Bytes whose pages are made at a time: signals are heeded in between.
_AT_ONCE = 64 * 2**20


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
        cube = allocate(shape, dtype, 0)
        make_pages(cube, 0, shape[0] if ready is None else ready)
        return cube, None
    out = as_target(out, (shape[0], *orientation.shape), dtype, name)
    native = orientation.native(out)
    if native.flags.c_contiguous:
        make_pages(native, 0, len(native))
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
    cube = allocate(shape, dtype, 0)
    make_pages(cube, 0, len(cube))
    return cube, out


def make_pages(cube: npt.NDArray[Any], start: int, stop: int) -> None:
    """Make the kernel provide the pages of frames now, piece by piece, so that Ctrl-C ends it.

    Parameters
    ----------
    cube : ndarray
        C-contiguous and writable.
    start, stop : int
        Along the first axis.

    Raises
    ------
    CaptureMemoryError
        As `prefault`.
    """
    frame = max(cube[:1].nbytes, 1)
    step = max(1, _AT_ONCE // frame)
    for at in range(start, stop, step):
        prefault(cube[at : min(at + step, stop)])


def finish(
    orientation: Orientation, cube: npt.NDArray[Any], out: npt.NDArray[Any] | None, count: int
) -> None:
    """Turn the first frames of the cube into the memory of the user, unless they are there already."""
    if out is not None and not np.may_share_memory(out, cube):
        turn_copy(out[:count], orientation.view(cube[:count]))
