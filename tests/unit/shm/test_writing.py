"""`SHM`: writing frames."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import FrameMismatchError, StreamArgumentError, StreamNameError, StreamNotFoundError
from support.camera import numbers


@pytest.mark.parametrize("symcode", [0, 4, 7])
def test_any_memory_order_can_be_written(make, symcode):
    base = numbers((6, 8))
    shm = make("cam", ((6, 8), np.float32), symcode=symcode)
    strided = numbers((12, 16))[::2, ::2]
    for frame in (
        base,
        np.asfortranarray(base),
        base[::-1],
        base[:, ::-1],
        base.T.copy().T,
        strided,
        np.broadcast_to(np.float32(3), (6, 8)),
        shm.get_data(copy=False),
        shm.get_data(copy=False)[::-1],
    ):
        expected = np.array(frame)
        shm.set_data(frame)
        np.testing.assert_array_equal(shm.get_data(), expected)


def test_frames_that_are_not_arrays(make):
    shm = make("cam", ((2, 3), np.int16))
    shm.set_data([[1, 2, 3], [4, 5, 6]])
    assert shm.get_data().tolist() == [[1, 2, 3], [4, 5, 6]]
    shm.set_data(([1.0, 2.0, 3.0], [4.0, 5.0, -6.0]))
    assert shm.get_data().tolist() == [[1, 2, 3], [4, 5, -6]]
    counter = shm.get_counter()
    for frame in ([[1.5, 2, 3], [4, 5, 6]], [[70000, 2, 3], [4, 5, 6]], [["1"] * 3] * 2, None, 1, [1, 2]):
        with pytest.raises(FrameMismatchError):
            shm.set_data(frame)
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own
        shm.set_data([[1, 2], [3]])
    assert shm.get_counter() == counter
    one = make("one", ((1,), np.float64))
    one.set_data([float("nan")])
    assert np.isnan(one.get_data()[0])


def test_wrong_dtype_and_shape(make):
    shm = make("cam", numbers((2, 3)))
    with pytest.raises(FrameMismatchError, match="float64") as caught:
        shm.set_data(np.ones((2, 3)))
    assert (caught.value.field, caught.value.found) == ("dtype", np.dtype(float))
    with pytest.raises(TypeError):
        shm.set_data(np.ones((2, 3), np.int32))
    with pytest.raises(ValueError, match="shape"):
        shm.set_data(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(shm.get_data(), numbers((2, 3)))
    assert (shm.get_counter(), shm.mtdata["write"]) == (1, 0)
    shm.set_data(np.full((2, 3), 1.5), check_dt=True)
    assert (shm.get_data() == 1.5).all()
    shm.set_data(np.full((2, 3), 2, np.int64), check_dt=True)
    assert (shm.get_data() == 2).all()
    with pytest.raises(FrameMismatchError):
        shm.set_data(np.ones((3, 2)), check_dt=True)


def test_wrong_shape_of_a_turned_stream(make):
    shm = make("cam", numbers((2, 3)), symcode=0)
    with pytest.raises(FrameMismatchError, match=r"\(3, 2\).*\(2, 3\)") as caught:
        shm.set_data(np.ones((3, 2), np.float32))
    assert (caught.value.field, caught.value.expected, caught.value.found) == ("shape", (2, 3), (3, 2))
    with pytest.raises(FrameMismatchError):
        shm.set_data(np.float32(1))


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(make, dtype):
    data = numbers((3, 4), dtype)
    shm = make("cam", data)
    assert shm.nptype == np.dtype(dtype)
    other = make("cam")
    assert other.get_data().dtype == np.dtype(dtype)
    np.testing.assert_array_equal(other.get_data(), data)
    other.set_data(data[::-1])
    np.testing.assert_array_equal(shm.get_data(), data[::-1])


def test_bool_is_stored_as_uint8(make):
    mask = np.eye(3, dtype=bool)
    shm = make("cam", mask)
    assert shm.nptype == np.uint8
    np.testing.assert_array_equal(shm.get_data(), mask)
    shm.set_data(~mask)
    np.testing.assert_array_equal(shm.get_data(), ~mask)
    assert make("cam2", ((2, 2), bool)).nptype == np.uint8
    assert make("cam3", mask, symcode=1).get_data().tolist() == mask.tolist()


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">u2", ">f8"])
def test_big_endian_data_as_fits_files_hold_it(make, dtype):
    data = numbers((3, 4), dtype)
    shm = make("cam", data)
    assert shm.get_data().dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(shm.get_data(), data)


def test_no_axes(make):
    shm = make("cam", np.array(3.5))
    assert shm.get_data().reshape(-1).tolist() == [3.5]
    assert make("cam", autoSqueeze=False).shape == (1,)
    assert make("cam").shape == ()
    other = make("cam")
    assert other.get_data() == 3.5
    view = other.get_data(copy=False)
    other.set_data(4.5)
    assert shm.get_data().reshape(-1).tolist() == [4.5]
    assert (view.shape, float(view)) == ((), 4.5)
    assert isinstance(other.get_data(), np.ndarray)


def test_no_axes_without_data(make):
    assert make("cam", ((), np.int16)).get_data().reshape(-1).tolist() == [0]


def test_failed_creation_leaves_no_object_behind(make):
    # Nothing to close, so nothing to warn of.
    for data in (np.zeros(3, "U4"), "text"):
        with pytest.raises(StreamArgumentError):
            SHM("cam", data)
    with pytest.raises(StreamNotFoundError):
        SHM("cam")
    with pytest.raises(StreamNameError):
        SHM("/tmp/elsewhere/cam.im.shm")
    gc.collect()
