"""Pixels of an `Image`, and files that permit reading only."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import Stream
from pymilk.errors import FrameMismatchError, StreamArgumentError, StreamReadOnlyError
from pymilk.image import image_over
from support import isio_format as fmt
from support.images import CALLS, Image_kw, ramp

TEMPORAL = 0x20001
Make = Callable[..., Any]


# -- pixels -------------------------------------------------------------------------------------------


def test_buffer_protocol(make: Make) -> None:
    image = make("x", ramp(4, 3, dtype="i2"))
    view = memoryview(image)
    assert (view.shape, view.strides, view.itemsize, view.format) == ((4, 3), (2, 8), 2, "h")
    assert not view.readonly
    view[1, 2] = 77
    assert image.view()[1, 2] == image.copy()[1, 2] == 77
    assert image.md.cnt0 == 1  # announced by update only


def test_arrays_of_an_image(make: Make) -> None:
    image = make("x", ramp(4, 3))
    live = image.view()
    assert live.flags.f_contiguous
    assert live.flags.writeable
    for same in (np.asarray(image), np.array(image, copy=False), np.array(image, copy=False, order="F")):
        assert np.shares_memory(same, live)
        assert same.shape == (4, 3)
        assert same.flags.writeable
    for own in (np.array(image), image.copy(), np.array(image.copy()), np.asarray(image, "f8")):
        assert not np.shares_memory(own, live)
        assert own.flags.writeable
        np.testing.assert_array_equal(own, ramp(4, 3))
    assert image.copy().flags.f_contiguous
    assert image.__array__("f8").dtype == "f8"
    assert np.shares_memory(image.__array__(copy=False), live)
    assert not np.shares_memory(image.__array__(copy=True), live)
    assert (image + np.ones((4, 3)) if hasattr(image, "__add__") else np.add(image, 1))[1, 0] == 2


@pytest.mark.parametrize(
    ("buffer", "message", "field"),
    [
        (np.zeros((4, 3)), "incompatible type: stream 'x' has float32, the buffer float64", "dtype"),
        (np.zeros((4, 3), bool), "incompatible type", "dtype"),
        (np.zeros(4), "incompatible type", "dtype"),  # of several, the first that is checked
        ([[0.0] * 3] * 4, "incompatible type.*not a list", "dtype"),
        (None, "incompatible type.*not a NoneType", "dtype"),
        (np.zeros(12, "f4"), "incompatible number of axis.* 2, the buffer 1", "shape"),
        (np.float32(1), "incompatible number of axis", "shape"),
        (np.zeros((3, 4), "f4"), r"incompatible shape.* \(4, 3\), the buffer \(3, 4\)", "shape"),
    ],
)
def test_write_refuses(make: Make, buffer: Any, message: str, field: str) -> None:
    image = make("x", ramp(4, 3))
    with pytest.raises(ValueError, match=message) as caught:
        image.write(buffer)
    assert type(caught.value) is FrameMismatchError
    assert (caught.value.stream, caught.value.field) == ("x", field)
    assert (image.md.cnt0, image.md.cnt1, image.md.write, image.semvalue(0)) == (1, 1, 0, 1)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))


def test_uint8_is_not_cut(make: Make) -> None:
    """The old one took any type for such a stream, and wrote what was left of it."""
    image = make("x", np.zeros((4, 3), "u1"))
    with pytest.raises(ValueError, match="incompatible type"):
        image.write(np.full((4, 3), 300.0))
    image.write(np.ascontiguousarray(ramp(4, 3, dtype="u1")))
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))


def test_write_effects(make: Make) -> None:
    image = make("x", ramp(4, 3, 2))
    before = time.clock_gettime(11)
    assert image.write(ramp(4, 3, 2) + 1) is None
    md = image.md
    assert (md.cnt0, md.cnt1, md.write) == (2, 2, 0)
    assert md.acqtime == md.writetime
    assert float(md.writetime) > before - 1e-5
    assert [image.semvalue(k) for k in range(10)] == [2] * 10
    assert image.semWritePID == [os.getpid()] * 10
    image.write(image)  # of its own memory
    np.testing.assert_array_equal(image.copy(), ramp(4, 3, 2) + 1)
    for _ in range(12):
        image.write(ramp(4, 3, 2))
    assert image.semvalue(0) == 10


def test_counter_wraps(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.cnt0 = stream.cnt1 = 2**64 - 1
    foreign(stream)
    image = make("x")
    image.write(ramp(4))
    assert (image.md.cnt0, image.md.cnt1) == (0, 0)


def test_write_to_a_temporal_cube(make: Make) -> None:
    image = make("x", ramp(4, 3, 5, dtype="u2"), imagetype=TEMPORAL)
    assert (image.md.imagetype, image.md.cnt0, image.md.cnt1) == (1, 1, 0)
    assert image.cntarray == [0] * 5
    stream = Stream.attach("x")
    stream.publish(np.full((3, 4), 9, "u2"))
    assert (image.md.cnt1, image.cntarray) == (1, [0, 2, 0, 0, 0])
    assert (image.copy()[:, :, 1] == 9).all()
    assert image.writetimearray[1] == image.md.writetime
    image.write(ramp(4, 3, 5, dtype="u2"))
    assert (image.md.cnt0, image.md.cnt1) == (3, 1)
    stream.close()


def test_update(make: Make) -> None:
    image = make("x", ramp(4, 3), CBsize=4)
    image.semflush(-1)
    image.view()[:] = 5
    before = time.clock_gettime(11)
    assert image.update() == 0
    assert (image.md.cnt0, image.md.cnt1, image.semvalue(9)) == (2, 1, 1)
    assert image.md.acqtime == image.md.writetime
    assert float(image.md.acqtime) > before - 1e-5
    with Stream.attach("x") as stream:
        assert (stream.section("ring_slots")[2] == 5).all()


@pytest.mark.parametrize(
    "moment",
    [
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456),
        datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.timezone(datetime.timedelta(hours=-10))),
        1_700_000_000.25,
        1_700_000_000,
        np.float64(1_700_000_000.25),
    ],
)
def test_update_atime(make: Make, moment: Any) -> None:
    image = make("x", ramp(3))
    assert image.update_atime(moment) == 0
    seconds = moment.timestamp() if isinstance(moment, datetime.datetime) else moment
    assert abs(float(image.md.acqtime) - seconds) < 2e-6
    assert (image.md.cnt0, image.semvalue(0)) == (2, 2)
    assert image.md.writetime > image.md.acqtime
    stored = image.md.acqtime
    assert image.update_atime(stored) == 0  # what is read can be given
    assert image.md.acqtime == stored


@pytest.mark.parametrize("moment", ["now", None, math.nan, math.inf, 1e12])
def test_update_atime_refuses(make: Make, moment: Any) -> None:
    image = make("x", ramp(3))
    with pytest.raises(StreamArgumentError, match="atime"):
        image.update_atime(moment)
    assert image.md.cnt0 == 1


# -- read-only ----------------------------------------------------------------------------------------

TO_WRITE = (
    "update",
    "update_atime",
    "semwait",
    "semtimedwait",
    "semtrywait",
    "sempost",
    "semflush",
    "set_kws",
    "set_kws_list",
)


def test_read_only_stream(make: Make) -> None:
    make("x", ramp(4, 3), NBkw=2).set_kws_list([Image_kw("A", 1)])
    image = image_over(Stream.attach("x", writable=False), False)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    assert list(image.get_kws()) == ["A"]
    assert image.getsemwaitindex(0) == -1
    assert image.semvalue(0) == 1
    assert memoryview(image).readonly
    for found in (image.view(), np.asarray(image)):
        assert not found.flags.writeable
    assert np.array(image).flags.writeable
    for call in TO_WRITE:
        with pytest.raises(StreamReadOnlyError):
            CALLS[call](image)
    with pytest.raises(StreamReadOnlyError):
        image.write(ramp(4, 3))
    assert image.destroy() == 0
    assert image.close() == 0
