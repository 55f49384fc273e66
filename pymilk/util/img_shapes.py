"""Orientation of images and cubes, under the names that existing scripts use. All of them return views.

`pymilk.axes` has the rules: symcode 0 is the identity, 1 flips axis 0, 2 flips axis 1, 3 both; 4 to 7
transpose first.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from .. import axes
from .._types import Array
from ..axes import Which3DState
from ..errors import StreamArgumentError

__all__ = [
    "Which3DRoll",
    "Which3DState",
    "cube_back_image_decode",
    "cube_back_image_encode",
    "cube_front_image_decode",
    "cube_front_image_encode",
    "cube_roll_back",
    "cube_roll_forw",
    "full_cube_decode",
    "full_cube_encode",
    "gen_squeeze_unsqueeze_slices",
    "image_decode",
    "image_encode",
]


class Which3DRoll(IntEnum):
    """Direction in which the stack axis of a cube is moved."""

    ROLL_FORW = 0
    ROLL_BACK = 1


def image_encode(im: Array, s: int) -> Array:
    """Turn an image from the user's to the stored form: transpose if 4 is in `s`, then flip."""
    return axes.image_encode(im, s)


def image_decode(x: Array, s: int) -> Array:
    """Turn an image from the stored to the user's form: the inverse of `image_encode`."""
    return axes.image_decode(x, s)


def gen_squeeze_unsqueeze_slices(shape_orig: tuple[int, ...], autoSqueeze: bool) -> tuple[Any, Any]:
    """Return the indices that drop axes of length 1, and those that bring them back: (read, write)."""
    return axes.gen_squeeze_unsqueeze_slices(shape_orig, autoSqueeze)


def _cube(data: Array) -> Array:
    if np.ndim(data) != 3:
        raise StreamArgumentError(
            f"a cube has 3 axes, not {np.ndim(data)}", argument="cube", found=np.shape(data)
        )
    return data


def cube_front_image_encode(cube: Array, s: int) -> Array:
    """Turn the images of a cube whose stack axis is the first, from the user's to the stored form."""
    return axes.image_encode(_cube(cube), s, (1, 2))


def cube_front_image_decode(cube: Array, s: int) -> Array:
    """Turn the images of a cube whose stack axis is the first, from the stored to the user's form."""
    return axes.image_decode(_cube(cube), s, (1, 2))


def cube_back_image_encode(cube: Array, s: int) -> Array:
    """Turn the images of a cube whose stack axis is the last, from the user's to the stored form."""
    return axes.image_encode(_cube(cube), s)


def cube_back_image_decode(cube: Array, s: int) -> Array:
    """Turn the images of a cube whose stack axis is the last, from the stored to the user's form."""
    return axes.image_decode(_cube(cube), s)


def cube_roll_forw(cube: Array) -> Array:
    """Move the last axis to the front."""
    return np.moveaxis(_cube(cube), 2, 0)


def cube_roll_back(cube: Array) -> Array:
    """Move the first axis to the end."""
    return np.moveaxis(_cube(cube), 0, 2)


def full_cube_encode(cube: Array, s: int, tri_dim: int) -> Array:
    """Turn a cube from the user's to the stored form: symcode, then stack roll."""
    return axes.encode(_cube(cube), s, tri_dim)


def full_cube_decode(cube: Array, s: int, tri_dim: int) -> Array:
    """Turn a cube from the stored to the user's form: stack roll, then symcode."""
    return axes.decode(_cube(cube), s, tri_dim)
