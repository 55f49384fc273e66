"""Memory that callers give for frames: arrays, objects with the buffer protocol, DLPack on the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import Stream
from .._types import Array
from ..arraylike import ArrayLike
from ..errors import FrameMismatchError
from ..system.arrays import on_gpu

__all__ = ["as_target"]


def as_target(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    """Return writable memory of a caller as an array of this shape and dtype; nothing is copied.

    Parameters
    ----------
    out : ndarray, buffer, or object with ``__dlpack__``
        An array has the shape and dtype asked for. Memory without a shape (bytearray, mmap, shared memory,
        ctypes arrays) has as many bytes.
    shape : tuple of int
    dtype : dtype
    name : str
        Of the stream, for messages.

    Raises
    ------
    FrameMismatchError
        It has another shape or dtype, is read-only, is on a GPU, or is not memory.
    """
    target = out if isinstance(out, np.ndarray) else _viewed(out, shape, dtype, name)
    for field, expected, found in (
        ("shape", shape, target.shape),
        ("dtype", dtype, target.dtype),
        ("writeable", True, target.flags.writeable),
    ):
        if expected != found:
            raise FrameMismatchError(
                f"stream {name!r}: out has {field} {found}, needed is {expected}",
                stream=name,
                field=field,
                expected=expected,
                found=found,
            )
    return target


def _viewed(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    """Return an array over memory that is not an array."""
    kind = type(out).__name__
    try:
        array = np.asarray(memoryview(out))
    except TypeError:
        why = "is on a GPU" if on_gpu(out) else "has no memory"
        try:
            # What DLPack hands over of these may be a copy, which nobody would see.
            own = isinstance(out, (ArrayLike, Stream)) or not hasattr(out, "__dlpack_device__")
            handed_over = None if own or on_gpu(out) else np.from_dlpack(out)
        except Exception as error:  # noqa: BLE001 (told by the error below)
            handed_over, why = None, f"cannot be used: {error}"
        if handed_over is None:
            raise FrameMismatchError(
                f"stream {name!r}: out is an array, or has the buffer protocol or DLPack on the CPU; "
                f"{kind} {why}",
                stream=name,
                field="dtype",
                expected="array",
                found=kind,
            ) from None
        array = handed_over
    except ValueError as error:
        raise FrameMismatchError(
            f"stream {name!r}: out ({kind}) is not usable: {error}", stream=name, field="dtype", found=kind
        ) from None
    nbytes = math.prod(shape) * dtype.itemsize
    plain = array.ndim == 1 and (array.dtype == dtype or array.dtype.itemsize == 1)
    if plain and array.dtype.kind in "biufc" and array.nbytes == nbytes and array.flags.c_contiguous:
        return array.view(dtype).reshape(shape)
    return array
