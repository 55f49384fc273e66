"""Streams, captures, blocks and recordings as arrays: NumPy, DLPack, indices, iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, load
from pymilk.arraylike import ArrayLike
from pymilk.errors import FrameMismatchError
from support.recordings import images, recorded

NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.1.0"
KINDS = ["shm", "capture", "block", "npy", "fits", "h5", "zarr", "series"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def thing(kind: str, cam: SHM, tmp_path: Path) -> Iterator[tuple[Any, np.ndarray]]:
    """An object of each kind, and what it holds."""
    frames = images(6)
    if kind in ("npy", "fits", "h5", "zarr", "series"):
        pytest.importorskip({"fits": "astropy", "h5": "h5py", "zarr": "zarr"}.get(kind, "numpy"))
        name, options = (f"x.{kind}", {}) if kind != "series" else ("x.npy", {"max_frames_per_file": 4})
        loaded, _ = recorded(cam, tmp_path / name, frames, **options)
        with loaded:
            yield loaded, frames
        return
    if kind == "shm":
        cam.set_data(frames[0])
        yield cam, frames[0]
        return
    with cam.ring_reader(16) as ring:
        capture = cam.capture(6, background=True)
        cam.set_many(frames)
        capture.join()
        yield (capture if kind == "capture" else next(ring.blocks(timeout=5))), frames


def test_facts_of_an_array(thing: tuple[Any, np.ndarray]) -> None:
    found, wanted = thing
    assert (found.shape, found.dtype, found.ndim) == (wanted.shape, wanted.dtype, wanted.ndim)
    assert (found.size, found.nbytes, len(found)) == (wanted.size, wanted.nbytes, len(wanted))
    assert bool(found)


def test_as_an_array(thing: tuple[Any, np.ndarray]) -> None:
    found, wanted = thing
    for made in (np.asarray(found), np.array(found), np.asanyarray(found), found.__array__()):
        assert type(made) is np.ndarray
        assert made.dtype == wanted.dtype
        np.testing.assert_array_equal(made, wanted)
    copy = found.__array__(copy=True)
    assert copy.flags.writeable
    copy[...] = 0
    np.testing.assert_array_equal(np.asarray(found), wanted)
    as_float = np.asarray(found, dtype=np.float64)
    assert as_float.dtype == np.float64
    np.testing.assert_array_equal(as_float, wanted)
    np.testing.assert_array_equal(np.add(found, 1), wanted + 1)


def test_without_a_copy(thing: tuple[Any, np.ndarray], kind: str) -> None:
    found, wanted = thing
    if kind in ("fits", "h5", "zarr", "series"):
        with pytest.raises(ValueError, match="without a copy"):
            found.__array__(copy=False)
        return
    view = found.__array__(copy=False)
    np.testing.assert_array_equal(view, wanted)
    memory = found.get_data(copy=False) if kind == "shm" else found.frames
    assert np.shares_memory(view, memory)
    assert np.shares_memory(np.asarray(found), memory) == (kind != "shm")
    with pytest.raises(ValueError, match="float32 without a copy"):
        found.__array__(np.float32, copy=False)


def test_dlpack(thing: tuple[Any, np.ndarray], kind: str) -> None:
    found, wanted = thing
    assert found.__dlpack_device__() == (1, 0)
    np.testing.assert_array_equal(np.from_dlpack(found), wanted)
    with pytest.raises(BufferError, match="memory of the processor"):
        found.__dlpack__(dl_device=(2, 0))
    assert found.__dlpack__() is not None  # a caller that knows no version, and takes no read-only memory
    if NUMPY_2:
        made = np.from_dlpack(found, copy=True)
        assert made.flags.writeable
        view = kind in ("shm", "capture", "block", "npy")
        if view:
            memory = found.get_data(copy=False) if kind == "shm" else found.frames
            assert np.shares_memory(np.from_dlpack(found, copy=False), memory)
        else:
            with pytest.raises(ValueError, match="without a copy"):
                np.from_dlpack(found, copy=False)


def test_indices(thing: tuple[Any, np.ndarray]) -> None:
    found, wanted = thing
    chosen = np.arange(len(wanted)) % 2 == 0
    for key in (0, -1, slice(1, 3), (0, 1), (slice(None), 2), (..., 0), [2, 0], chosen):
        np.testing.assert_array_equal(found[key], wanted[key])
    with pytest.raises(IndexError):
        found[99]


def test_lists_along_several_axes(thing: tuple[Any, np.ndarray]) -> None:
    found, wanted = thing
    every = slice(None)
    some = np.array([1, 0])
    keys: list[tuple[Any, ...]] = [([0, 2], [1, 0]), (some, 1), (every, some), (some, ...)]
    if wanted.ndim == 3:  # frames, not the pixels of one
        keys += [([0, 2], every, [3, 1]), (0, every, some), (-1, some, [2, 3]), (some, 1, some)]
        keys += [(some, None, every, 2), (np.arange(6) > 3, every, some)]
        keys += [(every, [0], [0, 1]), (1, ..., some)]
    for key in keys:
        np.testing.assert_array_equal(found[key], wanted[key], err_msg=repr(key))


def test_iteration(thing: tuple[Any, np.ndarray], kind: str) -> None:
    found, wanted = thing
    if kind == "shm":
        for row, its in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(row, its)
        return
    for (frame, row), its, its_row in zip(found, wanted, found.info, strict=True):
        np.testing.assert_array_equal(frame, its)
        assert row == its_row


def test_no_relative_becomes_an_object(thing: tuple[Any, np.ndarray], kind: str) -> None:
    found, _ = thing
    things = [found] if kind in ("shm", "capture", "block") else [found, found.frames]
    for each in things:
        assert np.asarray(each).dtype != object


def test_turned_frames_pass_through_dlpack(make: Callable[..., SHM]) -> None:
    seen = make("turned", np.arange(24, dtype=np.int32).reshape(4, 6), symcode=2)
    assert min(seen.get_data(copy=False).strides) < 0
    made = np.from_dlpack(seen)
    assert min(made.strides) > 0
    np.testing.assert_array_equal(made, seen.get_data())


def test_keywords_and_pixels_share_the_brackets(cam: SHM) -> None:
    cam["EXPTIME"] = 0.25
    cam.set_data(np.arange(35, dtype=np.uint16).reshape(5, 7))
    assert cam["EXPTIME"] == 0.25
    assert cam[2, 3] == 17
    assert "EXPTIME" in cam
    assert "nothing" not in cam
    assert 34 in cam
    assert 35 not in cam


def test_single_pixel_has_no_length_and_is_true(make: Callable[..., SHM]) -> None:
    make("one", ((1, 1), np.float32))
    one = SHM("one")
    assert one.shape == ()
    with pytest.raises(TypeError, match="no length"):
        len(one)
    assert bool(one)
    assert float(np.asarray(one)) == 0.0
    one.close()
    assert bool(one)


def test_arrays_of_pymilk_are_published_like_arrays(make: Callable[..., SHM], cam: SHM) -> None:
    cam.set_data(np.full((5, 7), 3, np.uint16))
    other = make("other", cam)
    assert (other.shape, other.dtype) == (cam.shape, cam.dtype)
    np.testing.assert_array_equal(other.get_data(), 3)
    other.set_data(cam)
    with pytest.raises(FrameMismatchError, match="float32"):
        make("third", ((5, 7), np.float32)).set_data(cam)


def test_arrays_of_pymilk_are_no_memory_to_fill(make: Callable[..., SHM], cam: SHM) -> None:
    for target in (cam, cam.capture(1, background=True)):
        with pytest.raises(FrameMismatchError, match="has no memory"):
            cam.get_data(out=target)
    cam.close()


def test_foreign_cubes_have_no_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", images(3))
    with load(tmp_path / "cube.npy") as cube:
        assert isinstance(cube, ArrayLike)
        assert [row for _, row in cube] == [None] * 3
        np.testing.assert_array_equal([frame for frame, _ in cube], images(3))
