"""`Capture`: running, timeouts, arguments, memory."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import threading
import time
import weakref

import numpy as np
import pytest

import pymilk
from pymilk import Capture
from pymilk._core import Stream, allocate, free_memory, prefault
from pymilk.axes import Orientation
from pymilk.capture import cube
from pymilk.errors import (
    CaptureMemoryError,
    FrameMismatchError,
    StreamArgumentError,
    StreamClosedError,
    StreamTimeoutError,
)
from pymilk.streams.waiting import WAIT_POLICIES, spin_of
from support.captures import SHAPE, feed, publish
from support.waiting import PATIENCE


def resident_pages(array: np.ndarray) -> tuple[int, int]:
    """Tell how many pages of an array are in memory, and how many it has."""
    page = os.sysconf("SC_PAGESIZE")
    start = array.ctypes.data // page * page
    nbytes = array.ctypes.data + array.nbytes - start
    count = -(-nbytes // page)
    pages = (ctypes.c_ubyte * count)()
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(nbytes), pages)
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages), count


# -- running ------------------------------------------------------------------------------------------


def test_background_capture_grows(stream):
    capture = Capture(stream, 3, background=True)
    assert (capture.requested, capture.received, len(capture), capture.done) == (3, 0, 0, False)
    assert capture.frames.shape == (0, *SHAPE)
    assert capture.info.shape == (0,)
    assert repr(capture) == "<Capture 'cam': 0/3 frames, running>"
    for received in (1, 2):
        feed(stream, capture, 1)
        assert (capture.received, len(capture), capture.done) == (received, received, False)
        assert capture.frames[:, 0, 0].tolist() == list(range(1, received + 1))
        assert capture.info["cnt0"].tolist() == list(range(1, received + 1))
        assert capture.report.received == received
    publish(stream)
    assert capture.join() is capture
    assert capture.done
    assert repr(capture) == "<Capture 'cam': 3/3 frames, done>"
    assert capture.frames.shape == (3, *SHAPE)
    assert not stream.closed


def test_capture_is_armed_when_it_exists(stream):
    publish(stream, 2)  # old frames are not delivered
    for _ in range(20):
        capture = Capture(stream, 1, background=True)
        publish(stream)
        capture.join()
        assert capture.info["cnt0"][0] == stream.counter
        assert capture.info["lost"][0] == 0
        assert (capture.frames[0] == stream.counter).all()


def test_frame_that_is_received_is_complete(stream):
    capture = Capture(stream, 500, background=True)
    writer = threading.Thread(target=publish, args=(stream, 2000))
    writer.start()
    try:
        while not capture.done and writer.is_alive():
            received = capture.received
            if received:
                assert (capture.frames[received - 1] == capture.info["cnt0"][received - 1]).all()
                assert capture.info["arrival_ns"][received - 1] > 0
    finally:
        writer.join()
        capture.stop()
        capture.join()


def test_stop_keeps_what_is_there(stream):
    capture = Capture(stream, 10, timeout=None, background=True)
    feed(stream, capture, 2)
    capture.stop()
    capture.join()
    assert capture.done
    assert capture.received == len(capture.frames) == len(capture.info) == 2
    assert capture.report.requested == 10
    capture.stop()  # does no harm
    publish(stream)
    assert capture.received == 2


def test_join_with_a_timeout_returns(stream):
    capture = Capture(stream, 1, timeout=None, background=True)
    began = time.monotonic()
    assert capture.join(0.1) is capture
    assert time.monotonic() - began >= 0.1
    assert not capture.done
    publish(stream)
    assert capture.join(PATIENCE).done
    assert capture.join(0).received == 1


def test_many_captures_in_turn_use_one_semaphore_each(stream):
    for _ in range(15):
        capture = Capture(stream, 1, background=True)
        publish(stream)
        capture.join()
    assert set(stream.section("sem_read_pid").tolist()) == {-1}


def test_thread_is_gone_after_join(stream):
    before = threading.active_count()
    capture = Capture(stream, 1, background=True)
    assert threading.active_count() == before + 1
    publish(stream)
    capture.join()
    assert threading.active_count() == before


def test_closed_stream(stream):
    other = Stream.attach("cam")
    other.close()
    with pytest.raises(StreamClosedError):
        Capture(other, 1)
    capture = Capture(stream, 5, timeout=None, background=True)
    feed(stream, capture, 2)
    stream.close()
    with pytest.raises(StreamClosedError):
        capture.join()
    assert capture.received == 2
    with pytest.raises(StreamClosedError):  # each time
        capture.join()


def test_cube_outlives_everything(make_stream):
    stream = make_stream("cam2", SHAPE, np.uint16)
    capture = Capture(stream, 2, background=True)
    feed(stream, capture, 2)
    frames, info = capture.join().frames, capture.info
    stream.destroy()
    del capture, stream
    gc.collect()
    assert frames[:, 0, 0].tolist() == [1, 2]
    frames[:] = 7  # the caller's own
    assert info["cnt0"].tolist() == [1, 2]


# -- timeouts -----------------------------------------------------------------------------------------


def test_timeout_hands_over_what_was_received(stream):
    capture = Capture(stream, 5, timeout=1.0, background=True)
    feed(stream, capture, 2)
    with pytest.raises(StreamTimeoutError) as caught:
        capture.join()
    error = caught.value
    assert error.capture is capture
    assert (error.stream, error.counter) == ("cam", 2)
    assert error.timeout == pytest.approx(1.0)
    assert error.capture.received == 2
    assert error.capture.frames[:, 0, 0].tolist() == [1, 2]
    assert (error.capture.report.received, error.capture.report.requested) == (2, 5)
    with pytest.raises(StreamTimeoutError):
        capture.join()


@pytest.mark.parametrize("background", [False, True])
def test_frames_of_a_timeout_go_with_its_error(stream, background):
    """The error and its capture do not hold each other: a cube can be most of the memory there is."""
    gc.collect()
    gc.disable()
    try:
        with pymilk.SHM(stream.name) as shm, pytest.raises(StreamTimeoutError) as caught:
            shm.capture(5, timeout=0.001, background=background).join()
        seen = weakref.ref(caught.value.capture)
        assert seen() is not None
        del caught
        assert seen() is None
    finally:
        gc.enable()


def test_timeout_is_for_each_frame(stream):
    began = time.monotonic()
    capture = Capture(stream, 4, timeout=1.0, background=True)
    for _ in range(4):
        capture.join(0.3)
        publish(stream)
    assert capture.join().received == 4
    assert time.monotonic() - began >= 1.2


def test_timeout_in_the_foreground(stream):
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="'cam'"):
        Capture(stream, 1, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    with pytest.raises(StreamTimeoutError):
        Capture(stream, 1, timeout=0)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon"])
def test_bad_timeout(stream, timeout):
    with pytest.raises(StreamArgumentError) as caught:
        Capture(stream, 1, timeout=timeout)
    assert caught.value.argument == "timeout"


# -- arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 1.0, "3", None, 2.5])
def test_number_of_frames(stream, n):
    with pytest.raises(StreamArgumentError) as caught:
        Capture(stream, n)
    assert (caught.value.argument, caught.value.found) == ("frames", n)


def test_number_of_frames_as_numpy_int(stream):
    capture = Capture(stream, np.int64(2), background=True)
    feed(stream, capture, 2)
    assert type(capture.join().requested) is int


def test_wait_policies(stream):
    assert set(WAIT_POLICIES) == {"auto", "spin", "sleep"}
    for wait in WAIT_POLICIES:
        capture = Capture(stream, 3, wait=wait, background=True)
        feed(stream, capture, 3)
        assert capture.join().report.lost == 0
    assert spin_of("spin") == -1
    assert spin_of("sleep") == 0
    for wait in ("", "nap", None, 5, ["auto"]):
        with pytest.raises(StreamArgumentError, match="'auto', 'spin', 'sleep'") as caught:
            Capture(stream, 1, wait=wait)
        assert (caught.value.argument, caught.value.found) == ("wait", wait)


def test_more_frames_than_memory(stream):
    n = 10**13
    with pytest.raises(CaptureMemoryError, match=str(n * 48)) as caught:
        Capture(stream, n)
    assert caught.value.needed == n * 48
    assert 0 < caught.value.available < n * 48
    assert isinstance(caught.value, MemoryError)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), CaptureMemoryError)
    with pytest.raises(CaptureMemoryError):
        Capture(stream, 2**70)
    assert free_memory() > 0


# -- out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_is_filled(stream, order):
    out = np.full((3, *SHAPE), 999, np.uint16, order=order)
    capture = Capture(stream, 3, out, background=True)
    feed(stream, capture, 2)
    publish(stream)
    frames = capture.join().frames
    assert np.shares_memory(frames, out)
    assert out[:, 0, 0].tolist() == [1, 2, 3]
    assert (out == out[:, :1, :1]).all()


def test_out_of_a_part_that_was_received(stream):
    for order in "CF":
        out = np.full((4, *SHAPE), 999, np.uint16, order=order)
        capture = Capture(stream, 4, out, timeout=None, background=True)
        feed(stream, capture, 2)
        capture.stop()
        capture.join()
        assert capture.frames.shape == (2, *SHAPE)
        assert np.shares_memory(capture.frames, out)
        assert (out[2:] == 999).all()
        assert (out[:2] != 999).all()


@pytest.mark.parametrize(
    ("out", "field"),
    [
        (np.zeros((2, *SHAPE), np.uint16), "shape"),
        (np.zeros((3, 6, 4), np.uint16), "shape"),
        (np.zeros(SHAPE, np.uint16), "shape"),
        (np.zeros((3, *SHAPE), np.int16), "dtype"),
        (np.zeros((3, *SHAPE), ">u2"), "dtype"),
        (np.zeros((3, *SHAPE), float), "dtype"),
        (np.zeros((3, 4, 12), np.uint16)[:, :, ::2], "order"),
        (np.zeros((3, *SHAPE), np.uint16)[::-1], "order"),
        (np.broadcast_to(np.uint16(0), (3, *SHAPE)), "writeable"),
        ([[[0] * 6] * 4] * 3, "dtype"),
        (bytearray(3 * 47), "shape"),
        (memoryview(bytes(3 * 48)), "writeable"),
        (object(), "dtype"),
    ],
    ids=range(13),
)
def test_out_that_does_not_fit(stream, out, field):
    with pytest.raises(FrameMismatchError) as caught:
        Capture(stream, 3, out)
    assert caught.value.field == field
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, (TypeError, ValueError))
    assert threading.active_count() == 1 + sum(t.daemon for t in threading.enumerate())


def test_read_only_out(stream):
    out = np.zeros((3, *SHAPE), np.uint16)
    out.setflags(write=False)
    with pytest.raises(FrameMismatchError) as caught:
        Capture(stream, 3, out)
    assert caught.value.field == "writeable"


@pytest.mark.parametrize("symcode", range(8))
def test_out_with_an_orientation(stream, symcode):
    orientation = Orientation(SHAPE, symcode)
    frame = np.arange(24, dtype=np.uint16).reshape(SHAPE)
    for order in "CF":
        out = np.zeros((1, *orientation.shape), np.uint16, order=order)
        capture = Capture(stream, 1, out, orientation=orientation, background=True)
        stream.publish(frame)
        np.testing.assert_array_equal(capture.join().frames[0], orientation.view(frame))
        np.testing.assert_array_equal(out[0], orientation.view(frame))


# -- memory -------------------------------------------------------------------------------------------


def test_memory_is_there_before_the_first_frame(make_stream):
    stream = make_stream("cam", (128, 128), np.uint16)
    capture = Capture(stream, 500, timeout=None, background=True)
    found, pages = resident_pages(capture._cube)
    assert pages >= 500 * 32768 // os.sysconf("SC_PAGESIZE")
    assert found == pages
    found, pages = resident_pages(capture._info)
    assert found == pages
    capture.stop()
    capture.join()


def test_memory_of_the_caller_is_there_before_the_first_frame(make_stream):
    stream = make_stream("cam", (128, 128), np.uint16)
    out = np.empty((500, 128, 128), np.uint16)
    capture = Capture(stream, 500, out, timeout=None, background=True)
    found, pages = resident_pages(out)
    assert found == pages
    capture.stop()
    capture.join()


@pytest.mark.parametrize("out", [False, True])
def test_ctrl_c_ends_the_reservation_of_memory(stream, monkeypatch, out):
    """Not only behind its end, which for many gigabytes is half a minute away."""
    size = stream.frame_shape[0] * stream.frame_shape[1] * stream.dtype.itemsize
    made = []

    def interrupted(piece):
        made.append(len(piece))
        prefault(piece)
        if len(made) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(cube, "_AT_ONCE", 5 * size)
    monkeypatch.setattr(cube, "prefault", interrupted)
    target = np.zeros((1002, *stream.frame_shape), stream.dtype) if out else None
    with pytest.raises(KeyboardInterrupt):
        Capture(stream, 1002, out=target)
    assert made == [5, 5, 5]
    assert not [each for each in threading.enumerate() if each.name.startswith("pymilk-capture")]
    made.clear()
    made += [0] * 3  # no further interrupt
    Capture(stream, 12, background=True).stop()
    assert made[3:] == [5, 5, 2]


def test_prefault_keeps_what_is_there():
    array = np.arange(100_000, dtype=np.uint32)
    prefault(array)
    assert (array == np.arange(100_000)).all()
    prefault(np.zeros(0))
    array.setflags(write=False)
    with pytest.raises((BufferError, ValueError)):
        prefault(array)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2**20,), (2**20 + 1, 3)])
def test_allocated_memory(shape):
    array = allocate(shape, np.uint16)
    assert (array.shape, array.dtype) == (shape, np.uint16)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
    assert array.ctypes.data % os.sysconf("SC_PAGESIZE") == 0
    if array.size:
        found, pages = resident_pages(array)
        assert found == pages
    array[...] = 1


@pytest.mark.parametrize("end", ["stop", "close", "with", "of its stream"])
def test_held_capture_that_never_began(stream, end):
    """Nobody waits for its thread, which will never be."""
    with pymilk.SHM(stream.name) as shm:
        capture = shm.held_capture(5, None, None, "auto")
        if end == "with":
            with capture:
                pass
        else:
            (shm.close if end == "of its stream" else getattr(capture, end))()
        assert capture.wait_end(PATIENCE)
        capture.armed()
        capture.begin()
        assert (capture.done, capture.received, len(capture.frames)) == (True, 0, 0)
        if end in ("stop", "with"):
            assert capture.join(PATIENCE).report.received == 0
        else:
            with pytest.raises(StreamClosedError, match="closed before the capture began"):
                capture.join(PATIENCE)
        assert capture._thread.ident is None


def test_second_begin_does_nothing(stream):
    capture = Capture(stream, 1, background=True)
    capture.begin()
    capture.stop()
    capture.join(PATIENCE)
    capture.begin()
    assert capture.done


def test_finished_captures_have_all_members(stream):
    """Those that came out of a pickle, or were made of a ring, never had a thread."""
    capture = pickle.loads(pickle.dumps(Capture(stream, 1, background=True)))
    capture.begin()
    capture.armed()
    capture.stop()
    capture.close()
    with capture:
        assert capture.wait(PATIENCE).received == 0


# -- copies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_a_copy_knows_what_ended_the_capture(stream, again):
    capture = Capture(stream, 3, background=True, timeout=0.05)
    capture.wait_end(PATIENCE)
    travelled = again(capture)
    with pytest.raises(StreamTimeoutError) as caught:
        travelled.join()
    assert str(caught.value) == str(capture.error)
    assert caught.value.capture is travelled
    assert travelled.error.capture is travelled


@pytest.mark.parametrize("again", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_a_copy_of_a_capture_whose_error_refers_to_it(stream, monkeypatch, again):
    """Errors of other libraries refer to the capture, as errors that end a call do."""

    def fail(self):
        raise OSError(5, "no")

    monkeypatch.setattr(Capture, "_receive", fail)
    capture = Capture(stream, 3, background=True)
    capture.wait_end(PATIENCE)
    assert capture.error.capture is capture
    travelled = again(capture)
    assert type(travelled.error) is OSError
    assert travelled.error.args == (5, "no")
    assert again(capture.error).capture.received == 0
    assert travelled.kept is not capture.kept
