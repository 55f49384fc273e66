"""Axes of `SHM`: orientation, squeeze, cubes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Which3DState
from support import isio_format
from support.camera import Camera, numbers


def test_attach_drops_axes_of_length_one(make):
    data = numbers((1, 5, 1))
    created = make("cam", data)
    assert created.shape == (1, 5, 1)
    assert make("cam", autoSqueeze=False).shape == (1, 5, 1)
    squeezed = make("cam")
    assert (squeezed.shape, squeezed.nDim) == ((5,), 1)
    np.testing.assert_array_equal(squeezed.get_data(), data[0, :, 0])
    np.testing.assert_array_equal(squeezed.get_data(copy=False), data[0, :, 0])
    squeezed.set_data(data[0, :, 0] * 2)
    np.testing.assert_array_equal(created.get_data(), data * 2)
    with Camera("cam"):
        assert squeezed.capture(3).frames.shape == (3, 5)
        assert created.capture(3).frames.shape == (3, 1, 5, 1)
        assert squeezed.capture(2, np.zeros((2, 5), np.float32)).frames.shape == (2, 5)


def test_squeezed_image_keeps_its_orientation(make):
    data = numbers((4, 6, 1))
    for symcode in range(8):
        make("cam", data, symcode=symcode)
        np.testing.assert_array_equal(make("cam", symcode=symcode).get_data(), data[:, :, 0])


def seen_2d(raw: np.ndarray, symcode: int) -> np.ndarray:
    """What a user sees of r, indexed r[i, j] with i the fast axis; written out index by index."""
    X, Y = raw.shape[:2]
    rule: dict[int, Callable[[int, int], Any]] = {
        0: lambda i, j: raw[i, j],
        1: lambda i, j: raw[X - 1 - i, j],
        2: lambda i, j: raw[i, Y - 1 - j],
        3: lambda i, j: raw[X - 1 - i, Y - 1 - j],
        4: lambda i, j: raw[j, i],
        5: lambda i, j: raw[X - 1 - j, i],
        6: lambda i, j: raw[j, Y - 1 - i],
        7: lambda i, j: raw[X - 1 - j, Y - 1 - i],
    }
    shape = (X, Y) if symcode < 4 else (Y, X)
    return np.array([[rule[symcode](i, j) for j in range(shape[1])] for i in range(shape[0])])


def seen_3d(raw: np.ndarray, symcode: int, state: int) -> np.ndarray:
    """The same in 3D: raw (x, y, z); the stack axis moves, then each image is turned."""
    x, _, z = raw.shape
    if state == 0:
        return seen_2d(raw, symcode)
    if state == 1:
        return seen_2d(np.stack([raw[k] for k in range(x)], axis=-1), symcode)
    if state == 2:
        return np.stack([seen_2d(raw[k], symcode) for k in range(x)])
    return np.stack([seen_2d(raw[:, :, k], symcode) for k in range(z)])


def raw_of(shm: SHM) -> np.ndarray:
    """Return the frame as it is stored: first index fastest."""
    content = isio_format.decode(Path(shm.FILEPATH).read_bytes(), check_padding=False)
    pixels = np.frombuffer(content.pixels, isio_format.DATATYPES[content.datatype])
    return pixels.reshape(content.size[: content.naxis], order="F")


@pytest.mark.parametrize("symcode", range(8))
def test_orientation_of_images(make, symcode):
    data = numbers((3, 5))
    shm = make("cam", data, symcode=symcode)
    raw = raw_of(shm)
    np.testing.assert_array_equal(seen_2d(raw, symcode), data)
    assert shm.shape == (3, 5)
    assert shm.shape_c == raw.shape == ((5, 3) if symcode & 4 else (3, 5))
    other = make("cam", symcode=symcode)
    np.testing.assert_array_equal(other.get_data(), data)
    np.testing.assert_array_equal(other.get_data(copy=False), data)
    other.set_data(data * 2)
    np.testing.assert_array_equal(seen_2d(raw_of(shm), symcode), data * 2)
    for code in range(8):
        np.testing.assert_array_equal(make("cam", symcode=code).get_data(), seen_2d(raw, code) * 2)


@pytest.mark.parametrize("state", list(Which3DState))
@pytest.mark.parametrize("symcode", range(8))
def test_orientation_of_cubes(make, symcode, state):
    data = numbers((2, 3, 5))
    shm = make("cam", data, symcode=symcode, triDim=state)
    raw = raw_of(shm)
    np.testing.assert_array_equal(seen_3d(raw, symcode, state), data)
    assert shm.shape_c == raw.shape
    other = make("cam", symcode=symcode, triDim=state)
    np.testing.assert_array_equal(other.get_data(), data)
    np.testing.assert_array_equal(other.get_data(copy=False), data)
    other.set_data(data * 2)
    np.testing.assert_array_equal(seen_3d(raw_of(shm), symcode, state), data * 2)
    for reading in Which3DState:
        seen = make("cam", symcode=symcode, triDim=reading).get_data()
        np.testing.assert_array_equal(seen, seen_3d(raw, symcode, reading) * 2)


@pytest.mark.parametrize("symcode", range(8))
def test_vectors_have_no_orientation(make, symcode):
    for state in Which3DState:
        shm = make("cam", numbers((7,)), symcode=symcode, triDim=state)
        np.testing.assert_array_equal(shm.get_data(), numbers((7,)))
        np.testing.assert_array_equal(raw_of(shm), numbers((7,)))


def test_default_orientation_keeps_the_bytes_of_an_image(make):
    data = numbers((3, 5))
    shm = make("cam", data)
    content = isio_format.decode(Path(shm.FILEPATH).read_bytes(), check_padding=False)
    assert content.pixels == data.tobytes()
    assert content.size == [5, 3, 0]


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5)])
def test_captured_cube_is_turned_without_a_second_pass(make, symcode, shape):
    make("cam", ((shape), np.float32), symcode=symcode, triDim=Which3DState.FRONT2LAST)
    shm = make("cam", symcode=symcode, triDim=Which3DState.FRONT2LAST)
    frame = numbers(shape)
    ended = threading.Event()

    def publish() -> None:
        with SHM("cam", symcode=symcode, triDim=Which3DState.FRONT2LAST) as writer:
            while not ended.wait(0.001):
                writer.set_data(frame)

    writer = threading.Thread(target=publish)
    writer.start()
    out = np.zeros((3, *shape), np.float32)
    turned = np.zeros((3, *shape), np.float32, order="F")
    try:
        capture = shm.capture(3)
        with_out = shm.capture(3, out)
        with_turned = shm.capture(3, turned)
    finally:
        ended.set()
        writer.join()
    for result in (capture, with_out, with_turned):
        np.testing.assert_array_equal(result.frames, np.broadcast_to(frame, (3, *shape)))
    assert capture.frames.base is not None
    assert np.shares_memory(capture.frames, capture._cube)
    assert capture._cube.flags.c_contiguous
    assert np.shares_memory(with_out.frames, out)
    assert np.shares_memory(with_turned.frames, turned)
    assert with_out.frames.shape == out.shape
