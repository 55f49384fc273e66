"""Orientation of frames: `symcode`, stack axis and squeezing, as strided views. Never copies pixels.

The file stores ``size[0]`` fastest. Seen as it is stored, a frame is a *raw* array of shape ``size``
whose first index runs fastest (Fortran order). What a user sees is made from it in this order:

1. squeeze: axes of length 1 are dropped, if asked for;
2. stack roll: in 3D, the stack axis is moved (`Which3DState`);
3. symcode: each image is transposed and flipped.

Writing goes the other way. The default, symcode 4, transposes: a 2D image in C order keeps its bytes, and
``size[0]`` is the last NumPy axis.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from ._types import Array
from .arguments import bad_argument, is_number

__all__ = [
    "Orientation",
    "Which3DState",
    "decode",
    "encode",
    "gen_squeeze_unsqueeze_slices",
    "image_decode",
    "image_encode",
]


class Which3DState(IntEnum):
    """Where the stack axis of a 3D stream is: for the user, and in the file.

    `LAST2FRONT` is last for the user and first in the file.
    """

    LAST2LAST = 0
    LAST2FRONT = 1
    FRONT2FRONT = 2
    FRONT2LAST = 3


def check_symcode(symcode: int) -> int:
    """Return `symcode` if it is one of the eight, else raise `StreamArgumentError`."""
    if not (isinstance(symcode, bool) or is_number(symcode)) or symcode not in range(8):
        wanted = "0 to 7 (0 as stored, +1 flips axis 0, +2 flips axis 1, +4 transposes first)"
        raise bad_argument("symcode", symcode, wanted)
    return int(symcode)


def check_tri_dim(tri_dim: int) -> Which3DState:
    """Return the `Which3DState` of that value, or raise `StreamArgumentError`."""
    try:
        return Which3DState(tri_dim)
    except (ValueError, TypeError):  # TypeError: arrays of structures, which do not compare
        wanted = f"one of {', '.join(state.name for state in Which3DState)}"
        raise bad_argument("triDim", tri_dim, wanted) from None


def image_encode(image: Array, symcode: int, axes: tuple[int, int] = (0, 1)) -> Array:
    """Turn an image from the user's to the stored form: transpose if 4 is in `symcode`, then flip.

    Parameters
    ----------
    image : ndarray
    symcode : int
        0 to 7.
    axes : (int, int), default (0, 1)
        The two axes of the image; there may be others.

    Returns
    -------
    ndarray
        A view.
    """
    symcode = check_symcode(symcode)
    view = image.swapaxes(*axes) if symcode & 4 else image
    if symcode & 1:
        view = np.flip(view, axes[0])
    if symcode & 2:
        view = np.flip(view, axes[1])
    return view


def image_decode(image: Array, symcode: int, axes: tuple[int, int] = (0, 1)) -> Array:
    """Turn an image from the stored to the user's form: the inverse of `image_encode`. A view."""
    symcode = check_symcode(symcode)
    view = image
    if symcode & 1:
        view = np.flip(view, axes[0])
    if symcode & 2:
        view = np.flip(view, axes[1])
    return view.swapaxes(*axes) if symcode & 4 else view


def encode(array: Array, symcode: int, tri_dim: int) -> Array:
    """Turn a frame of the user into its raw form: symcode, then stack roll. A view.

    Arrays of 2 and 3 axes have an orientation; others are returned as they are.
    """
    check_symcode(symcode)
    state = check_tri_dim(tri_dim)
    if array.ndim == 2:
        return image_encode(array, symcode)
    if array.ndim != 3:
        return array
    if state is Which3DState.LAST2LAST:
        return image_encode(array, symcode)
    if state is Which3DState.LAST2FRONT:
        return np.moveaxis(image_encode(array, symcode), 2, 0)
    front = image_encode(array, symcode, (1, 2))
    return front if state is Which3DState.FRONT2FRONT else np.moveaxis(front, 0, 2)


def decode(raw: Array, symcode: int, tri_dim: int) -> Array:
    """Turn a raw frame into what the user sees: stack roll, then symcode. A view."""
    check_symcode(symcode)
    state = check_tri_dim(tri_dim)
    if raw.ndim == 2:
        return image_decode(raw, symcode)
    if raw.ndim != 3:
        return raw
    if state is Which3DState.LAST2LAST:
        return image_decode(raw, symcode)
    if state is Which3DState.LAST2FRONT:
        return image_decode(np.moveaxis(raw, 0, 2), symcode)
    if state is Which3DState.FRONT2FRONT:
        return image_decode(raw, symcode, (1, 2))
    return image_decode(np.moveaxis(raw, 2, 0), symcode, (1, 2))


