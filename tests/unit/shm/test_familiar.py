"""What `SHM` has for existing scripts: older spellings, the object of the wrapper, what was given up."""

from __future__ import annotations

import datetime
import gc
import inspect
import os
import threading
import time

import numpy as np
import pytest

from pymilk import SHM, Stream, Which3DState
from pymilk.errors import (
    FrameMismatchError,
    SemaphoresExhaustedError,
    StreamArgumentError,
    StreamClosedError,
    StreamNameError,
    StreamNotFoundError,
    StreamTimeoutWarning,
)
from pymilk.interfacing import isio_shmlib
from pymilk.interfacing import shm as shm_module
from support.familiar import numbers

# -- names ----------------------------------------------------------------


def test_plain_name(shm_dir):
    folder = str(shm_dir)
    for spelling in ("cam", "cam.im.shm", f"{folder}/cam", f"{folder}/cam.im.shm", shm_dir / "cam"):
        assert shm_module.check_SHM_name(spelling) == "cam"
    (shm_dir / "deep").mkdir()
    for elsewhere in ("/somewhere/cam.im.shm", "./cam", f"{folder}/deep/cam", "deep/cam.im.shm"):
        with pytest.raises(StreamNameError) as caught:
            shm_module.check_SHM_name(elsewhere)
        assert isinstance(caught.value, ValueError)
        with pytest.raises(ValueError, match="stream directory"):
            SHM(elsewhere)


def test_directory_behind_a_link(make, shm_dir, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(shm_dir)
    make("cam", numbers(2, 2))
    assert str(shm_dir / "cam.im.shm") == make(f"{link}/cam").FILEPATH


def test_name_that_ends_twice(make):
    shm = make("cam.im.shm.im.shm", numbers(2, 2))
    assert shm.FNAME == "cam.im.shm"
    assert make("cam.im.shm.im.shm").FILEPATH == shm.FILEPATH
    with pytest.raises(StreamNotFoundError):
        SHM("cam")


def test_stream_directory_as_a_function(shm_dir):
    assert shm_module.MILK_SHM_DIR() == str(shm_dir)


def test_both_spellings_of_the_module_share_everything():
    for name in shm_module.__all__:
        assert getattr(isio_shmlib, name) is getattr(shm_module, name)
    assert set(isio_shmlib.__all__) == set(shm_module.__all__)


# -- get_data as it was called ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {}),
        ((False,), {}),
        ((False, True), {}),
        ((False, True, 0.001), {}),
        ((False, False, 0.0, 5.0, True, True, True), {}),
        ((False, True), {"timeout": 1.0}),
        ((False, np.True_), {"sleepT": 0.0}),
        ((), {"check": False, "reform": True, "sleepT": 0.0}),
        ((0, 5.0), {}),
        ((0, None, True, True, True, True), {}),
    ],
)
def test_reading_as_in_every_generation(make, args, options):
    shm = make("cam", numbers(2, 3))
    frame = shm.get_data(*args, **options)
    np.testing.assert_array_equal(frame, numbers(2, 3))
    assert frame.base is None or not np.shares_memory(frame, shm.get_data(copy=False))


@pytest.mark.parametrize(
    "args",
    [
        (True, 0.05),
        (1, 0.05, True, True, False),
        (True, True, 0.001, 0.05),
        (True, False, 0.0, 0.05, True, True),
    ],
)
def test_timeout_by_position(make, args):
    shm = make("cam", numbers(2, 2))
    began = time.monotonic()
    with pytest.warns(StreamTimeoutWarning) as caught:
        shm.get_data(*args)
    assert time.monotonic() - began >= 0.05
    assert caught[0].filename == __file__


