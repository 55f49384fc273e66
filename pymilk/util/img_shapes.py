"""Orientation of images and cubes, under the names that existing scripts use. All of them return views.

`pymilk.axes` has the rules: symcode 0 is the identity, 1 flips axis 0, 2 flips axis 1, 3 both; 4 to 7
transpose first.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..axes import (
    Which3DState,
    decode,
    encode,
    gen_squeeze_unsqueeze_slices,
    image_decode,
    image_encode,
)
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

Array = npt.NDArray[Any]


class Which3DRoll(IntEnum):
    """Direction in which the stack axis of a cube is moved."""

    ROLL_FORW = 0
    ROLL_BACK = 1


def _cube(data: Array) -> Array:
    if np.ndim(data) != 3:
        raise StreamArgumentError(
            f"a cube has 3 axes, not {np.ndim(data)}", argument="data", found=np.shape(data)
        )
    return data


def cube_front_image_encode(data: Array, symcode: int) -> Array:
    """Turn the images of a cube whose stack axis is the first, from the user's to the stored form."""
    return image_encode(_cube(data), symcode, (1, 2))


def cube_front_image_decode(data: Array, symcode: int) -> Array:
    """Turn the images of a cube whose stack axis is the first, from the stored to the user's form."""
    return image_decode(_cube(data), symcode, (1, 2))


def cube_back_image_encode(data: Array, symcode: int) -> Array:
    """Turn the images of a cube whose stack axis is the last, from the user's to the stored form."""
    return image_encode(_cube(data), symcode)


def cube_back_image_decode(data: Array, symcode: int) -> Array:
    """Turn the images of a cube whose stack axis is the last, from the stored to the user's form."""
    return image_decode(_cube(data), symcode)


def cube_roll_forw(data: Array) -> Array:
    """Move the last axis to the front."""
    return np.moveaxis(_cube(data), 2, 0)


def cube_roll_back(data: Array) -> Array:
    """Move the first axis to the end."""
    return np.moveaxis(_cube(data), 0, 2)


def full_cube_encode(cube: Array, symcode: int, tri_dim: int) -> Array:
    """Turn a cube from the user's to the stored form: symcode, then stack roll."""
    return encode(_cube(cube), symcode, tri_dim)


def full_cube_decode(cube: Array, symcode: int, tri_dim: int) -> Array:
    """Turn a cube from the stored to the user's form: stack roll, then symcode."""
    return decode(_cube(cube), symcode, tri_dim)
