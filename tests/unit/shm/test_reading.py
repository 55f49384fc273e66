"""`SHM`: waiting, views, several frames."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from typing import Any

import numpy as np
import pytest

from pymilk import Which3DState
from pymilk._core import Stream
from pymilk.errors import CaptureMemoryError, StreamArgumentError, StreamTimeoutError, StreamTimeoutWarning
from support.camera import Camera, numbers

# -- waiting ------------------------------------------------------------------------------------------


def test_timeout_warns_and_gives_the_old_frame(make):
    shm = make("cam", numbers((2, 2)))
    began = time.monotonic()
    with pytest.warns(StreamTimeoutWarning, match="no new frame") as caught:
        frame = shm.get_data(check=True, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(frame, numbers((2, 2)))


def test_timeout_gives_none_where_asked(make):
    shm = make("cam", numbers((2, 2)))
    assert shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True) is None
    assert shm.get_data(return_none_on_timeout=True) is not None


@pytest.mark.parametrize("timeout", [None, 0, -1, 0.0, -0.5])
def test_no_timeout_waits_for_ever(make, timeout):
    shm = make("cam", numbers((2, 2)))
    frames: list[Any] = []
    waiter = threading.Thread(target=lambda: frames.append(shm.get_data(True, timeout)))
    waiter.start()
    waiter.join(0.15)
    assert waiter.is_alive()
    shm._stream.publish(numbers((2, 2)) + 1)
    waiter.join(10)
    assert not waiter.is_alive()
    np.testing.assert_array_equal(frames[0], numbers((2, 2)) + 1)


@pytest.mark.parametrize("timeout", [None, 0, -1])
def test_no_timeout_collects_for_ever(make, timeout):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam", 0.02):
        assert len(shm.multi_recv_data(3, timeout=timeout)) == 3


@pytest.mark.parametrize("timeout", ["soon", float("nan"), [1]])
def test_timeout_that_is_none(make, timeout):
    shm = make("cam", numbers((2, 2)))
    with pytest.raises((StreamArgumentError, TypeError)):
        shm.get_data(check=True, timeout=timeout)
    with pytest.raises(StreamArgumentError):
        shm.capture(1, timeout=timeout)


def test_wait_for_a_frame_that_comes_after_the_call(make):
    shm = make("cam", numbers((2, 2)))
    shm._stream.publish(numbers((2, 2)))
    # Published before the call: not what is waited for, unless the caller says so.
    none = {"check": True, "timeout": 0.01, "return_none_on_timeout": True}
    assert shm.get_data(**none) is None
    assert shm.get_data(**none, checkSemAndFlush=False) is not None
    # Now it has been read.
    assert shm.get_data(**none, checkSemAndFlush=False) is None
    shm._stream.publish(numbers((2, 2)))
    assert shm.get_data(check=False) is not None
    assert shm.get_data(**none, checkSemAndFlush=False) is None


def test_new_object_has_seen_what_is_there(make):
    make("cam", numbers((2, 2)))
    shm = make("cam")
    none = {"check": True, "timeout": 0.01, "return_none_on_timeout": True}
    assert shm.get_data(**none, checkSemAndFlush=False) is None
    shm.set_data(numbers((2, 2)))
    assert shm.get_data(**none, checkSemAndFlush=False) is not None


def test_old_posts_do_not_end_a_wait(make):
    shm = make("cam", numbers((2, 2)))
    assert shm.semID == 0
    shm._stream.post()
    shm._stream.post(0)
    assert shm.get_data(check=True, timeout=0.05, return_none_on_timeout=True) is None


# -- views --------------------------------------------------------------------------------------------


def test_view_is_live_and_never_dangles(make):
    shm = make("cam", numbers((4, 4)))
    view = shm.get_data(copy=False)
    copy = shm.get_data(copy=True)
    assert not view.flags.owndata
    copy[:] = 0  # a copy belongs to the caller
    np.testing.assert_array_equal(view, numbers((4, 4)))
    shm.set_data(numbers((4, 4)) * 2)
    np.testing.assert_array_equal(view, numbers((4, 4)) * 2)
    path = shm.FILEPATH
    shm.destroy()
    assert not os.path.exists(path)
    del shm
    gc.collect()
    np.testing.assert_array_equal(view, numbers((4, 4)) * 2)


def test_view_of_a_read_only_stream_is_read_only(make):
    make("cam", numbers((4, 4)))
    shm = make("cam")
    shm._adopt(Stream.attach("cam", writable=False))
    view = shm.get_data(copy=False)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    with pytest.raises(ValueError, match=r"(?i)writeable"):
        view.setflags(write=True)


def test_view_of_a_turned_stream(make):
    data = numbers((2, 3, 4))
    shm = make("cam", data, symcode=1, triDim=Which3DState.LAST2FRONT)
    view = shm.get_data(copy=False)
    np.testing.assert_array_equal(view, data)
    view[1, 2, 3] = -1
    assert shm.get_data()[1, 2, 3] == -1
    view[1, 2, 3] = data[1, 2, 3]
    shm.close()
    np.testing.assert_array_equal(view, data)


def test_view_after_a_new_frame_only(make):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam"):
        view = shm.get_data(check=True, copy=False)
    assert view[0, 0] == shm.get_counter()


def test_views_of_one_stream_do_not_share_flags(make):
    shm = make("cam", numbers((2, 2)))
    first = shm.get_data(copy=False)
    second = shm.get_data(copy=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer NumPy frowns on it, and allows it
        first.shape = (4,)
    assert second.shape == (2, 2)
    assert shm.get_data(copy=False).shape == (2, 2)


# -- several frames -----------------------------------------------------------------------------------


def test_list_or_cube(make, capsys):
    shm = make("cam", ((4, 5), np.uint16))
    with Camera("cam"):
        frames = shm.multi_recv_data(5)
        cube = shm.multi_recv_data(5, True)
        older = shm.multi_recv_data(5, outputFormat=0)
        cube2 = shm.multi_recv_data(5, output_as_cube=True, timeout=3.0)
    assert isinstance(frames, list)
    assert isinstance(older, list)
    assert len(frames) == 5
    assert {frame.shape for frame in frames} == {(4, 5)}
    assert cube.shape == cube2.shape == (5, 4, 5)
    assert capsys.readouterr() == ("", "")


def test_frames_are_a_copy(make):
    shm = make("cam", numbers((2, 2)))
    with Camera("cam"):
        cube = shm.multi_recv_data(3, True)
    expected = cube.copy()
    shm.set_data(numbers((2, 2)) * 100)
    shm.destroy()
    np.testing.assert_array_equal(cube, expected)
    cube[:] = 0


def test_irregularities_are_counted(make, capsys):
    shm = make("cam", ((2, 2), np.uint16))
    stream = shm._stream
    result: list[Any] = []
    receiver = threading.Thread(target=lambda: result.append(shm.multi_recv_data(3, True, True, timeout=20)))
    receiver.start()
    # Any number may be lost; what is printed has to agree with what was received.
    while receiver.is_alive():
        for _ in range(3):
            stream.publish(np.full((2, 2), (stream.counter + 1) % 65536, np.uint16))
        time.sleep(0.001)
    receiver.join()
    skips = int((np.diff(result[0][:, 0, 0].astype(int)) > 1).sum())
    lines = capsys.readouterr().out.splitlines()
    assert f"0 < 1, {skips} > 1 deltas in pre." in lines
    assert f"0 < 1, {skips} > 1 deltas in post." in lines
    assert "0 < 1, 0 > 1 pre/post diff." in lines


def test_partial_result_of_a_timeout(make):
    shm = make("cam", ((2, 2), np.uint16))
    with pytest.raises(StreamTimeoutError) as caught:
        shm.multi_recv_data(5, timeout=0.02)
    assert caught.value.capture.received == 0
    assert caught.value.stream == "cam"
    with pytest.raises(TimeoutError):
        shm.capture(5, timeout=0.02)


def test_more_frames_than_memory(make):
    shm = make("cam", ((100, 100), np.uint16))
    with pytest.raises(CaptureMemoryError) as caught:
        shm.capture(10**12)
    assert caught.value.needed == 10**12 * 20_000
    assert 0 < caught.value.available < caught.value.needed
    assert isinstance(caught.value, MemoryError)
    assert (shm.get_data() == 0).all()