def test_view_by_position(make):
    shm = make("cam", numbers(2, 2))
    mine = shm.get_data(copy=False)
    assert np.shares_memory(shm.get_data(False, 1.0, False), mine)
    assert np.shares_memory(shm.get_data(False, True, 0.0, 1.0, False), mine)
    assert shm.get_data(True, 0.01, True, True, True, True) is None


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((False, True, 0.0, 5.0, True, True, True, True), {}),
        ((False, 5.0, True, True, True, True, True), {}),
        ((False, 1.0), {"timeout": 2.0}),
        ((False, True, 0.0, 1.0), {"timeout": 2.0}),
        ((False, 1.0, True), {"copy": False}),
        ((False, True, 0.0), {"sleepT": 0.5}),
    ],
)
def test_calls_that_contradict_themselves(make, args, options):
    shm = make("cam", numbers(2, 2))
    with pytest.raises(TypeError):
        shm.get_data(*args, **options)


def test_shown_signature_is_the_newest():
    shown = inspect.signature(SHM.get_data)
    assert list(shown.parameters)[:7] == [
        "self",
        "check",
        "timeout",
        "copy",
        "checkSemAndFlush",
        "autorelink_if_need",
        "return_none_on_timeout",
    ]
    assert shown.parameters["timeout"].default == 5.0
    bound = shown.bind(None, True, 1.0, False)
    assert bound.arguments["copy"] is False


# -- in place ----------------------------------------------------------------


@pytest.mark.parametrize("symcode", range(8))
def test_fill_in_place_and_repost(make, symcode):
    shm = make("cam", ((3, 4), np.float32), symcode=symcode)
    other = make("cam", symcode=symcode)
    pixels = shm.get_data(copy=False)
    pixels[...] = numbers(3, 4)
    before = other.get_counter()
    shm.repost()
    assert other.get_counter() == before + 1
    np.testing.assert_array_equal(other.get_data(), numbers(3, 4))
    shm.close()
    pixels[0, 0] = 7  # valid memory, and still that of the stream
    assert other.get_data()[0, 0] == 7


def test_repost_takes_every_kind_of_time(make):
    shm = make("cam", numbers(2, 2))
    shm.repost()
    assert shm.md.acqtime == shm.md.writetime
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 250_000)
    for given in (moment, moment.timestamp(), moment.astimezone(), np.float64(moment.timestamp())):
        shm.repost(given)
        assert shm.md.acqtime == moment
        assert float(shm.md.acqtime) == moment.timestamp()
        assert shm.md.writetime > moment
    shm.repost(5)
    assert shm.mtdata["atime_ns"] == 5_000_000_000
    for wrong in ("now", float("nan"), float("inf"), [1]):
        with pytest.raises(StreamArgumentError):
            shm.repost(wrong)


# -- the object of the wrapper ----------------------------------------------------------------


def test_image_is_the_same_memory(make):
    shm = make("cam", numbers(2, 3))
    image = shm.IMAGE
    assert image is shm.IMAGE
    assert image.shape == shm.shape_c == (3, 2)
    image.write(np.asfortranarray(numbers(2, 3).T * 2))
    np.testing.assert_array_equal(shm.get_data(), numbers(2, 3) * 2)
    assert shm.IMAGE.md.cnt0 == shm.md.cnt0 == shm.get_counter() == 2
    assert (image.used, make("cam").IMAGE.used) == (1, 0)


def test_image_and_object_share_a_semaphore(make):
    shm = make("cam", numbers(2, 2))
    index = shm.semID
    assert shm.IMAGE.getsemwaitindex(3) == index
    shm._checkGrabSemaphore()
    assert shm.semID == index
    shm.IMAGE.semflush(index)
    assert shm.IMAGE.semtrywait(index) == -1
    shm.set_data(numbers(2, 2))
    assert shm.check_sem_value() == shm.IMAGE.semvalue(index) == 1
    assert shm.IMAGE.semtimedwait(index, 1) == 0
    assert not shm.check_sem_trywait()


