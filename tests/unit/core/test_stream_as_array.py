"""The core's `Stream` as an array: NumPy and DLPack."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pymilk._core import IMAGETYPES, Stream
from pymilk.errors import FrameMismatchError, StreamClosedError
from pymilk.streams.buffers import as_target
from support.refusals import ramp

Make = Callable[..., Stream]

NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


def test_facts_of_an_array(stream: Stream) -> None:
    assert (stream.shape, stream.dtype, stream.ndim, len(stream)) == ((2, 3), np.dtype("f4"), 2, 2)
    assert bool(stream)


def test_as_an_array_it_is_a_copy_of_the_newest_frame(stream: Stream) -> None:
    made = np.asarray(stream)
    assert type(made) is np.ndarray
    assert (made.shape, made.dtype) == (stream.shape, stream.dtype)
    assert made.flags.writeable
    made[...] = -1
    np.testing.assert_array_equal(np.asarray(stream), ramp(2))
    np.testing.assert_array_equal(np.add(stream, 1), ramp(2) + 1)
    assert np.asarray(stream, np.float64).dtype == np.float64


def test_without_a_copy_it_is_the_view(stream: Stream) -> None:
    view = stream.__array__(copy=False)
    assert np.shares_memory(view, stream.view())
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="float64 without a copy"):
        stream.__array__(np.float64, copy=False)


def test_dlpack(stream: Stream) -> None:
    assert stream.__dlpack_device__() == (1, 0)
    made = np.from_dlpack(stream)
    np.testing.assert_array_equal(made, ramp(2))
    assert not np.shares_memory(made, stream.view())
    with pytest.raises(BufferError, match="memory of the processor"):
        stream.__dlpack__(dl_device=(2, 0))
    if NUMPY_2:
        assert np.shares_memory(np.from_dlpack(stream, copy=False), stream.view())


def test_of_a_temporal_cube_it_is_all_slices(make_stream: Make) -> None:
    kind = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
    ring = make_stream("ring", (3, 2, 2), "u2", imagetype=kind)
    for number in (1, 2):
        ring.publish(np.full((2, 2), number, "u2"))
    made = np.asarray(ring)
    assert made.shape == ring.shape == (3, 2, 2)
    assert made[ring.cnt1].tolist() == [[2, 2], [2, 2]]


def test_a_frame_can_be_another_stream(stream: Stream, make_stream: Make) -> None:
    other = make_stream("other", (2, 3), "f4")
    other.publish(stream)  # type: ignore[arg-type]
    np.testing.assert_array_equal(other.view(), ramp(2))


def test_it_is_no_memory_to_fill(stream: Stream) -> None:
    # What DLPack hands over is a copy: nobody would see what is written into it.
    with pytest.raises(FrameMismatchError, match="Stream has no memory"):
        as_target(stream, stream.shape, stream.dtype, "cam0")


def test_closed(stream: Stream) -> None:
    stream.close()
    assert len(stream) == 2
    for call in (np.asarray, np.from_dlpack, lambda it: it.__array__(copy=False)):
        with pytest.raises(StreamClosedError):
            call(stream)
