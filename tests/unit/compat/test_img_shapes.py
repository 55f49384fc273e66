"""The orientation functions under their familiar names."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.errors import StreamArgumentError
from pymilk.util import img_shapes
from pymilk.util.img_shapes import (
    Which3DRoll,
    Which3DState,
    cube_back_image_decode,
    cube_back_image_encode,
    cube_front_image_decode,
    cube_front_image_encode,
    cube_roll_back,
    cube_roll_forw,
    full_cube_decode,
    full_cube_encode,
    gen_squeeze_unsqueeze_slices,
    image_decode,
    image_encode,
)

IMAGE = np.arange(6).reshape(2, 3)
CUBE = np.arange(24).reshape(2, 3, 4)

#: What each code makes of an image, written down by hand.
ENCODED = {
    0: [[0, 1, 2], [3, 4, 5]],
    1: [[3, 4, 5], [0, 1, 2]],
    2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]],
    4: [[0, 3], [1, 4], [2, 5]],
    5: [[2, 5], [1, 4], [0, 3]],
    6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
}


@pytest.mark.parametrize("symcode", range(8))
def test_images(symcode: int) -> None:
    encoded = image_encode(IMAGE, symcode)
    assert encoded.tolist() == ENCODED[symcode]
    assert np.array_equal(image_decode(encoded, symcode), IMAGE)
    assert np.shares_memory(encoded, IMAGE)


@pytest.mark.parametrize("symcode", range(8))
def test_cubes_are_stacks_of_images(symcode: int) -> None:
    front = cube_front_image_encode(CUBE, symcode)
    back = cube_back_image_encode(CUBE, symcode)
    for k in range(2):
        assert np.array_equal(front[k], image_encode(CUBE[k], symcode))
    for k in range(4):
        assert np.array_equal(back[..., k], image_encode(CUBE[..., k], symcode))
    assert np.array_equal(cube_front_image_decode(front, symcode), CUBE)
    assert np.array_equal(cube_back_image_decode(back, symcode), CUBE)


def test_rolls() -> None:
    assert cube_roll_forw(CUBE).shape == (4, 2, 3)
    assert cube_roll_back(CUBE).shape == (3, 4, 2)
    assert np.array_equal(cube_roll_back(cube_roll_forw(CUBE)), CUBE)
    assert (Which3DRoll.ROLL_FORW, Which3DRoll.ROLL_BACK) == (0, 1)


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("state", Which3DState)
def test_full_cubes(symcode: int, state: Which3DState) -> None:
    stored = full_cube_encode(CUBE, symcode, state)
    assert np.array_equal(full_cube_decode(stored, symcode, state), CUBE)
    user_is_last = state in (Which3DState.LAST2LAST, Which3DState.LAST2FRONT)
    turned = (cube_back_image_encode if user_is_last else cube_front_image_encode)(CUBE, symcode)
    expected = {
        Which3DState.LAST2LAST: turned,
        Which3DState.LAST2FRONT: cube_roll_forw(turned),
        Which3DState.FRONT2FRONT: turned,
        Which3DState.FRONT2LAST: cube_roll_back(turned),
    }[state]
    assert np.array_equal(stored, expected)


@pytest.mark.parametrize("code", [-1, 8, 1.5, "4"])
def test_unknown_codes(code: object) -> None:
    for function in (image_encode, image_decode):
        with pytest.raises(ValueError, match="symcode is 0 to 7"):
            function(IMAGE, code)  # type: ignore[arg-type]
    for function in (
        cube_front_image_encode,
        cube_front_image_decode,
        cube_back_image_encode,
        cube_back_image_decode,
    ):
        with pytest.raises(StreamArgumentError):
            function(CUBE, code)  # type: ignore[arg-type]


def test_an_image_is_no_cube() -> None:
    for function in (cube_roll_forw, cube_roll_back):
        with pytest.raises(StreamArgumentError, match="3 axes"):
            function(IMAGE)
    with pytest.raises(StreamArgumentError, match="3 axes"):
        full_cube_encode(IMAGE, 4, 0)


@pytest.mark.parametrize("shape", [(1,), (5,), (5, 1), (1, 5), (1, 1), (1, 5, 1), (3, 4, 5)])
def test_squeezing(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    read, write = gen_squeeze_unsqueeze_slices(shape, True)
    assert 1 not in array[read].shape
    assert np.array_equal(np.asarray(array[read])[write], array)


def test_squeezing_left_out() -> None:
    assert gen_squeeze_unsqueeze_slices((1, 5), False) == (Ellipsis, Ellipsis)


def test_every_name_is_there() -> None:
    assert all(hasattr(img_shapes, name) for name in img_shapes.__all__)
