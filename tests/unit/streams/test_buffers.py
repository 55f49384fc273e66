"""Memory that callers bring (`out=` of get_data, capture and ring.read), and memory that is kept."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import os
import threading
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import Which3DState
from pymilk.errors import CaptureMemoryError, FrameMismatchError, StreamTimeoutWarning
from pymilk.streams.buffers import as_target

SHAPE = (3, 5)
NBYTES = 3 * 5 * 4


def ramp(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


class DLPackOnly:
    """Has nothing but DLPack, as tensors of some libraries."""

    def __init__(self, memory: np.ndarray, device: tuple[int, int] | None = None) -> None:
        self._memory = memory
        self._device = device or memory.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self._memory.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


class CudaArray:
    """Looks like an array on a GPU."""

    __cuda_array_interface__ = {"shape": SHAPE, "typestr": "<f4", "data": (1, False), "version": 3}


def mapped_file(folder: Path, count: int) -> mmap.mmap:
    with open(folder / "file", "w+b") as file:
        file.truncate(count)
        return mmap.mmap(file.fileno(), count)


# -- a frame ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["array", "bytearray", "mmap", "memmap", "shared memory", "ctypes", "array module", "cast", "dlpack"],
)
def test_frames_go_into_whatever_has_memory(make, tmp_path, kind):
    shm = make("cam", ramp(*SHAPE))
    close: Callable[[], object] = lambda: None  # noqa: E731
    out: Any
    if kind == "array":
        out = np.zeros(SHAPE, np.float32)
    elif kind == "bytearray":
        out = bytearray(NBYTES)
    elif kind == "mmap":
        out = mapped_file(tmp_path, NBYTES)
        close = out.close
    elif kind == "memmap":
        out = np.memmap(tmp_path / "file", np.float32, "w+", shape=SHAPE)
    elif kind == "shared memory":
        block = shared_memory.SharedMemory(create=True, size=NBYTES)
        out = block.buf[:NBYTES]

        def close() -> None:
            out.release()
            block.close()
            block.unlink()

    elif kind == "ctypes":
        out = (ctypes.c_float * 15)()
    elif kind == "array module":
        out = array.array("f", [0] * 15)
    elif kind == "cast":
        out = memoryview(bytearray(NBYTES)).cast("f", SHAPE)
    else:
        memory = np.zeros(SHAPE, np.float32)
        out = DLPackOnly(memory)
        if not np.from_dlpack(out).flags.writeable:
            pytest.skip("this NumPy takes memory through DLPack for reading only")
    try:
        assert shm.get_data(out=out) is out
        content = memory if kind == "dlpack" else np.frombuffer(out, np.float32).reshape(SHAPE)
        np.testing.assert_array_equal(content, ramp(*SHAPE))
        del content
        gc.collect()
    finally:
        close()


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_orientation_into_contiguous_memory(make, symcode, order):
    data = ramp(*SHAPE)
    shm = make("cam", data, symcode=symcode)
    out = np.zeros(SHAPE, np.float32, order=order)
    assert shm.get_data(out=out) is out
    np.testing.assert_array_equal(out, data)
    cube = ramp(2, 3, 4)
    for state in Which3DState:
        shm = make("cube", cube, symcode=symcode, triDim=state)
        out = np.zeros(cube.shape, np.float32, order=order)
        np.testing.assert_array_equal(shm.get_data(out=out), cube)


def test_waiting_and_out(make):
    shm = make("cam", ramp(*SHAPE))
    out = np.zeros(SHAPE, np.float32)
    assert shm.get_data(True, timeout=0.01, return_none_on_timeout=True, out=out) is None
    assert (out == 0).all()
    with pytest.warns(StreamTimeoutWarning) as caught:
        assert shm.get_data(True, 0.01, out=out) is out
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(out, ramp(*SHAPE))
    frames: list[Any] = []
    waiter = threading.Thread(target=lambda: frames.append(shm.get_data(True, out=out)))
    waiter.start()
    while not frames:
        shm._stream.publish(ramp(*SHAPE) * 2)
        waiter.join(0.01)
    assert frames[0] is out
    np.testing.assert_array_equal(out, ramp(*SHAPE) * 2)


@pytest.mark.parametrize(
    ("out", "field"),
    [
        (np.zeros((5, 3), np.float32), "shape"),
        (np.zeros(SHAPE), "dtype"),
        (np.zeros(SHAPE, ">f4"), "dtype"),
        (np.broadcast_to(np.float32(0), SHAPE), "writeable"),
        (bytes(NBYTES), "writeable"),
        (bytearray(NBYTES - 1), "shape"),
        ([0.0] * 15, "dtype"),
        (CudaArray(), "dtype"),
        (DLPackOnly(np.zeros(SHAPE, np.float32), (2, 0)), "dtype"),
        (None.__class__, "dtype"),
    ],
    ids=range(10),
)
def test_memory_that_does_not_fit(make, out, field):
    shm = make("cam", ramp(*SHAPE))
    with pytest.raises(FrameMismatchError, match="cam") as caught:
        shm.get_data(out=out)
    assert caught.value.field == field
    with pytest.raises(FrameMismatchError):
        shm.capture(1, out=out)


def test_gpu_memory_is_named(make):
    shm = make("cam", ramp(*SHAPE))
    for out in (CudaArray(), DLPackOnly(np.zeros(SHAPE, np.float32), (2, 0))):
        with pytest.raises(FrameMismatchError, match="on a GPU"):
            shm.get_data(out=out)


def test_out_is_a_copy(make):
    shm = make("cam", ramp(*SHAPE))
    with pytest.raises(FrameMismatchError, match="copy=False"):
        shm.get_data(copy=False, out=np.zeros(SHAPE, np.float32))


def test_slices_into_out(make):
    shm = make("cam", (SHAPE, np.float32), ring=4, ring_kind="temporal")
    for value in range(1, 6):
        shm.set_data(np.full(SHAPE, value, np.float32))
    newest = shm.get_data(out=np.zeros(SHAPE, np.float32))
    assert (newest == 5).all()
    cube = shm.get_data(cube=True, out=np.zeros((4, *SHAPE), np.float32))
    np.testing.assert_array_equal(cube, shm.get_data(cube=True))
    assert sorted(cube[:, 0, 0]) == [2, 3, 4, 5]
    with pytest.raises(FrameMismatchError):
        shm.get_data(cube=True, out=np.zeros(SHAPE, np.float32))


def test_nothing_else_is_touched(make):
    shm = make("cam", ramp(*SHAPE))
    memory = np.full(15 + 2, -1, np.float32)
    shm.get_data(out=memory[1:-1].reshape(SHAPE))
    assert memory[0] == memory[-1] == -1
    np.testing.assert_array_equal(memory[1:-1].reshape(SHAPE), ramp(*SHAPE))


# -- many frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytearray", "mmap", "array"])
def test_captures_go_into_whatever_has_memory(make, tmp_path, kind):
    shm = make("cam", (SHAPE, np.float32), ring=64)
    out: Any = {
        "bytearray": lambda: bytearray(4 * NBYTES),
        "mmap": lambda: mapped_file(tmp_path, 4 * NBYTES),
        "array": lambda: np.zeros((4, *SHAPE), np.float32),
    }[kind]()
    capture = shm.capture(4, out=out, background=True)
    with shm.ring_reader() as ring:
        for value in range(1, 9):
            shm.set_data(np.full(SHAPE, value, np.float32))
        capture.join()
        values = np.frombuffer(out, np.float32).reshape(4, 15)[:, 0].tolist()
        assert values == capture.frames[:, 0, 0].tolist() == (capture.info["cnt0"] - 1).tolist()
        assert np.shares_memory(capture.frames, np.frombuffer(out, np.uint8))
        read = ring.read(4, out=out)
        assert read.frames[:, 0, 0].tolist() == [1, 2, 3, 4]
        assert np.shares_memory(read.frames, np.frombuffer(out, np.uint8))
        del capture, read
        gc.collect()
    if kind == "mmap":
        out.close()


def test_file_that_is_too_short_for_its_mapping(make, tmp_path):
    shm = make("cam", ((256, 256), np.float32))
    out = np.memmap(tmp_path / "file", np.float32, "w+", shape=(8, 256, 256))
    os.truncate(tmp_path / "file", 4096)
    # Found before the first frame is waited for, and not by a crash.
    with pytest.raises(CaptureMemoryError, match="too short"):
        shm.capture(8, out=out, timeout=60)


def test_target_is_not_copied():
    memory = np.zeros(SHAPE, np.float32)
    assert as_target(memory, SHAPE, memory.dtype, "cam") is memory
    flat = bytearray(NBYTES)
    as_target(flat, SHAPE, memory.dtype, "cam")[:] = 1
    assert np.frombuffer(flat, np.float32).tolist() == [1.0] * 15


# -- kept memory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(256, 256), (1024, 600), (1500, 1500)])
def test_memory_of_large_frames_is_used_again(make, shape):
    shm = make("cam", ramp(*shape))
    first = shm.get_data()
    where = first.ctypes.data
    assert where % 4096 == 0
    view = first[10:20]
    del first
    assert shm.get_data().ctypes.data != where, "somebody still looks at it"
    expected = ramp(*shape)[10:20]
    shm.set_data(np.zeros(shape, np.float32))
    shm.get_data()
    np.testing.assert_array_equal(view, expected)
    del view
    used = {shm.get_data().ctypes.data for _ in range(4)}
    assert where in used
    assert len(used) <= 2


def test_large_frames_that_are_held_are_distinct(make):
    shm = make("cam", ((400, 400), np.float32))
    frames = []
    for value in range(20):
        shm.set_data(np.full((400, 400), value, np.float32))
        frames.append(shm.get_data())
    assert [frame[399, 399] for frame in frames] == list(range(20))
    assert all((frame == frame[0, 0]).all() for frame in frames)
    frames[3][:] = -1  # belongs to the caller alone
    assert [int(frame[0, 0]) for frame in frames] == [*range(3), -1, *range(4, 20)]


def test_kept_memory_is_bounded(make):
    def kept() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    shm = make("cam", ((4096, 4096), np.float32))
    frames = [shm.get_data() for _ in range(8)]
    held = kept()
    del frames
    gc.collect()
    assert held - kept() >= 4 * 4096 * 4096 * 4, "at most 256 MiB of half a GiB are kept"


def test_spares_of_other_sizes_make_room(make):
    sizes = [make(f"cam{k}", ((400 + 700 * k, 1000), np.float32)) for k in range(10)]
    for _ in range(3):
        for shm in sizes:
            shm.set_data(np.full(shm.shape, shm.shape[0], np.float32))
            assert (shm.get_data() == shm.shape[0]).all()


def test_out_of_a_temporal_cube_is_a_slice(make):
    shm = make("cam", (SHAPE, np.float32), ring=4, ring_kind="temporal")
    shm.set_data(ramp(*SHAPE))
    with pytest.raises(FrameMismatchError):
        shm.get_data(out=np.empty((4, *SHAPE), np.float32))
    out = np.empty(SHAPE, np.float32)
    assert shm.get_data(out=out) is out
    np.testing.assert_array_equal(out, ramp(*SHAPE))


def test_memory_of_many_frames_is_not_rounded_up(make):
    shm = make("cam", ((1040, 1024), np.uint16))  # a little more than 2 MiB
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1])
    frames = [shm.get_data() for _ in range(40)]
    with open("/proc/self/statm") as file:
        after = int(file.read().split()[1])
    grown = (after - before) * os.sysconf("SC_PAGE_SIZE")
    assert grown < 1.4 * 40 * shm.get_data().nbytes
    assert len({frame.ctypes.data for frame in frames}) == 40
