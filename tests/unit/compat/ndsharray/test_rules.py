"""What is new, what is refused, what the properties say."""

from __future__ import annotations

import gc
import re
import sys
import warnings

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.compat import ndsharray
from pymilk.compat.ndsharray import NdShArray
from pymilk.errors import StreamArgumentError, StreamNameError

NAME = re.compile(r"tag_[0-9a-f]{32}")


def test_the_first_read_is_new_and_the_second_is_not(pair):
    writer, reader = pair()
    status, first = reader.read()
    assert status is True
    status, again = reader.read()
    assert status is False
    assert again is first
    writer.write(first + 1)
    assert reader.read()[0] is True


def test_only_the_newest_of_several(pair):
    writer, reader = pair()
    for number in range(5):
        writer.write(np.full(6, float(number)))
    assert reader.read()[1].tolist() == [4.0] * 6
    assert reader.read()[0] is False


def test_write_returns_none_and_readers_are_independent(pair):
    writer, reader = pair()
    other = NdShArray("tag", r_w="R")
    assert writer.write(np.zeros(6)) is None
    assert reader.read()[0]
    assert other.read()[0]


def test_new_layout_new_name(pair):
    writer, reader = pair()
    reader.read()
    names = [writer.ndarray_mmap_name]
    assert reader.ndarray_mmap_name == names[0]
    for array in (np.zeros(7), np.zeros((7, 1)), np.zeros((7, 1), np.float32), np.zeros((7, 1), np.int32)):
        writer.write(array)
        names.append(writer.ndarray_mmap_name)
        status, found = reader.read()
        assert status
        assert (found.shape, found.dtype) == (array.shape, array.dtype)
        assert reader.ndarray_mmap_name == names[-1]
    assert len(set(names)) == 5
    assert all(NAME.fullmatch(name) for name in names)
    writer.write(array)
    assert writer.ndarray_mmap_name == names[-1]


def test_one_file_whatever_the_layouts(pair, shm_dir):
    writer, reader = pair()
    for length in range(1, 20):
        writer.write(np.zeros(length))
    assert [path.name for path in shm_dir.iterdir()] == ["tag.im.shm"]
    assert reader.read()[1].shape == (19,)


