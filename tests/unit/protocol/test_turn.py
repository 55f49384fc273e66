"""Copies between arrays whose axes lie in another order or direction, against NumPy's own."""

from __future__ import annotations

import functools
import itertools
import queue
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymilk import SHM
from pymilk._core import _DTYPES, turn_copy
from pymilk.axes import Orientation, Which3DState
from pymilk.errors import FrameMismatchError

SYMCODES = range(8)
DTYPES = sorted({dtype.str for dtype in _DTYPES.values()})
GUARD = 0x5A


@functools.cache
def random_bytes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, 1 << 25, np.uint8)


def numbered(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of random bytes: any two items differ, and NaNs are among them."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    return random_bytes()[:count].copy().view(dtype).reshape(shape)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether arrays hold the same bytes, NaNs included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def guarded(shape: tuple[int, ...], dtype: Any, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an array and all the bytes around it, `offset` bytes off a multiple of 64."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape)) * dtype.itemsize
    raw = np.full(nbytes + 320, GUARD, np.uint8)
    begin = 128 + (-raw.ctypes.data) % 64 + offset
    return raw[begin : begin + nbytes].view(dtype).reshape(shape), raw


def untouched(raw: np.ndarray, inside: np.ndarray) -> bool:
    begin = inside.ctypes.data - raw.ctypes.data
    guards = bytes([GUARD])
    before, behind = raw[:begin].tobytes(), raw[begin + inside.nbytes :].tobytes()
    return before == guards * len(before) and behind == guards * len(behind)


# 16 and 8 and 4 items are blocks, 64 bytes a square, 128 and 512 bytes a tile; from 256 KiB on planes are
# large, and those of 2048 and 1024 bytes pitch are crowded.
SHAPES = [(1, 1), (1, 70), (70, 1), (3, 5), (16, 16), (17, 33), (120, 120), (121, 119), (5, 900)]
LARGE = [(513, 512), (512, 700), (401, 699)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symcode", SYMCODES)
def test_all_orientations(symcode: int, dtype: str) -> None:
    for shape in SHAPES:
        turned = Orientation(shape, symcode).view(numbered(shape, dtype))
        wanted = turned.copy("C")
        for offset in (0, 16, 1):
            out, raw = guarded(turned.shape, dtype, offset)
            turn_copy(out, turned)
            assert same(out, wanted), (shape, offset)
            assert untouched(raw, out), (shape, offset)


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "c8", "c16"])
@pytest.mark.parametrize("symcode", SYMCODES)
def test_large_images(symcode: int, dtype: str) -> None:
    for shape in LARGE:
        turned = Orientation(shape, symcode).view(numbered(shape, dtype))
        wanted = turned.copy("C")
        for offset, wide in itertools.product((0, 16, 1), (True, False)):
            out, raw = guarded(turned.shape, dtype, offset)
            turn_copy(out, turned, wide=wide)
            assert same(out, wanted), (shape, offset)
            assert untouched(raw, out), (shape, offset)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("symcode", SYMCODES)
