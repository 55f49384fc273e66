"""Orientation codes and stack axes against a table written out index by index."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk.axes import (
    Orientation,
    Which3DState,
    decode,
    encode,
    image_decode,
    image_encode,
)
from pymilk.errors import StreamArgumentError

SYMCODES = range(8)
STATES = list(Which3DState)


def table_2d(raw: np.ndarray, symcode: int) -> np.ndarray:
    """What a user sees of raw (x, y), or of raw (x, y, rest), by index."""
    X, Y = raw.shape[:2]
    rule: list[Callable[[int, int], Any]] = [
        lambda i, j: raw[i, j],
        lambda i, j: raw[X - 1 - i, j],
        lambda i, j: raw[i, Y - 1 - j],
        lambda i, j: raw[X - 1 - i, Y - 1 - j],
        lambda i, j: raw[j, i],
        lambda i, j: raw[X - 1 - j, i],
        lambda i, j: raw[j, Y - 1 - i],
        lambda i, j: raw[X - 1 - j, Y - 1 - i],
    ]
    first, second = (X, Y) if symcode < 4 else (Y, X)
    return np.array([[rule[symcode](i, j) for j in range(second)] for i in range(first)])


def table_3d(raw: np.ndarray, symcode: int, state: Which3DState) -> np.ndarray:
    x, _, z = raw.shape
    if state is Which3DState.LAST2LAST:
        return table_2d(raw, symcode)
    if state is Which3DState.LAST2FRONT:
        return table_2d(np.stack([raw[k] for k in range(x)], axis=2), symcode)
    if state is Which3DState.FRONT2FRONT:
        return np.stack([table_2d(raw[k], symcode) for k in range(x)])
    return np.stack([table_2d(raw[:, :, k], symcode) for k in range(z)])


def counting(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape)


def test_states_have_the_values_that_scripts_use():
    assert [state.name for state in Which3DState] == [
        "LAST2LAST", "LAST2FRONT", "FRONT2FRONT", "FRONT2LAST",
    ]  # fmt: skip
    assert [int(state) for state in Which3DState] == [0, 1, 2, 3]


@pytest.mark.parametrize("symcode", SYMCODES)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 6), (1, 1)])
def test_images(symcode, shape):
    raw = counting(shape)
    seen = decode(raw, symcode, 0)
    np.testing.assert_array_equal(seen, table_2d(raw, symcode))
    np.testing.assert_array_equal(encode(seen, symcode, 0), raw)
    np.testing.assert_array_equal(image_encode(image_decode(raw, symcode), symcode), raw)
    assert np.shares_memory(seen, raw)
    assert np.shares_memory(encode(raw, symcode, 0), raw)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("symcode", SYMCODES)
def test_cubes(symcode, state):
    raw = counting((2, 3, 5))
    seen = decode(raw, symcode, state)
    np.testing.assert_array_equal(seen, table_3d(raw, symcode, state))
    np.testing.assert_array_equal(encode(seen, symcode, state), raw)
    np.testing.assert_array_equal(decode(encode(raw, symcode, state), symcode, state), raw)
    assert np.shares_memory(seen, raw)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("symcode", SYMCODES)
def test_any_two_axes(symcode, axes):
    array = counting((2, 3, 4))
    turned = image_encode(array, symcode, axes)
    np.testing.assert_array_equal(image_decode(turned, symcode, axes), array)
    moved = np.moveaxis(array, axes, (0, 1))
    expected = np.moveaxis(table_2d(moved, symcode), (0, 1), axes)
    np.testing.assert_array_equal(image_decode(array, symcode, axes), expected)


def test_codes_are_the_symmetries_of_a_square():
    raw = counting((3, 3))
    seen = {decode(raw, symcode, 0).tobytes() for symcode in SYMCODES}
    assert len(seen) == 8
    # The inverse of each code is a code, too.
    for symcode in SYMCODES:
        undone = [decode(decode(raw, symcode, 0), other, 0).tobytes() for other in SYMCODES]
        assert undone.count(raw.tobytes()) == 1


@pytest.mark.parametrize("symcode", SYMCODES)
def test_other_numbers_of_axes_have_no_orientation(symcode):
    for shape in ((), (7,)):
        array = counting(shape)
        for state in STATES:
            assert encode(array, symcode, state) is array
            assert decode(array, symcode, state) is array


@pytest.mark.parametrize("symcode", [-1, 8, 4.5, "4", None])
def test_bad_symcode(symcode):
    for call in (encode, decode):
        for shape in ((7,), (3, 5), (2, 3, 5)):
            with pytest.raises(StreamArgumentError, match="symcode") as caught:
                call(counting(shape), symcode, 0)
            assert (caught.value.argument, caught.value.found) == ("symcode", symcode)


@pytest.mark.parametrize("state", [-1, 4, "LAST2LAST", None])
def test_bad_stack_state(state):
    for call in (encode, decode):
        with pytest.raises(StreamArgumentError, match="LAST2LAST") as caught:
            call(counting((2, 3, 5)), 4, state)
        assert caught.value.argument == "triDim"


def user_view(stored: np.ndarray, symcode: int, state: Which3DState, squeeze: bool) -> np.ndarray:
    """The documented way from the C-ordered frame of a stream to the user's."""
    raw = stored.T
    return decode(raw.squeeze() if squeeze else raw, symcode, state)


@pytest.mark.parametrize(
    "shape", [(6,), (1,), (3, 5), (1, 5), (5, 1), (1, 1), (2, 3, 5), (1, 3, 5), (2, 1, 5), (2, 3, 1)]
)
@pytest.mark.parametrize("squeeze", [False, True])
def test_orientation_of_streams(shape, squeeze):
    stored = counting(shape)
    for symcode, state in itertools.product(SYMCODES, STATES):
        orientation = Orientation(shape, symcode, state, squeeze)
        expected = user_view(stored, symcode, state, squeeze)
        seen = orientation.view(stored)
        assert orientation.shape == seen.shape == expected.shape
        np.testing.assert_array_equal(seen, expected)
        assert np.shares_memory(seen, stored)
        back = orientation.native(seen)
        np.testing.assert_array_equal(back, stored)
        assert back.strides[-1] == stored.strides[-1] or shape[-1] == 1
        assert np.shares_memory(back, stored)
        if orientation.identity:
            assert seen is stored
            assert back is stored


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (1, 3, 5)])
def test_orientation_of_stacks_of_frames(shape):
    stored = counting((4, *shape))
    for symcode, state, squeeze in itertools.product(SYMCODES, STATES, (False, True)):
        orientation = Orientation(shape, symcode, state, squeeze)
        seen = orientation.view(stored)
        assert seen.shape == (4, *orientation.shape)
        for frame, raw in zip(seen, stored, strict=True):
            np.testing.assert_array_equal(frame, orientation.view(raw))
        np.testing.assert_array_equal(orientation.native(seen), stored)
        assert np.shares_memory(seen, stored)


def test_default_is_the_identity_for_images_and_vectors():
    assert Orientation((3, 5)).identity
    assert Orientation((3,)).identity
    assert not Orientation((2, 3, 5)).identity
    assert not Orientation((3, 5), 0).identity
    assert not Orientation((1, 5), squeeze=True).identity


def test_writing_through_a_view_reaches_the_frame():
    stored = np.zeros((3, 5))
    Orientation((3, 5), 7).view(stored)[0, 0] = 1
    assert stored.sum() == 1