def test_nothing_is_warned_of(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer, reader = pair()
        writer.write(np.zeros(9))
        second = NdShArray("tag", np.zeros(3), "w")
        second.write(np.zeros(4))
        assert reader.read()[0]


def test_read_of_a_writer(pair):
    array = np.arange(6.0)
    writer, _ = pair(array)
    writer.write(array + 1)
    status, found = writer.read()
    assert status is False
    assert found is array
    writer.write(np.zeros((2, 2)))
    assert writer.read()[1].shape == (2, 2)


def test_write_of_a_reader(pair):
    _, reader = pair()
    with pytest.raises(TypeError, match="r_w='r'"):
        reader.write(np.zeros(6))


def test_properties(pair):
    writer, reader = pair()
    assert (writer.name, writer.access, writer.is_valid, writer.read_time_ms) == ("tag", "w", False, 0.0)
    assert (reader.name, reader.access, reader.is_valid, reader.read_time_ms) == ("tag", "r", True, 0.0)
    reader.read()
    took = reader.read_time_ms
    assert 0.0 < took < 60_000
    reader.read()
    assert reader.read_time_ms == took
    for name in ("name", "access", "ndarray_mmap_name", "read_time_ms", "is_valid"):
        with pytest.raises(AttributeError):
            setattr(reader, name, 1)
    assert "'tag' r shape=(6,) dtype=float64" in repr(reader)


@pytest.mark.parametrize("r_w", [None, "", "rw", "x", 1, b"r"])
def test_access_is_r_or_w(r_w):
    with pytest.raises(ValueError, match="r_w is 'r' or 'w'"):
        NdShArray("tag", np.zeros(3), r_w)


@pytest.mark.parametrize("access", ["r", "w"])
def test_arrays_are_checked_for_readers_too(access):
    for wrong in ([1, 2], 3, np.float64(3), None, "text"):
        with pytest.raises(TypeError, match=r"is a numpy.ndarray"):
            NdShArray("tag", wrong, access)
    for dtype in (">i4", "longdouble", "U3", "S3", "O", "M8[s]", "m8[s]", "i4,f4", "clongdouble"):
        with pytest.raises(NotImplementedError, match="supported_types"):
            NdShArray("tag", np.zeros(3, dtype), access)
    with pytest.raises(FileNotFoundError):
        NdShArray("tag", r_w="r")


def test_refused_writes_change_nothing(pair):
    writer, reader = pair()
    reader.read()
    name = writer.ndarray_mmap_name
    for wrong in ([1.0], np.float64(1)):
        with pytest.raises(TypeError):
            writer.write(wrong)
    with pytest.raises(NotImplementedError):
        writer.write(np.zeros(6, ">f8"))
    assert writer.ndarray_mmap_name == name
    assert reader.read()[0] is False


def test_names(shm_dir):
    with pytest.raises(FileNotFoundError):
        NdShArray("absent", r_w="r")
    for access in "rw":
        with pytest.raises(FileNotFoundError):
            NdShArray("a/b", np.zeros(2), access)
    NdShArray(7, np.zeros(2), "w")
    assert (shm_dir / "7.im.shm").exists()
    NdShArray("größe", np.zeros(2), "W")
    assert NdShArray("größe", r_w="r").read()[0]
    for wrong in ("", "x" * 80, "a\nb"):
        with pytest.raises(StreamNameError):
            NdShArray(wrong, np.zeros(2), "w")
    assert sorted(path.name for path in shm_dir.iterdir()) == ["7.im.shm", "größe.im.shm"]


def test_positional_arguments():
    NdShArray("tag", np.ones(2), "w")
    given = np.zeros(3)
    assert NdShArray("tag", given, "r").read()[1].tolist() == [1, 1]


def test_two_writers(pair):
    first, reader = pair(np.zeros(3))
    second = NdShArray("tag", np.ones(3), "w")
    assert reader.read()[1].tolist() == [1, 1, 1]
    first.write(np.full(3, 2.0))
    assert first.ndarray_mmap_name == second.ndarray_mmap_name
    assert reader.read()[1].tolist() == [2, 2, 2]
    second.write(np.full(3, 3.0))
    assert reader.read()[1].tolist() == [3, 3, 3]
    second.write(np.zeros((2, 2)))
    first.write(np.full(3, 4.0))
    assert reader.read()[1].tolist() == [4, 4, 4]
    second.write(np.ones((2, 2)))
    assert reader.read()[1].tolist() == [[1, 1], [1, 1]]


def test_reader_outlives_the_writer_and_meets_the_next(pair):
    writer, reader = pair(np.zeros(3))
    del writer
    gc.collect()
    assert reader.read()[0] is True
    assert NdShArray("tag", r_w="r").read()[0] is True
    again = NdShArray("tag", np.ones(4), "w")
    assert reader.read()[1].tolist() == [1, 1, 1, 1]
    again.write(np.zeros(4))
    assert reader.read()[0] is True


def test_arrays_outlive_their_objects(pair):
    writer, reader = pair(np.arange(200_000.0))
    found = reader.read()[1]
    del writer, reader
    gc.collect()
    assert found.sum() == np.arange(200_000.0).sum()


def test_removed_and_made_again(pair, shm_dir):
    _, reader = pair(np.zeros(3))
    reader.read()
    (shm_dir / "tag.im.shm").unlink()
    assert reader.read()[0] is False
    with pytest.raises(FileNotFoundError):
        NdShArray("tag", r_w="r")
    NdShArray("tag", np.ones(3), "w")
    assert eventually_new(reader).tolist() == [1, 1, 1]


def eventually_new(reader):
    """Readers ask the file system every 4 ms whether another program replaced the file."""
    for _ in range(2_000_000):
        status, found = reader.read()
        if status:
            return found
    raise AssertionError("nothing new")


def test_stream_without_a_frame_is_no_array_yet():
    given = np.zeros(3)
    with Stream.create("tag", (4,), np.int8) as stream:
        reader = NdShArray("tag", given, "r")
        assert reader.is_valid is False
        assert reader.ndarray_mmap_name == ""
        status, found = reader.read()
        assert status is False
        assert found is given
        stream.publish(np.ones(4, np.int8))
        assert reader.read()[0] is True
        assert reader.is_valid is True


def test_torn_frames_are_not_returned_until_they_are_whole(pair):
    _, reader = pair(np.zeros(3))
    first = reader.read()[1]
    with Stream.attach("tag") as stream:
        with stream.claim() as frame:
            frame[:2] = 5
            status, found = reader.read()
            assert status is False
            assert found is first
            frame[:] = 5
        status, found = reader.read()
        assert status is True
        assert found.tolist() == [5, 5, 5]


@pytest.mark.parametrize("keyword", ["ND_NDIM", "ND_DTYPE", "ND_AXIS_0", "ND_ID_1"])
@pytest.mark.parametrize("value", [-1, 99, 1.5, "text"])
def test_keywords_that_do_not_fit(pair, keyword, value):
    if keyword == "ND_ID_1" and isinstance(value, int):
        return
    writer, _ = pair(np.zeros(3))
    with Stream.attach("tag") as stream:
        stream.write_keywords(
            [(each.name, value if each.name == keyword else each.value) for each in stream.read_keywords()]
        )
    with pytest.warns(BytesWarning, match="no array under 'tag'"):
        reader = NdShArray("tag", r_w="r")
    assert reader.is_valid is False
    with pytest.warns(BytesWarning, match="no array under 'tag'"):
        status, found = reader.read()
    assert (status, found.shape, found.dtype) == (False, (0,), np.float64)
    writer.write(np.ones(2))
    assert reader.read()[1].tolist() == [1, 1]


def test_file_that_is_no_stream(shm_dir):
    (shm_dir / "tag.im.shm").write_bytes(b"x" * 5000)
    reader = NdShArray("tag", r_w="r")
    assert reader.is_valid is False
    with pytest.warns(BytesWarning, match="no array"):
        assert reader.read()[0] is False


def test_cut_in_use(pair, shm_dir):
    _, reader = pair(np.zeros(30_000))
    reader.read()
    path = shm_dir / "tag.im.shm"
    with path.open("r+b") as file:
        file.truncate(100)
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BytesWarning)
            assert reader.read()[0] is False
    path.unlink()
    NdShArray("tag", np.ones(2), "w")
    assert eventually_new(reader).tolist() == [1, 1]


