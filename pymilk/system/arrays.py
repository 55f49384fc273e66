"""Arrays that callers give.

Masks are never dropped without a word, and what cannot be read as an array is refused in words.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..arraylike import ArrayLike
from ..errors import StreamArgumentError

__all__ = ["HOST_DEVICES", "as_pixels", "on_gpu", "unmasked"]

#: Devices of DLPack whose memory a processor can use: CPU, and pinned or managed memory of a GPU.
HOST_DEVICES = (1, 3, 11, 13)


def on_gpu(given: Any) -> bool:
    """Return whether an object says that its memory is one that the processor cannot use."""
    if isinstance(given, type):
        return False
    try:
        device = getattr(given, "__dlpack_device__", None)
        if device is None:
            return hasattr(given, "__cuda_array_interface__")
        return device()[0] not in HOST_DEVICES
    except Exception:  # noqa: BLE001 (tensors of torch on its device "meta" say nothing, but raise)
        return False


def as_pixels(given: Any, argument: str, dtype: np.dtype[Any] | None = None) -> np.ndarray[Any, Any]:
    """Return what `numpy.asarray` makes of an object; masks as `unmasked` treats them.

    Parameters
    ----------
    given : object
        An array is returned as it is. Others may be copied: lists, what has the buffer protocol or
        ``__array__``, and DLPack of the memory of the processor.
    argument, dtype
        As for `unmasked`.

    Raises
    ------
    StreamArgumentError
        It cannot be read as an array: lists of unequal lengths, arrays on a GPU that their library does not
        copy by itself, objects whose own conversion fails.
    """
    given = unmasked(given, argument, dtype)
    if isinstance(given, np.ndarray):
        return given
    handed_over = hasattr(given, "__dlpack__") and not hasattr(given, "__array__")
    try:
        if handed_over and on_gpu(given):
            raise BufferError("its library copies nothing by itself")
        return np.from_dlpack(given) if handed_over else np.asarray(given)
    except MemoryError:
        raise
    except Exception as error:
        told = f"cannot be read as an array: {error}"
        if on_gpu(given):
            told = "is on a GPU; copy it first: tensor.cpu() of torch, array.get() of CuPy"
        raise StreamArgumentError(
            f"{argument} ({type(given).__name__}) {told}", argument=argument, found=type(given)
        ) from error


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
