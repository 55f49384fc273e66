"""`SHM` that writes a ring: its bytes, claim, set_many."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import IMAGETYPES
from pymilk.errors import FrameMismatchError, StreamArgumentError, StreamBusyError, StreamReplacedError
from support import isio_format as fmt
from support.rings import DTYPE, SHAPE, Both, account, each_source, numbers_of, stamped
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]


# --- writing rings: the bytes ------------------------------------------------------------------


def content(shm: SHM) -> fmt.StreamFile:
    return fmt.decode(Path(shm.FILEPATH).read_bytes())


def in_ns(time: tuple[int, int]) -> int:
    return time[0] * 1_000_000_000 + time[1]


def test_bytes_of_a_fast_ring(make: MakeSHM) -> None:
    """Every ISIO program sees a plain stream, whose first frame is in slot 1."""
    shm = make("cam", stamped(1), ring=5)
    file = content(shm)
    assert (file.naxis, tuple(file.size[:2]), file.CBsize) == (2, SHAPE[::-1], 5)
    assert file.imagetype == IMAGETYPES["MATH_DATA"]
    assert (file.CBindex, file.CBcycle, file.cnt0) == (1, 0, 1)
    assert file.ring_slots[0] == bytes(4 * 12)
    for number in range(2, 13):
        shm.set_data(stamped(number))
        file = content(shm)
        assert (file.cnt0, file.CBindex, file.CBcycle) == (number, number % 5, number // 5)
        for k in range(max(1, number - 4), number + 1):
            assert file.ring_slots[k % 5] == stamped(k).tobytes()
            record = file.ring_records[k % 5]
            assert (record["cnt0"], record["cnt1"]) == (k, k % 5)
        assert (record["atime"], record["writetime"]) == (file.atime, file.writetime)
        assert in_ns(file.writetime) > 0
        assert file.pixels == stamped(number).tobytes()


def test_bytes_of_a_temporal_ring(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=5, ring_kind="temporal")
    file = content(shm)
    assert (file.naxis, tuple(file.size)) == (3, (4, 3, 5))
    assert file.imagetype == IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"] == 0x20001
    assert (file.CBsize, file.cnt0, file.cnt1) == (0, 1, 1)
    assert file.cntarray == [0, 1, 0, 0, 0]
    times = {1: file.writetime}
    for number in range(2, 13):
        shm.set_data(stamped(number))
        file = content(shm)
        times[number] = file.writetime
        assert (file.cnt0, file.cnt1) == (number, number % 5)
        cube = np.frombuffer(file.pixels, DTYPE).reshape(5, *SHAPE)
        for k in range(max(1, number - 4), number + 1):
            assert (cube[k % 5] == k).all()
            assert file.cntarray[k % 5] == k
            assert file.writetimearray[k % 5] == file.atimearray[k % 5] == times[k]


def test_shape_of_temporal_rings(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=5, ring_kind="temporal")
    for item in (shm, make("cam")):
        assert (item.shape, item.nDim, item.nptype) == (SHAPE, 2, DTYPE)
        assert item.shape_c == (4, 3, 5)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_ring_from_a_shape(make: MakeSHM, kind: str) -> None:
    shm = make("cam", (SHAPE, DTYPE), ring=3, ring_kind=kind)
    assert shm.get_counter() == 1
    assert shm.get_data().tolist() == np.zeros(SHAPE).tolist()
    assert shm.get_data().shape == SHAPE


def test_get_data_of_a_temporal_ring(make: MakeSHM) -> None:
    """The newest slice by default, the whole cube in the order of the file on request."""
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    other = make("cam")
    for number in range(2, 11):
        shm.set_data(stamped(number))
        for item in (shm, other):
            for copied in (True, False):
                frame = item.get_data(copy=copied)
                assert frame.shape == SHAPE
                assert (frame == number).all()
                assert np.shares_memory(frame, item.get_data(copy=False)) != copied
                cube = item.get_data(copy=copied, cube=True)
                assert cube.shape == (4, *SHAPE)
                assert cube[number % 4, 0, 0] == number
                assert np.shares_memory(cube, item.get_data(copy=False)) != copied
    assert sorted(cube[:, 0, 0].tolist()) == [7, 8, 9, 10]
    # Plain streams have nothing else to give.
    plain = make("plain", stamped(5))
    assert plain.get_data(cube=True).shape == SHAPE


@pytest.mark.parametrize("symcode", range(8))
def test_cube_is_oriented_as_its_frames(make: MakeSHM, symcode: int) -> None:
    frame = np.arange(12, dtype=DTYPE).reshape(SHAPE)
    shm = make("cam", frame, ring=3, ring_kind="temporal", symcode=symcode)
    np.testing.assert_array_equal(shm.get_data(), frame)
    np.testing.assert_array_equal(shm.get_data(copy=False), frame)
    np.testing.assert_array_equal(shm.get_data(cube=True)[1], frame)


def test_waiting_for_a_slice(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    reader = make("cam")
    writer = threading.Timer(0.02, shm.set_data, [stamped(2)])
    writer.start()
    assert (reader.get_data(check=True, timeout=PATIENCE) == 2).all()
    writer.join()


# --- claim -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
@pytest.mark.parametrize("symcode", [0, 2, 4, 5])
def test_claim(make: MakeSHM, kind: str, symcode: int) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", ((3, 4), DTYPE), symcode=symcode, **options)
    for number in range(2, 8):
        frame = np.arange(12, dtype=DTYPE).reshape(SHAPE) + 100 * number
        with shm.claim(atime_ns=number) as pixels:
            assert pixels.shape == SHAPE
            pixels[:] = frame
            assert shm.get_counter() == number - 1
        assert shm.get_counter() == number
        np.testing.assert_array_equal(shm.get_data(), frame)
        file = content(shm)
        assert in_ns(file.atime) == number
        if kind == "temporal":
            assert (file.cnt1, file.cntarray[number % 4]) == (number % 4, number)
            assert in_ns(file.atimearray[number % 4]) == number
            assert np.shares_memory(pixels, shm.get_data(cube=True, copy=False)[number % 4])
        elif kind == "fast":
            assert file.ring_slots[number % 4] == file.pixels
            assert in_ns(file.ring_records[number % 4]["atime"]) == number


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_exception_abandons_a_claim(make: MakeSHM, kind: str) -> None:
    both = Both(make, kind)
    before = content(both.shm)
    with pytest.raises(ZeroDivisionError), both.shm.claim() as pixels:  # noqa: PT012
        pixels[:] = 99
        raise ZeroDivisionError
    after = content(both.shm)
    for field in (
        "cnt0",
        "cnt1",
        "CBindex",
        "CBcycle",
        "cntarray",
        "ring_slots",
        "ring_records",
        "write",
    ):
        assert getattr(after, field) == getattr(before, field)
    assert both.ring.lag == 0
    if kind == "temporal":
        assert (both.shm.get_data() == 1).all()  # only the next slice was touched
    both.feed(2)
    assert numbers_of(both.ring.read(2)) == [2, 3]


def test_claims_do_not_nest(make: MakeSHM) -> None:
    shm = make("cam", stamped(1), ring=4, ring_kind="temporal")
    with shm.claim() as pixels:
        pixels[:] = 2
        with pytest.raises(StreamBusyError) as caught, shm.claim():
            pass
        assert caught.value.stream == "cam"
        with pytest.raises(StreamBusyError):
            shm.set_data(stamped(3))
        with pytest.raises(StreamBusyError):
            shm.set_many(stamped(3)[None])
    assert (shm.get_data() == 2).all()


# --- set_many ----------------------------------------------------------------------------------


@each_source
def test_set_many(make: MakeSHM, source: str) -> None:
    both = Both(make, source, capacity=20)
    frames = np.stack([stamped(number) for number in range(2, 12)])
    assert both.shm.set_many(frames) == both.shm.get_counter() == 11
    both.number = 11
    if source == "collector":
        # As fast as possible: some may be gone before they could be copied, and count as lost.
        both.settle()
        numbers = numbers_of(both.ring.read(both.ring.lag))
        assert numbers[-1] == 11
        assert account(both.ring) == (len(numbers), 10 - len(numbers), 0)
    else:
        assert numbers_of(both.ring.read(10, timeout=0)) == list(range(2, 12))
    assert (both.shm.get_data() == 11).all()


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_with_times(make: MakeSHM, kind: str) -> None:
    options = {} if kind == "plain" else {"ring": 6, "ring_kind": kind}
    shm = make("cam", stamped(1), **options)
    for times in (
        np.array([11, 12, 13]),
        [21, 22, 23],
        np.array([31, 32, 33], np.uint32),
        np.array([41, 0, 42, 0, 43], np.int64)[::2],
    ):
        counter = shm.set_many([stamped(2), stamped(3), stamped(4)], times)
        file = content(shm)
        assert in_ns(file.atime) == times[-1]
        for back, expected in zip((2, 1, 0), times, strict=True):
            slot = (counter - back) % 6
            if kind == "fast":
                assert in_ns(file.ring_records[slot]["atime"]) == expected
                assert in_ns(file.ring_records[slot]["writetime"]) > 10**18
            elif kind == "temporal":
                assert in_ns(file.atimearray[slot]) == expected
                assert in_ns(file.writetimearray[slot]) > 10**18


@each_source
def test_set_many_at_a_rate(make: MakeSHM, source: str) -> None:
    both = Both(make, source, capacity=20)
    began = time.monotonic()
    both.shm.set_many(np.stack([stamped(number) for number in range(2, 12)]), rate=200)
    # Frames are never early: 9 intervals lie between 10 of them.
    assert time.monotonic() - began >= 9 / 200
    both.number = 11
    both.settle()
    capture = both.ring.dump()
    assert numbers_of(capture)[-1] == 11
    assert (np.diff(capture.info["writetime_ns"].astype(np.int64)) > 0).all()


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_turns_frames(make: MakeSHM, kind: str, symcode: int) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", (SHAPE, DTYPE), symcode=symcode, **options)
    frames = np.arange(36, dtype=DTYPE).reshape(3, *SHAPE)
    for given_frames in (
        frames,
        np.asfortranarray(frames),
        frames[::-1],
        frames.tolist(),
        frames.astype(">u4"),
    ):
        shm.set_many(given_frames)
        np.testing.assert_array_equal(shm.get_data(), np.asarray(given_frames)[-1])


def test_set_many_of_other_shapes(make: MakeSHM) -> None:
    line = make("line", (5, np.float32), ring=3)
    assert line.set_many(np.arange(10, dtype=np.float32).reshape(2, 5)) == 3
    assert line.get_data().tolist() == [5, 6, 7, 8, 9]
    cube = make("cube", ((2, 3, 4), np.int16), ring=3)
    assert cube.set_many(np.arange(48, dtype=np.int16).reshape(2, 2, 3, 4)) == 3
    assert cube.get_data().ravel().tolist() == list(range(24, 48))


@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_set_many_that_does_not_fit(make: MakeSHM, kind: str) -> None:
    options = {} if kind == "plain" else {"ring": 4, "ring_kind": kind}
    shm = make("cam", stamped(1), **options)
    before = Path(shm.FILEPATH).read_bytes()
    fits = np.zeros((2, *SHAPE), DTYPE)
    for frames, field in (
        (fits[0], "shape"),
        (fits[:0], "shape"),
        (np.zeros((2, 4, 3), DTYPE), "shape"),
        (np.zeros((2, 1, *SHAPE), DTYPE), "shape"),
        (5, "shape"),
        (fits.astype(np.float32), "dtype"),
        ((fits - 1.5).tolist(), "dtype"),
        (["text"], "dtype"),
        (None, "dtype"),
    ):
        with pytest.raises(FrameMismatchError, match="'cam'") as caught:
            shm.set_many(frames)
        error = caught.value
        assert (error.stream, error.field) == ("cam", field)
        assert error.expected == (SHAPE if field == "shape" else DTYPE)
    for rate in (0, -1, "fast", math.nan, math.inf, 1e10):
        with pytest.raises(StreamArgumentError, match="frames per second") as argument:
            shm.set_many(fits, rate=rate)
        assert argument.value.argument == "rate"
        assert argument.value.found is rate
    for atimes in ([1], [1, 2, 3], [1.5, 2.5], 7, "now", [[1, 2]], [None, None]):
        with pytest.raises(StreamArgumentError, match="2 integer nanoseconds") as argument:
            shm.set_many(fits, atimes)
        assert argument.value.argument == "atimes"
        assert argument.value.found is atimes
    assert Path(shm.FILEPATH).read_bytes() == before


def test_writing_into_a_replaced_file(make: MakeSHM) -> None:
    old = make("cam", stamped(1), ring=4)
    new = make("cam", stamped(1), ring=8)
    frames = np.stack([stamped(2), stamped(3)])
    with pytest.raises(StreamReplacedError, match="autorelink_if_need"):
        old.set_many(frames)
    with pytest.raises(StreamReplacedError), old.claim():
        pass
    assert new.get_counter() == 1
    assert old.set_many(frames, autorelink_if_need=True) == 3
    with old.claim(autorelink_if_need=True) as pixels:
        pixels[:] = 4
    assert (new.get_data() == 4).all()