def test_image_ends_with_its_stream(make):
    shm = make("cam", numbers(2, 2))
    image, md = shm.IMAGE, shm.md
    shm.close()
    for use in (lambda: image.md, lambda: image.copy(), lambda: md.cnt0, lambda: repr(md)):
        with pytest.raises(RuntimeError, match="image not initialized"):
            use()
    shm = make("cam")
    shm.IMAGE.close()
    with pytest.raises(StreamClosedError):
        shm.get_data()


def test_image_outlives_a_forgotten_object(make):
    made = make("cam", numbers(2, 2))
    image = SHM("cam").IMAGE
    gc.collect()
    index = image.getsemwaitindex(0)
    np.testing.assert_array_equal(image.copy(), numbers(2, 2).T)
    assert made.IMAGE.semReadPID[index] == os.getpid()
    del image
    gc.collect()
    assert made.IMAGE.semReadPID[index] <= 0


def test_image_follows_with_the_object(make):
    old = make("cam", numbers(2, 2))
    image = old.IMAGE
    assert image.used == 1
    new = make("cam", numbers(2, 2) * 5)
    np.testing.assert_array_equal(old.get_data(), numbers(2, 2) * 5)
    assert old.IMAGE is image
    assert image.used == 0
    assert image.md.inode == new.md.inode
    image.destroy()  # not its creator any more
    assert os.path.exists(new.FILEPATH)


def test_metadata_are_printed(make, capsys):
    shm = make("cam", numbers(2, 3))
    shm.print_meta_data()
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "Name: cam"
    assert "Size: [3, 2]" in printed.splitlines()
    assert shm.read_meta_data() is None
    assert capsys.readouterr().out == printed
    shm.read_meta_data(verbose=False)
    shm.read_meta_data(False)
    assert capsys.readouterr().out == ""


# -- attributes ----------------------------------------------------------------


def test_pixel_type_is_a_dtype(make):
    shm = make("cam", ((2, 2), np.uint16))
    assert isinstance(shm.nptype, np.dtype)
    assert (shm.nptype, shm.nptype.itemsize) == (np.uint16, 2)
    assert np.arange(4.0).astype(shm.nptype).dtype == np.uint16


def test_squeezing_slices(make):
    made = make("cam", numbers(3, 1, 4))
    assert (made.shape, made.readSlice, made.writeSlice) == ((3, 1, 4), Ellipsis, Ellipsis)
    attached = make("cam")
    stored = np.zeros(attached.shape_c)
    assert attached.shape == (4, 3)  # squeezed as it is stored, and then turned
    assert stored[attached.readSlice].ndim == 2
    assert stored[attached.readSlice][attached.writeSlice].shape == attached.shape_c
    assert make("cam", autoSqueeze=False).readSlice is Ellipsis


def test_attributes_as_given(make):
    shm = make("cam", numbers(2, 2, 2), symcode=3, triDim=Which3DState.FRONT2LAST)
    assert (shm.symcode, shm.triDimState) == (3, Which3DState.FRONT2LAST)
    assert (shm.location, shm.shared) == (-1, True)


# -- images of one process ----------------------------------------------------------------


@pytest.mark.parametrize("symcode", [0, 4, 6])
def test_local_image(make, shm_dir, symcode):
    shm = make("local", numbers(2, 3), shared=False, nbkw=3, symcode=symcode)
    assert list(shm_dir.iterdir()) == []
    assert (shm.shared, shm.FILEPATH, shm.md.shared, shm.FNAME) == (False, "", 0, "local")
    np.testing.assert_array_equal(shm.get_data(), numbers(2, 3))
    shm.set_data(numbers(2, 3) * 2)
    np.testing.assert_array_equal(shm.get_data(copy=False), numbers(2, 3) * 2)
    assert shm.get_counter() == 2
    shm.set_keywords({"A": (1, "one")})
    assert shm["A"] == 1
    with pytest.raises(StreamNotFoundError):
        SHM("local")
    view = shm.get_data(copy=False)
    shm.destroy()
    np.testing.assert_array_equal(view, numbers(2, 3) * 2)