def test_all_numbers_of_rows_from_one_square_to_two(symcode: int, dtype: str) -> None:
    """Planes of 28 KiB and more are taken in squares, 64 bytes wide."""
    item = np.dtype(dtype).itemsize
    for rows in range(64 // item, 130 // item + 1):
        cols = 29_000 // (rows * item) + rows % 7
        for shape in ((rows, cols), (cols, rows)):
            wanted = Orientation(shape, symcode).view(numbered(shape, dtype)).copy("C")
            for at, offset in ((0, 0), (16, 48), (1, 16)):
                frame, _ = guarded(shape, dtype, at)
                frame[...] = numbered(shape, dtype)
                turned = Orientation(shape, symcode).view(frame)
                out, raw = guarded(turned.shape, dtype, offset)
                turn_copy(out, turned)
                assert same(out, wanted), (shape, at, offset)
                assert untouched(raw, out), (shape, at, offset)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("symcode", [0, 1, 2, 3])
def test_crowded_planes_that_go_past_the_caches(symcode: int, dtype: str, wide: bool) -> None:
    """Rows of 2048 bytes and more share few sets of a cache: from 2 MiB on such planes are not left in it."""
    item = np.dtype(dtype).itemsize
    wider = 2048 // item
    # As many rows as fill pairs of squares, one more square than that, and a part of a square.
    for cols in (1024 + 128 // item, 1024 + 64 // item, 1031):
        source = numbered((cols, wider), dtype)
        wanted = Orientation(source.shape, symcode).view(source).copy("C")
        for at, offset, gap in ((0, 0, 0), (16, 16, 0), (48, 0, 9), (1, 16, 9), (0, 1, 0)):
            frame, _ = guarded((cols, wider), dtype, at)
            frame[...] = source
            turned = Orientation(frame.shape, symcode).view(frame)
            pitch = -(-cols * item // 64) * 64 // item + 64 // item * (gap > 0)
            whole, raw = guarded((wider, pitch), dtype, offset)
            out = whole[:, :cols]
            turn_copy(out, turned, wide=wide)
            assert same(out, wanted), (cols, at, offset)
            assert untouched(raw, whole), (cols, at, offset)
            between = whole[:, cols:].tobytes()
            assert between == bytes([GUARD]) * len(between), (cols, at, offset)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "c16"])
@pytest.mark.parametrize("symcode", [3, 6])
def test_copies_that_go_past_the_caches(symcode: int, dtype: str) -> None:
    rows = 16_800_000 // np.dtype(dtype).itemsize // 1001
    source = numbered((1001, rows) if symcode < 4 else (rows, 1001), dtype)
    turned = Orientation(source.shape, symcode).view(source)
    wanted = turned.copy("C")
    for offset in (16, 1):
        out, raw = guarded((rows, 1001), dtype, offset)
        turn_copy(out, turned)
        assert same(out, wanted)
        assert untouched(raw, out)


@settings(max_examples=80, deadline=None, database=None)
@given(data=st.data())
def test_any_strides(data: st.DataObject) -> None:
    """Axes in any order, steps and directions on both sides, up to four of them."""
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES), "dtype"))
    shape = tuple(data.draw(st.lists(st.integers(0, 37), max_size=4), "shape"))
    if np.prod(shape) > 20_000:
        shape = shape[:2]

    def layout(name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a view of that shape, and all of the array that it looks into."""
        order = data.draw(st.permutations(range(len(shape))), f"order of {name}")
        step = st.sampled_from([1, 1, 1, -1, 2, -3])
        steps = data.draw(st.tuples(*[step for _ in shape]), f"steps of {name}")
        whole = numbered(tuple(shape[axis] * abs(steps[axis]) for axis in order), dtype).copy()
        view = whole.transpose(np.argsort(order)) if shape else whole
        return view[(..., *(slice(None, None, step) for step in steps))], whole

    source, _ = layout("source")
    out, whole = layout("out")
    assert out.shape == source.shape == shape
    before = whole.copy()
    wanted = source.copy()
    turn_copy(out, source)
    assert same(np.ascontiguousarray(out), np.ascontiguousarray(wanted))
    # What lies between the items of out is as it was.
    out[...] = np.zeros((), dtype)
    after = whole.copy()
    whole[...] = before
    out[...] = np.zeros((), dtype)
    assert same(after, whole)


@pytest.mark.parametrize("state", list(Which3DState))
@pytest.mark.parametrize("symcode", SYMCODES)
def test_cubes(symcode: int, state: Which3DState) -> None:
    shape = (3, 40, 21)
    frames = numbered((5, *shape), "u2")
    turned = Orientation(shape, symcode, state).view(frames)
    for out in (np.empty(turned.shape, "u2"), np.empty(turned.shape, "u2", order="F")):
        turn_copy(out, turned)
        np.testing.assert_array_equal(out, turned)


def test_what_is_left_to_numpy() -> None:
    many = numbered((2,) * 9, "u2")
    out = np.empty_like(many)
    turn_copy(out, many.T)
    assert same(out, np.ascontiguousarray(many.T))
    # Memory of both: the copy is of what was there before.
    image = numbered((50, 50), "u2")
    wanted = image.T.copy()
    turn_copy(image, image.T)
    assert same(image, wanted)
    pairs = np.array([[{}, []], [(), ""]], object)
    got = np.empty((2, 2), object)
    turn_copy(got, pairs.T)
    assert got.tolist() == pairs.T.tolist()
    odd = numbered((6, 7), "V3")
    out = np.empty((7, 6), "V3")
    turn_copy(out, odd.T)
    assert same(out, np.ascontiguousarray(odd.T))
    big = numbered((6, 7), ">u4")
    out = np.empty((7, 6), ">u4")
    turn_copy(out, big.T)
    assert same(out, np.ascontiguousarray(big.T))


def test_a_source_that_repeats() -> None:
    row = numbered((40,), "u2")
    out = np.empty((30, 40), "u2")
    turn_copy(out, np.broadcast_to(row, (30, 40)))
    assert (out == row).all()
    out = np.empty((40, 30), "u2")
    turn_copy(out, np.broadcast_to(row, (30, 40)).T)
    assert (out == row[:, None]).all()


def test_wrong_arguments() -> None:
    out = np.zeros((4, 6), "u2")
    source = np.ones((4, 6), "u2")
    readonly = out.view()
    readonly.flags.writeable = False
    for bad_out, bad_source, field in (
        ([[0]], source, "dtype"),
        (out, "frame", "dtype"),
        (out, source.T, "shape"),
        (out, source[:1], "shape"),
        (out, source.astype("i2"), "dtype"),
        (out, source.astype(">u2"), "dtype"),
        (readonly, source, "writeable"),
    ):
        with pytest.raises(FrameMismatchError) as caught:
            turn_copy(bad_out, bad_source)
        assert caught.value.field == field
        assert caught.value.expected != caught.value.found
    assert not out.any()


def test_other_threads_run_meanwhile() -> None:
    """Python code of another thread goes on while a copy of 512 KiB or more is under way."""
    large = np.zeros((3000, 4000), "u2"), np.zeros((4000, 3000), "u2").T
    small = np.zeros((200, 300), "u2"), np.zeros((300, 200), "u2").T
    steps = 0
    orders: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def work() -> None:
        nonlocal steps
        while orders.get():
            steps += 1

    def steps_during(copy: tuple[np.ndarray, np.ndarray]) -> int:
        before = steps
        orders.put(True)
        turn_copy(*copy)
        return steps - before

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    # Nobody takes the GIL away from this thread: the other one moves only where it is given up.
    sys.setswitchinterval(100)
    try:
        thread.start()
        assert not any(steps_during(small) for _ in range(20))
        assert any(steps_during(large) for _ in range(50))
    finally:
        sys.setswitchinterval(interval)
        orders.put(False)
        thread.join()


# -- where it is used --------------------------------------------------------------------------------


@pytest.mark.parametrize("symcode", SYMCODES)
def test_captures_fill_any_contiguous_out(make_stream, symcode: int) -> None:
    shape = (31, 45)
    frames = numbered((4, *shape), "u2")
    writer = make_stream("cam", shape, "u2")
    with SHM("cam", symcode=symcode) as shm:
        out = np.zeros((4, *shm.shape), "u2")
        capture = shm.capture(4, out, background=True)
        for frame in frames:
            seen = capture.received
            writer.publish(frame)
            while capture.received == seen:
                time.sleep(0.0001)
        capture.join()
        assert np.shares_memory(capture.frames, out)
        np.testing.assert_array_equal(out, Orientation(shape, symcode).view(frames))


@pytest.mark.parametrize("shape", [(31, 45), (700, 512)], ids=["small", "large"])
@pytest.mark.parametrize("symcode", SYMCODES)
def test_frames_are_published_from_any_order(symcode: int, shape: tuple[int, int]) -> None:
    image = numbered(shape, "u2")
    with SHM("cam", image, symcode=symcode) as shm:
        for frame in (image[::-1], np.asfortranarray(image), image[:, ::-1], np.repeat(image, 2, 1)[:, ::2]):
            shm.set_data(frame)
            np.testing.assert_array_equal(shm.get_data(), frame)
        shm.set_many(np.stack([image, image[::-1]]))
        np.testing.assert_array_equal(shm.get_data(), image[::-1])


def test_published_frames_are_announced(make_stream) -> None:
    stream = make_stream("cam", (700, 512), "u2")
    frame = numbered((512, 700), "u2")
    assert stream.publish(frame.T) == 1
    assert stream.publish(np.flip(frame.T, 0)) == 2
    assert stream.counter == 2
    assert stream.write == 0
    np.testing.assert_array_equal(stream.view(), np.flip(frame.T, 0))


def test_a_stream_is_published_to_itself_in_another_order(make_stream) -> None:
    stream = make_stream("cam", (40, 40), "u2")
    frame = numbered((40, 40), "u2")
    stream.publish(frame)
    stream.publish(stream.view().T)
    np.testing.assert_array_equal(stream.view(), frame.T)
    assert stream.write == 0


def test_slices_of_a_temporal_cube_are_turned(make_stream) -> None:
    stream = make_stream("cam", (3, 20, 30), "u2", imagetype=0x20001)
    frames = numbered((4, 30, 20), "u2")
    for frame in frames:
        stream.publish(frame.T)
    np.testing.assert_array_equal(np.sort(stream.view().ravel()), np.sort(frames[1:].ravel()))
    np.testing.assert_array_equal(stream.view()[stream.cnt1], frames[3].T)