def test_install_shadows_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ndsharray", sys)
    with pytest.raises(StreamArgumentError, match="ndsharray itself is imported"):
        ndsharray.install()


def test_exported_names():
    assert ndsharray.__all__ == ["NdShArray", "supported_types"]
    assert ndsharray.__version__ == "1.1.4"
    assert ndsharray.n_bytes_for_int == 8
    assert isinstance(ndsharray.__author__, str)
    assert isinstance(ndsharray.__email__, str)


def test_stream_of_this_process_is_replaced():
    with SHM("cam", ((2, 2), np.uint8)):
        NdShArray("cam", np.zeros(2), "w")
        assert NdShArray("cam", r_w="r").read()[1].tolist() == [0, 0]


def test_helpers_for_the_files_of_the_original() -> None:
    assert ndsharray.int_to_bytes(5) == b"\0\0\0\0\0\0\0\5"
    assert ndsharray.int_to_bytes(-2, signed=True) == b"\xff\xff\xff\xff\xff\xff\xff\xfe"
    assert ndsharray.bytes_to_int(b"\xff\xfe") == 0xFFFE
    assert ndsharray.bytes_to_int(b"\xff\xfe", signed=True) == -2
    for number in (-1, 2**64):
        with pytest.raises(OverflowError):
            ndsharray.int_to_bytes(number)
    text = ndsharray.str_to_bytes("cámara")
    assert (type(text), ndsharray.bytes_to_str(text)) == (bytearray, "cámara")
