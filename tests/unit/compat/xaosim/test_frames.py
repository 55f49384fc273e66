"""Reading and writing frames by the xaosim interface."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest

from pymilk._core import IMAGETYPES
from pymilk.errors import FrameMismatchError, FrameTornWarning, StreamArgumentError
from support import golden
from support.xaosims import SHAPES, ramp

TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]


# -- reading ------------------------------------------------------------------------------------------


def test_check_is_a_counter_to_exceed(make):
    s = make("cam", data=ramp((3, 4)))
    s.set_data(ramp((3, 4), first=1))
    for check in (False, 0, 1, True, 1.5, np.int64(1), np.True_, -3):
        assert s.get_data(check=check, timeout=None)[0, 0] == 1


@pytest.mark.parametrize("check", [2, np.uint64(2), 10**30])
def test_old_data_after_the_timeout(make, check):
    s = make("cam", data=ramp((3, 4)))
    s.set_data(ramp((3, 4), first=1))
    began = time.monotonic()
    assert s.get_data(check, timeout=0.05)[0, 0] == 1
    assert time.monotonic() - began >= 0.05
    assert s.get_data(check, True, 0.001, 0)[0, 0] == 1
    assert s.get_data(check, timeout=-1)[0, 0] == 1


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"check": "1"}, "check"),
        ({"check": None}, "check"),
        ({"check": 1j}, "check"),
        ({"check": 5, "timeout": "soon"}, "timeout"),
        ({"check": 5, "timeout": float("nan")}, "timeout"),
    ],
)
def test_bad_arguments_of_get_data(make, options, argument):
    s = make("cam", data=ramp((3, 4)))
    with pytest.raises(StreamArgumentError, match=argument) as caught:
        s.get_data(**options)
    assert caught.value.argument == argument


def test_frames_are_copies(make):
    s = make("cam", data=ramp((3, 4)))
    for frame in (s.get_data(), s.get_data(reform=False), s.get_latest_data()):
        frame[:] = 99
        assert s.get_data().tolist() == ramp((3, 4)).tolist()


@pytest.mark.parametrize("call", ["get_data", "get_latest_data"])
def test_torn_frame_warns_in_the_name_of_the_script(make, shm_dir, call):
    shutil.copyfile(golden.path("ga_midwrite"), shm_dir / "ga_midwrite.im.shm")
    read = getattr(make("ga_midwrite"), call)
    with pytest.warns(FrameTornWarning, match="'ga_midwrite': frame 2 may be torn") as caught:
        read()
    assert [each.filename for each in caught] == [__file__]


def test_slices_of_a_circular_cube(make, make_stream):
    stream = make_stream("cam", (3, 2, 4), np.float32, imagetype=TEMPORAL)
    s = make("cam", nosem=False)
    for k in range(1, 6):
        s.set_data(ramp((2, 4), first=10 * k))
        assert s.get_latest_data_slice()[0, 0] == 10 * k
        assert s.get_latest_data_slice(2)[0, 0] == 10 * k  # its post is there
        assert s.get_latest_data_slice(reform=False).tolist() == ramp((8,), first=10 * k).tolist()
    assert s.get_data()[:, 0, 0].tolist() == [30, 40, 50]  # the first frame went to slice 1
    assert s.get_data(reform=False).shape == (24,)
    assert stream.section("slice_cnt0").tolist() == [3, 4, 5]
    assert (s.get_counter(), s.get_counter(1)) == (5, 2)
    s.set_data(ramp((3, 2, 4)))  # all slices at once
    assert s.get_data().tolist() == ramp((3, 2, 4)).tolist()


def test_slices_of_another_cube(make):
    s = make("cam", data=ramp((3, 2, 4)))
    for k in range(5):  # counter k + 1
        newest = s.get_latest_data_slice()
        assert newest.tolist() == ramp((3, 2, 4), first=k)[k % 3].tolist()
        assert s.get_latest_data_slice(reform=False).tolist() == newest.ravel().tolist()
        s.set_data(ramp((3, 2, 4), first=k + 1))


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_no_slices(make, shape):
    s = make("cam", data=ramp(shape))
    with pytest.raises(StreamArgumentError, match=f"{len(shape)} axes and no slices") as caught:
        s.get_latest_data_slice()
    assert isinstance(caught.value, ValueError)


# -- writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_set_data(make, shape):
    writer, reader = make("cam", data=np.zeros(shape, np.float32)), make("cam")
    frame = ramp(shape, first=7)
    before = time.clock_gettime_ns(11)
    assert writer.set_data(frame) is None
    reader.read_meta_data(verbose=False)
    assert reader.mtdata["cnt0"] == 2
    assert reader.mtdata["wtime_sec"] * 10**9 + reader.mtdata["wtime_ns"] >= before
    assert reader.mtdata["atime"] == reader.mtdata["wtime"]
    assert reader.get_data().tolist() == frame.tolist()
    # As many pixels, in C order; any memory and byte order.
    for given in (frame.ravel(), np.asfortranarray(frame), frame.astype(">f4"), frame[..., None]):
        writer.set_data(np.zeros(shape, np.float32))
        writer.set_data(given)
        assert reader.get_data().tolist() == frame.tolist()
    writer.set_data(frame.astype(int) + 1, check_dt=True)
    assert reader.get_data().tolist() == (frame + 1).tolist()


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (np.zeros((3, 5), np.float32), {}),
        (np.zeros((3, 5), np.int32), {"check_dt": True}),
        (np.zeros((3, 4), np.int32), {}),  # as many bytes
        (np.zeros((3, 4), np.float64), {}),
        (np.full((3, 4), "text"), {"check_dt": True}),
        ("text", {"check_dt": True}),
        (None, {}),
        ({"a": 1}, {"check_dt": True}),
        ([[1, 2], [3]], {}),
    ],
)
def test_data_that_does_not_fit(make, data, options):
    s = make("cam", data=ramp((3, 4)))
    with pytest.raises(FrameMismatchError, match="'cam'") as caught:
        s.set_data(data, **options)
    assert isinstance(caught.value, ValueError)
    assert s.get_counter() == 1
    assert s.get_data().tolist() == ramp((3, 4)).tolist()