def gen_squeeze_unsqueeze_slices(
    shape: tuple[int, ...], autoSqueeze: bool = True
) -> tuple[Any, Any]:
    """Return the indices that drop axes of length 1, and those that bring them back.

    Parameters
    ----------
    shape : tuple of int
    autoSqueeze : bool, default True
        False gives indices that change nothing.

    Returns
    -------
    (read, write)
        ``array[read]`` has no axes of length 1, and ``array[read][write]`` has the shape of `array`.
    """
    if not autoSqueeze:
        return Ellipsis, Ellipsis
    read = tuple(0 if axis == 1 else slice(None) for axis in shape)
    write = tuple(None if axis == 1 else slice(None) for axis in shape)
    return read, write


def _flip(array: Array, axes: tuple[int, ...]) -> Array:
    # NumPy's flip without axes turns an array without axes into a scalar, which is not a view.
    return np.flip(array, axes) if axes else array


class Orientation:
    """How frames of one stream are turned for the user; worked out once, applied as a view.

    Parameters
    ----------
    shape : tuple of int
        Of the stream in C order, slowest axis first.
    symcode : int, default 4
    tri_dim : Which3DState, default LAST2LAST
    squeeze : bool, default False
        Drop axes of length 1.

    Attributes
    ----------
    shape : tuple of int
        Of a frame as the user sees it.
    identity : bool
        The user sees frames as the stream has them in C order, and no view is needed.
    axes : tuple of int
        For each axis of `shape`, the axis of the stream that it is.
    flipped : tuple of int
        Axes of `shape` that run backwards.
    stream_shape : tuple of int
    symcode, tri_dim, squeeze
        As given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        symcode: int = 4,
        tri_dim: int = Which3DState.LAST2LAST,
        squeeze: bool = False,
    ) -> None:
        if not isinstance(shape, tuple):
            raise bad_argument("shape", shape, "a tuple, the shape of a frame as it is stored")
        self.stream_shape = shape
        self.symcode = check_symcode(symcode)
        self.tri_dim = int(check_tri_dim(tri_dim))
        self.squeeze = bool(squeeze)
        self._naxis = len(shape)
        self._dropped = [axis for axis in range(len(shape)) if squeeze and shape[axis] == 1]
        kept = [axis for axis in range(len(shape)) if axis not in self._dropped]
        # The strides of a small decoded frame show what decode does to any frame: their order is the order
        # of the axes, their sign tells the flips.
        probe = np.zeros((2,) * len(kept), np.uint8)
        seen = decode(probe.T, symcode, tri_dim)
        stored = {stride: axis for axis, stride in enumerate(probe.strides)}
        self._order = [stored[abs(stride)] for stride in seen.strides]
        self._flipped = [axis for axis, stride in enumerate(seen.strides) if stride < 0]
        self.axes = tuple(kept[axis] for axis in self._order)
        self.flipped = tuple(self._flipped)
        self.shape = tuple(shape[axis] for axis in self.axes)
        self.identity = (
            not self._dropped and not self._flipped and self._order == list(range(len(kept)))
        )

    def view(self, frames: Array) -> Array:
        """Turn frames of the stream, shape (..., *stream shape), into those the user sees. A view."""
        if self.identity:
            return frames
        lead = frames.ndim - self._naxis
        turned: Array = frames.squeeze(tuple(lead + axis for axis in self._dropped))
        turned = turned.transpose(*range(lead), *[lead + axis for axis in self._order])
        return _flip(turned, tuple(lead + axis for axis in self._flipped))

    def native(self, frames: Array) -> Array:
        """Turn frames of the user, shape (..., *shape), into those of the stream. A view."""
        if self.identity:
            return frames
        lead = frames.ndim - len(self._order)
        turned = _flip(frames, tuple(lead + axis for axis in self._flipped))
        back = np.argsort(self._order)
        turned = turned.transpose(*range(lead), *[lead + int(axis) for axis in back])
        return np.expand_dims(turned, [lead + axis for axis in self._dropped])
