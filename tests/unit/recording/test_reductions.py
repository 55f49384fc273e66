"""Means, sums and extremes of recordings: as NumPy has them, in blocks, alike in all formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Recording, load
from pymilk.errors import FrameMismatchError, StreamFormatError
from pymilk.recording import reductions
from support.recordings import EACH_FORMAT, images, recorded

NAMES = ("sum", "mean", "min", "max", "std", "var")
AXES = (None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (0, 1, 2), ())
SHAPE = (5, 7)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two or three frames, so that there are several."""
    monkeypatch.setattr(reductions, "_BLOCK_NBYTES", 200)


def cube(dtype: Any, count: int = 11) -> np.ndarray:
    return images(count, SHAPE, dtype)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Any]:
    """Makes NPY recordings of any type, without a stream."""
    opened: list[Recording] = []

    def make(frames: np.ndarray) -> Recording:
        np.save(tmp_path / "cube.npy", frames)
        opened.append(load(tmp_path / "cube.npy"))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def wanted(frames: np.ndarray, name: str, axis: Any, **options: Any) -> Any:
    """What NumPy says, without what it rounds in single precision."""
    exact = frames
    if name in ("sum", "mean", "std", "var") and frames.dtype.kind in "fc":
        exact = frames.astype(np.result_type(frames.dtype, np.float64))
    made = getattr(exact, name)(axis=axis, **options)
    return made.astype(getattr(frames, name)(axis=axis, **options).dtype)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("name", NAMES)
def test_as_numpy(loaded: Any, name: str, dtype: str) -> None:
    frames = cube(dtype)
    recording = loaded(frames)
    for axis in AXES:
        for keepdims in (False, True):
            with np.errstate(over="ignore"):
                made = getattr(recording, name)(axis=axis, keepdims=keepdims)
                its = wanted(frames, name, axis, keepdims=keepdims)
            assert type(made) is type(its)
            assert (made.dtype, made.shape) == (its.dtype, its.shape)
            exact = name in ("min", "max") or (name == "sum" and frames.dtype.kind in "iu")
            eps = 0 if exact else np.finfo(its.dtype).eps
            np.testing.assert_allclose(made, its, rtol=40 * eps, atol=40 * eps)


@EACH_FORMAT
@pytest.mark.parametrize("series", [False, True])
def test_same_in_every_format_and_series(suffix: str, series: bool, cam: SHM, tmp_path: Path) -> None:
    frames = cube(np.uint16, 23)
    np.save(tmp_path / "plain.npy", frames)
    options = {"max_frames_per_file": 9} if series else {}
    made, _ = recorded(cam, tmp_path / f"x.{suffix}", frames, **options)
    with made as one, load(tmp_path / "plain.npy") as two:
        for name in NAMES:
            for axis in (None, 0, (1, 2)):
                its = getattr(two, name)(axis=axis)
                np.testing.assert_array_equal(getattr(one, name)(axis=axis), its)
                if not isinstance(one.frames, np.ndarray):
                    np.testing.assert_array_equal(getattr(one.frames, name)(axis=axis), its)


