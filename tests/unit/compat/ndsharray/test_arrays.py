"""Each kind of array arrives as it was written."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.compat.ndsharray import NdShArray, supported_types

SHAPES = [(), (0,), (1,), (7,), (3, 2), (2, 0, 4), (1, 1, 1), (4, 3, 2), (2, 3, 4, 5), (2,) * 12, (1,) * 20]


def filled(shape, dtype):
    return np.arange(1, 1 + int(np.prod(shape))).reshape(shape).astype(dtype)


def same(found, array):
    return found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array)


def test_types_and_their_order():
    names = (
        "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 bool"
    )
    assert [np.dtype(each).name for each in supported_types] == names.split()
    assert supported_types[-1] is bool


@pytest.mark.parametrize("dtype", supported_types, ids=lambda each: each.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_type_and_number_of_axes(pair, dtype, shape):
    array = filled(shape, dtype)
    writer, reader = pair(array)
    status, found = reader.read()
    assert status is True
    assert type(found) is np.ndarray
    assert same(found, array)
    assert not found.flags.writeable
    assert found.flags.c_contiguous
    again = filled(shape, dtype)[::-1] if shape else np.array(3).astype(dtype)
    writer.write(again)
    assert same(reader.read()[1], again)


@pytest.mark.parametrize("ndim", [32, 64])
def test_most_axes(pair, ndim):
    if ndim > 32 and int(np.__version__.split(".")[0]) < 2:
        pytest.skip("NumPy before 2 has arrays of up to 32 axes")
    array = filled((2, *(1,) * (ndim - 2), 3), np.int16)
    assert same(pair(array)[1].read()[1], array)


@pytest.mark.parametrize("name", ["longlong", "ulonglong", "intc", "long"])
def test_other_names_of_a_type(pair, name):
    array = np.arange(4, dtype=name)
    assert same(pair(array)[1].read()[1], array)


def test_other_memory_orders(pair):
    big = np.arange(120.0).reshape(2, 3, 4, 5)
    writer, reader = pair(np.asfortranarray(big))
    for array in (np.asfortranarray(big), big[::-1], big.T, big[:, ::2], big[0].T, big[0, 0, :, 1]):
        writer.write(array)
        status, found = reader.read()
        assert status
        assert same(found, array)
        assert found.flags.c_contiguous
    mask = np.array([[True, False], [True, True]])
    writer.write(mask.T)
    assert same(reader.read()[1], mask.T)


def test_subclasses_arrive_plain(pair):
    class Mine(np.ndarray):
        pass

    array = np.arange(4).view(Mine)
    writer, reader = pair(array)
    assert type(reader.read()[1]) is np.ndarray
    writer.write(np.ma.MaskedArray([1, 2, 3], [False, True, False], fill_value=9))
    assert reader.read()[1].tolist() == [1, 9, 3]


@pytest.mark.parametrize(
    ("array", "shape", "dtype"),
    [
        (np.zeros((3, 4), np.uint16), (3, 4), np.uint16),
        (np.zeros((2, 3, 4, 5), np.float32), (6, 4, 5), np.float32),
        (np.zeros((3, 4), bool), (3, 4), np.uint8),
        (np.zeros(()), (1,), np.float64),
        (np.zeros((0, 3), np.int8), (1,), np.int8),
    ],
)
def test_other_programs_see_a_stream(pair, array, shape, dtype):
    writer, _ = pair(array)
    with Stream.attach("tag") as stream:
        assert (stream.shape, stream.dtype) == (shape, dtype)
        before = stream.counter
        writer.write(array)
        assert stream.counter == before + 1


def test_reader_reads_streams_of_other_programs():
    with SHM("cam", ((4, 6), np.uint16)) as shm:
        shm.set_data(np.full((4, 6), 5, np.uint16))
        reader = NdShArray("cam", r_w="r")
        status, found = reader.read()
        assert status
        assert same(found, np.full((4, 6), 5, np.uint16))
        assert reader.ndarray_mmap_name == "cam"
        shm.set_data(np.full((4, 6), 6, np.uint16))
        assert reader.read()[1][0, 0] == 6


def test_values_are_copied_when_written(pair):
    array = np.arange(6.0)
    writer, reader = pair(array)
    array[:] = 0
    first = reader.read()[1]
    assert first.tolist() == [0, 1, 2, 3, 4, 5]
    writer.write(array + 7)
    assert first.tolist() == [0, 1, 2, 3, 4, 5]
