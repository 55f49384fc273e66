"""Frames read out of a ring."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM, Which3DState
from pymilk._core import FLAG_VERIFIED
from pymilk.errors import FrameMismatchError, StreamTimeoutError
from support.rings import CAPACITY, DTYPE, SHAPE, Both, account, each_source, numbers_of
from support.waiting import PATIENCE, until

MakeSHM = Callable[..., SHM]


@each_source
def test_read_joins_across_the_end(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    for _ in range(5):
        both.feed(CAPACITY)
        capture = both.ring.read(CAPACITY, timeout=0)
        assert numbers_of(capture) == list(range(both.number - CAPACITY + 1, both.number + 1))
        assert not capture.info["lost"].any()
        assert (capture.info["flags"] & FLAG_VERIFIED).all()
    report = capture.report
    assert (report.received, report.requested, report.lost) == (CAPACITY, CAPACITY, 0)


@each_source
def test_read_more_than_the_ring_holds(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    wanted = 6 * CAPACITY + 3

    def write() -> None:
        while both.number < wanted + 1:
            # No frame is lost: the writer waits, as real ones never do.
            until(lambda: both.ring.lag < CAPACITY - 1)
            both.feed()

    writer = threading.Thread(target=write)
    writer.start()
    capture = both.ring.read(wanted, timeout=PATIENCE)
    writer.join()
    assert numbers_of(capture) == list(range(2, wanted + 2))
    assert account(both.ring) == (wanted, 0, 0)


@each_source
@pytest.mark.parametrize("symcode", range(8))
def test_orientation(make: MakeSHM, source: str, symcode: int) -> None:
    kind = {} if source == "collector" else {"ring": CAPACITY + 1, "ring_kind": source}
    frame = np.arange(12, dtype=DTYPE).reshape(SHAPE)
    shm = make("cam", frame, symcode=symcode, **kind)
    ring = shm.ring_reader(CAPACITY, start="newest")
    until(lambda: ring.lag == 1)
    shape = shm.shape
    assert shape == SHAPE
    assert ring.shape == shape
    np.testing.assert_array_equal(shm.get_data(), frame)
    np.testing.assert_array_equal(ring.latest(), frame)
    np.testing.assert_array_equal(ring.peek(1).frames, frame[None])
    for order in (None, "C", "F"):
        out = None if order is None else np.zeros((1, *shape), DTYPE, order=order)
        ring.rewind(1)
        capture = ring.read(1, out=out, timeout=0)
        np.testing.assert_array_equal(capture.frames, frame[None])
        if out is not None:
            np.testing.assert_array_equal(out, frame[None])
            assert np.shares_memory(out, capture.frames)
    # Another object sees the same stream with another orientation.
    other = make("cam", symcode=(symcode + 1) % 8)
    with other.ring_reader(CAPACITY, start="newest") as second:
        until(lambda: second.lag == 1)
        np.testing.assert_array_equal(second.read(1).frames[0], other.get_data())


@pytest.mark.parametrize("source", ["fast", "collector"])
@pytest.mark.parametrize("axis", [Which3DState.LAST2LAST, Which3DState.FRONT2LAST])
def test_orientation_of_cubes(make: MakeSHM, source: str, axis: Which3DState) -> None:
    kind = {} if source == "collector" else {"ring": 4}
    frame = np.arange(24, dtype=DTYPE).reshape(2, 3, 4)
    shm = make("cam", frame, symcode=3, triDim=axis, **kind)
    with shm.ring_reader(3, start="newest") as ring:
        until(lambda: ring.lag == 1)
        assert ring.shape == frame.shape
        np.testing.assert_array_equal(ring.peek(1).frames, frame[None])
        np.testing.assert_array_equal(
            ring.read(1, out=np.zeros((1, *frame.shape), DTYPE)).frames[0], frame
        )


@each_source
def test_read_beyond_the_timeout(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    out = np.zeros((5, *SHAPE), DTYPE)
    began = time.monotonic()
    with pytest.raises(StreamTimeoutError, match=r"'cam': no (new )?frame") as caught:
        both.ring.read(5, out=out, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.stream, error.timeout, error.counter) == ("cam", 0.05, both.number)
    assert numbers_of(error.capture) == [2, 3, 4]
    assert (error.capture.report.requested, error.capture.report.received) == (5, 3)
    assert out[:, 0, 0].tolist() == [2, 3, 4, 0, 0]
    assert account(both.ring) == (3, 0, 0)
    again = pickle.loads(pickle.dumps(error))
    assert again.capture.info["cnt0"].tolist() == [2, 3, 4]
    # It goes on where it was.
    both.feed()
    assert numbers_of(both.ring.read(1)) == [5]


@each_source
def test_read_into_what_does_not_fit(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    readonly = np.zeros((2, *SHAPE), DTYPE)
    readonly.flags.writeable = False
    for out, field in (
        (np.zeros((3, *SHAPE), DTYPE), "shape"),
        (np.zeros((2, 4, 3), DTYPE), "shape"),
        (np.zeros((2, *SHAPE), np.float32), "dtype"),
        ([1, 2], "dtype"),
        (readonly, "writeable"),
    ):
        with pytest.raises(FrameMismatchError, match="'cam'") as caught:
            both.ring.read(2, out=out)
        assert (caught.value.stream, caught.value.field) == ("cam", field)
    assert account(both.ring) == (0, 0, 0)
    assert numbers_of(both.ring.read(2)) == [2, 3]
