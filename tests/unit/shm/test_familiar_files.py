"""What `SHM` has for existing scripts: files."""

from __future__ import annotations

import datetime
import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Which3DState
from pymilk.errors import FrameMismatchError, StreamClosedError
from support.familiar import numbers


@pytest.mark.parametrize("symcode", range(8))
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4)])
def test_saved_frame_comes_back_and_stands_upright(make, tmp_path, fits_module, shape, symcode):
    from pymilk.fits import multi_read

    for state in Which3DState if len(shape) == 3 else [Which3DState.LAST2LAST]:
        shm = make("cam", numbers(*shape), symcode=symcode, triDim=state)
        assert shm.save_as_fits(tmp_path / "cam.fits") == 0
        np.testing.assert_array_equal(multi_read(tmp_path / "cam.fits", symcode, state), numbers(*shape))
        with fits_module.open(tmp_path / "cam.fits") as hdus:
            axes = tuple(hdus[0].header[f"NAXIS{axis + 1}"] for axis in range(len(shape)))
            assert axes == shm.shape_c  # NAXIS1 is the fastest axis of the stream: x
            stored = hdus[0].data
        np.testing.assert_array_equal(stored, SHM("cam").IMAGE.copy().T)


def test_header_of_a_saved_frame(make, tmp_path, fits_module):
    shm = make("cam", numbers(3, 5), symcode=2)
    shm.set_keywords({"EXPTIME": (0.5, "exposure"), "longer_name": 3, "FILTER": "H"})
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=datetime.timezone.utc)
    shm.repost(moment)
    shm.save_as_fits(tmp_path / "cam.fits")
    header = fits_module.getheader(tmp_path / "cam.fits")
    assert (header["EXPTIME"], header.comments["EXPTIME"]) == (0.5, "exposure")
    assert (header["longer_name"], header["FILTER"]) == (3, "H")
    assert (header["CNT0"], header["SHM_NAME"], header["SYMCODE"]) == (2, "cam", 2)
    assert header["ATIME_NS"] == shm.mtdata["atime_ns"] == round(moment.timestamp() * 1e6) * 1000
    assert header["WTIME_NS"] == shm.mtdata["wtime_ns"]
    assert header["TIMESYS"] == "UTC"
    shm.save_as_fits(tmp_path / "bare.fits", header=False)
    assert "EXPTIME" not in fits_module.getheader(tmp_path / "bare.fits")


@pytest.mark.parametrize("symcode", [0, 4])
def test_all_slices_of_a_temporal_cube(make, tmp_path, fits_module, symcode):
    from pymilk.fits import multi_read

    shm = make("cam", ((2, 3), np.float32), ring=4, ring_kind="temporal", symcode=symcode)
    for value in range(5):
        shm.set_data(numbers(2, 3) * value)
    shm.save_as_fits(tmp_path / "newest.fits")
    np.testing.assert_array_equal(multi_read(tmp_path / "newest.fits", symcode), numbers(2, 3) * 4)
    shm.save_as_fits(tmp_path / "cube.fits", cube=True)
    pixels = fits_module.getdata(tmp_path / "cube.fits")
    np.testing.assert_array_equal(pixels, shm.IMAGE.copy().T)


def test_pixels_that_fits_has_not(make, tmp_path, fits_module):
    shm = make("cam", ((2, 2), np.complex64))
    with pytest.raises(Exception, match="complex64"):
        shm.save_as_fits(tmp_path / "cam.fits")
    assert list(tmp_path.iterdir()) == []


def test_posts_stay_when_a_semaphore_is_taken(make):
    shm = make("cam", numbers(2, 2))  # whose first frame has posted every semaphore
    other = make("cam")
    index = other.IMAGE.getsemwaitindex(4)
    assert index == 4
    assert other.IMAGE.semvalue(index) == 1
    assert other.IMAGE.semtrywait(index) == 0
    assert other.IMAGE.semtrywait(index) == -1
    shm.set_data(numbers(2, 2))
    assert other.check_sem_value() == 1


def test_any_true_value_follows(make):
    make("cam", numbers(2, 2))
    reader = make("cam")
    make("cam", numbers(2, 2) * 2)
    for follow in (1, np.True_):
        old = make("cam")
        np.testing.assert_array_equal(reader.get_data(autorelink_if_need=follow), old.get_data())
        make("cam", numbers(2, 2) * 3)


def test_semaphore_of_an_object_whose_other_thread_waits(make):
    shm = make("cam", numbers(2, 2))
    index = shm.semID
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        shm.get_data(True, timeout=30)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    for _ in range(200):
        assert shm.semID == index
        assert shm.IMAGE.semReadPID[index] == os.getpid()
        assert make("cam").semID != index
        if _ == 5:
            break
    while thread.is_alive():
        shm.set_data(numbers(2, 2))
        thread.join(0.01)


@pytest.mark.parametrize("timeout", [np.int64(0), np.int32(-1), np.float32(-1), np.float64(0), np.float32(0)])
def test_numpy_timeouts_wait_for_ever_too(make, timeout):
    shm = make("cam", numbers(2, 2))
    frames: list[Any] = []
    thread = threading.Thread(target=lambda: frames.append(shm.get_data(True, timeout=timeout)))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    while thread.is_alive():
        shm.set_data(numbers(2, 2))
        thread.join(0.01)
    assert len(frames) == 1


def test_lists_and_numbers_are_rounded_to_floating_point(make):
    shm = make("tiptilt", ((3,), np.float32))
    shm.set_data([0.1, 0.2, 16777217])
    np.testing.assert_array_equal(shm.get_data(), np.float32([0.1, 0.2, 16777217]))
    assert shm.set_many([[0.1, 0.2, 0.3]] * 2) == 4
    with pytest.raises(FrameMismatchError):
        shm.set_data([1e300, 0, 0])
    with pytest.raises(FrameMismatchError):
        shm.set_data([1j, 0, 0])
    counts = make("counts", ((3,), np.uint8))
    with pytest.raises(FrameMismatchError, match="check_dt"):
        counts.set_data([1.5, 2, 3])
    counts.set_data([1.5, 2, 3], check_dt=True)
    assert counts.get_data().tolist() == [1, 2, 3]


def test_pickled_object_is_attached_again(make):
    shm = make("cam", numbers(2, 3), symcode=5)
    again = pickle.loads(pickle.dumps(shm))
    try:
        assert (again.FNAME, again.symcode, again.shape) == ("cam", 5, (2, 3))
        again.set_data(numbers(2, 3) * 2)
        np.testing.assert_array_equal(shm.get_data(), numbers(2, 3) * 2)
    finally:
        again.close()
    with pytest.raises(TypeError, match="local"):
        pickle.dumps(make("local", numbers(2, 2), shared=False))
    shm.close()
    with pytest.raises(StreamClosedError):
        pickle.dumps(shm)


def test_subclass_that_forgets_to_begin():
    class Hollow(SHM):
        def __init__(self) -> None:
            pass

    with pytest.raises(StreamClosedError):
        Hollow().get_data()
    with pytest.raises(StreamClosedError):
        Hollow().set_data(numbers(2, 2))