def test_local_image_waits_and_captures(make):
    shm = make("local", ((2, 2), np.float32), shared=False)
    with pytest.warns(StreamTimeoutWarning, match="no new frame"):
        shm.get_data(check=True, timeout=0.01)
    go = threading.Event()

    def write() -> None:
        go.wait()
        while shm.get_counter() < 200:
            shm.set_data(np.full((2, 2), shm.get_counter() + 1, np.float32))
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    capture = shm.capture(20, background=True)
    go.set()
    capture.join()
    thread.join()
    np.testing.assert_array_equal(capture.frames[:, 0, 0], capture.info["cnt0"])
    assert shm.check_sem_timedwait(0) in (True, False)


def test_local_images_do_not_mix(make):
    first = make("local", numbers(2, 2), shared=False)
    second = make("local", numbers(2, 2) * 2, shared=False)
    shared = make("local", numbers(3, 3))
    np.testing.assert_array_equal(first.get_data(), numbers(2, 2))
    np.testing.assert_array_equal(second.get_data(), numbers(2, 2) * 2)
    np.testing.assert_array_equal(shared.get_data(), numbers(3, 3))


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_local_ring(make, kind):
    shm = make("local", ((2, 2), np.float32), shared=False, ring=8, ring_kind=kind)
    with shm.ring_reader() as ring:
        for value in range(5):
            shm.set_data(np.full((2, 2), value, np.float32))
        block = next(ring.blocks())
        np.testing.assert_array_equal(block.frames[:, 0, 0], range(5))


def test_pixels_cannot_be_on_a_gpu_yet(make, shm_dir):
    for data in (None, numbers(2, 2)):
        with pytest.raises(StreamArgumentError, match="GPU") as caught:
            SHM("cam", data, location=0)
        assert caught.value.argument == "location"
    assert list(shm_dir.iterdir()) == []


# -- waiting without blocking ----------------------------------------------------------------


def test_no_semaphore_left_to_wait_with(make):
    stream = Stream.create("few", (2, 2), "f4", nbsem=1)
    first, second = make("few"), make("few")
    first._checkGrabSemaphore()
    with pytest.raises(SemaphoresExhaustedError):
        second.non_block_wait_semaphore()
    with pytest.raises(SemaphoresExhaustedError):
        second._checkGrabSemaphore()
    stream.close()


# -- given up ----------------------------------------------------------------


def test_what_was_given_up_raises_what_it_raised(make):
    shm = make("cam", numbers(2, 2))
    for call in (lambda: shm.rename_img("new"), shm.select_dtype, shm.select_atype):
        with pytest.raises(NotImplementedError):
            call()
    for call in (
        shm.create_keyword_list,
        shm.read_keywords,
        shm.write_keywords,
        lambda: shm.read_keyword(0),
        lambda: shm.write_keyword(0),
    ):
        with pytest.raises(DeprecationWarning, match="get_keywords"):
            call()


# -- idioms ----------------------------------------------------------------


def test_update_or_set(make):
    shm = make("cam", numbers(2, 2))
    for error in (AssertionError, ValueError):
        try:
            shm.update_keyword("DETECTOR", "CRED2")
        except error:
            shm.set_keywords({"DETECTOR": "CRED2"})
        assert shm.get_keywords() == {"DETECTOR": "CRED2"}
        shm.reset_keywords({})


def test_attach_or_create(make):
    try:
        shm = make("dm")
        shm.set_data(np.zeros((3, 3), np.float32))
    except Exception:
        shm = make("dm", np.zeros((3, 3), np.float32))
    assert shm.get_counter() == 1


def test_one_pixel_takes_a_number(make):
    shm = make("gain", ((1, 1), np.float32))
    shm.set_data(np.array(0.5, dtype=np.float32))
    assert shm.get_data()[0, 0] == 0.5
    shm.set_data(0.25)
    assert make("gain").get_data() == np.float32(0.25)
    with pytest.raises(FrameMismatchError):
        shm.set_data("text")