def test_numpy_functions_call_them(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = cube(np.uint16)
    recording = loaded(frames)
    monkeypatch.setattr(Recording, "_as_array", None)  # nothing may ask for all frames
    for name in NAMES:
        np.testing.assert_allclose(getattr(np, name)(recording, axis=0), getattr(frames, name)(axis=0))
    np.testing.assert_allclose(np.std(recording, axis=0, ddof=1), frames.std(axis=0, ddof=1))


def test_dtype_out_and_ddof(loaded: Any) -> None:
    frames = cube(np.uint16)
    recording = loaded(frames)
    assert recording.mean(axis=0, dtype=np.float32).dtype == np.float32
    assert recording.sum(axis=0, dtype=np.uint16).dtype == np.uint16
    np.testing.assert_array_equal(
        recording.sum(axis=0, dtype=np.uint16), frames.sum(axis=0, dtype=np.uint16)
    )
    out = np.empty(SHAPE)
    assert recording.mean(0, None, out) is out
    np.testing.assert_allclose(out, frames.mean(axis=0))
    with pytest.raises(FrameMismatchError, match=r"shape \(3,\)"):
        recording.mean(0, out=np.empty(3))
    with pytest.raises(TypeError, match="cast"):
        recording.mean(0, out=np.empty(SHAPE, np.int32))
    np.testing.assert_allclose(recording.var(ddof=2), frames.var(ddof=2))


def test_small_integers_do_not_overflow(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reductions, "_BLOCK_NBYTES", 4 << 20)
    for dtype in (np.uint16, np.int16, np.uint8, np.int8):
        limits = np.iinfo(dtype)
        for value in (limits.max, limits.min):
            frames = np.full((70_000, 1, 2), value, dtype)
            recording = loaded(frames)
            assert recording.sum() == int(value) * frames.size
            np.testing.assert_array_equal(recording.sum(axis=0), [[int(value) * 70_000] * 2])
            assert recording.mean() == value
            assert recording.std() == 0


def test_variance_of_large_values_keeps_its_digits(loaded: Any) -> None:
    frames = cube(np.float64) + 1e9
    recording = loaded(frames)
    np.testing.assert_allclose(recording.var(axis=0), (frames - 1e9).var(axis=0), rtol=1e-6)


def test_single_precision_is_added_in_double(loaded: Any) -> None:
    frames = np.full((3000, 1, 1), 0.1, np.float32)
    frames[0] = 1e8
    exact = frames.astype(np.float64).mean()
    assert loaded(frames).mean() == np.float32(exact)


def test_not_a_number_goes_through(loaded: Any) -> None:
    frames = cube(np.float32)
    frames[4, 2, 3] = np.nan
    recording = loaded(frames)
    for name in NAMES:
        made = getattr(recording, name)(axis=0)
        assert np.isnan(made[2, 3])
        assert np.count_nonzero(np.isnan(made)) == 1


def test_axes_that_are_not_there(loaded: Any) -> None:
    recording = loaded(cube(np.uint16))
    for axis in (3, -4, (0, 3)):
        with pytest.raises(np.exceptions.AxisError):
            recording.mean(axis=axis)
    with pytest.raises(ValueError, match="twice"):
        recording.mean(axis=(0, -3))
    with pytest.raises(TypeError):
        recording.mean(axis=1.0)


def test_no_frames(loaded: Any) -> None:
    empty = loaded(np.empty((0, *SHAPE), np.uint16))
    assert empty.sum() == 0
    with pytest.warns(RuntimeWarning):
        assert np.isnan(empty.mean())
    with pytest.raises(ValueError, match="zero-size"):
        empty.max()
    assert empty.mean(axis=1).shape == (0, 7)


def test_progress(loaded: Any) -> None:
    recording = loaded(cube(np.uint16))
    told: list[tuple[int, int]] = []
    recording.mean(axis=0, progress=lambda done, frames: told.append((done, frames)))
    assert told == [(2, 11), (4, 11), (6, 11), (8, 11), (10, 11), (11, 11)]

    def enough(done: int, frames: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording.max(progress=enough)


def test_blocks_only_are_read(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = loaded(cube(np.uint16))
    largest = []
    read = Recording.__getitem__

    def seen(self: Recording, key: Any) -> Any:
        made = read(self, key)
        largest.append(made.nbytes)
        return made

    monkeypatch.setattr(Recording, "__getitem__", seen)
    for name in NAMES:
        getattr(recording, name)(axis=0)
    assert max(largest) <= 200


def test_file_that_is_cut_meanwhile(cam: SHM, tmp_path: Path) -> None:
    recording, _ = recorded(cam, tmp_path / "x.npy", cube(np.uint16, 2000))
    with recording:

        def cut(done: int, frames: int) -> None:
            os.truncate(tmp_path / "x.npy", 4096)

        with pytest.raises(StreamFormatError, match="was cut"):
            recording.mean(axis=0, progress=cut)
