"""One writer at a time, within one process."""

from __future__ import annotations

import os
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamLockedError, StreamReadOnlyError, StreamReplacedError, StreamUnsupportedError
from pymilk.system.locks import take_lock
from support.exclusive import FRAME, refused

SHAPE = (4, 4)


def test_readers_take_part_in_nothing(cam, make):
    writer = make("cam", exclusive=True)
    capture = cam.capture(3, timeout=30, background=True)
    for number in range(3):
        writer.set_data(np.full(SHAPE, number, np.uint16))
        while capture.received <= number and not capture.done:
            time.sleep(0.0005)
    assert capture.join().frames[:, 0, 0].tolist() == [0, 1, 2]
    assert capture.report.lost == 0
    cam.keywords["EXPTIME"] = 1.0  # the lock is about frames
    assert writer.get_keyword("EXPTIME") == 1.0


def test_two_handles_of_one_process_are_two_writers(cam):
    with Stream.attach("cam", exclusive=True) as writer:
        assert writer.exclusive
        with pytest.raises(StreamLockedError) as caught:
            SHM("cam", exclusive=True)
        assert refused(caught, os.getpid())
        writer.publish(FRAME)
    assert not writer.exclusive
    with Stream.attach("cam") as plain:
        assert not plain.exclusive


def test_who_has_published_before_is_not_looked_for(cam, make):
    """A promise that is not made: only first frames are asked about."""
    cam.set_data(FRAME)
    make("cam", exclusive=True).set_data(FRAME)
    cam.set_data(FRAME)
    assert cam.get_counter() == 4


def test_lock_ends_with_a_forgotten_object(cam):
    stream = Stream.attach("cam", exclusive=True)
    del stream
    Stream.attach("cam", exclusive=True).close()


def test_new_stream_is_exclusive_from_the_start(make, shm_dir):
    first = make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    other = make("cam")
    with pytest.raises(StreamLockedError) as caught:
        other.set_data(FRAME)
    assert refused(caught, os.getpid())
    first.set_data(FRAME)
    first.close()
    second = make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    second.set_data(FRAME)
    assert other.get_counter() == 2  # of the new file, which it follows
    with pytest.raises(StreamLockedError):
        other.set_data(FRAME)
    second.destroy()
    assert not list(shm_dir.iterdir())


def test_writer_that_follows_takes_the_lock_of_the_new_file(cam, make):
    writer = make("cam", exclusive=True)
    # As a program does that knows nothing of the lock.
    os.unlink(cam.FILEPATH)
    again = make("cam", np.zeros(SHAPE, np.uint16))
    while not writer._stream.replaced():
        time.sleep(0.001)
    with pytest.raises(StreamReplacedError):
        writer.set_data(FRAME)
    writer.set_data(FRAME, autorelink_if_need=True)
    assert again.get_counter() == 2
    with pytest.raises(StreamLockedError) as caught:
        cam.set_data(FRAME, autorelink_if_need=True)
    assert refused(caught, os.getpid())


def test_lock_of_a_file_that_is_not_there_any_more(cam, make, shm_dir):
    old = Stream.attach("cam")
    os.unlink(cam.FILEPATH)
    make("cam", np.zeros(SHAPE, np.uint16), exclusive=True)
    old.publish(FRAME)  # to the old file, of which nobody is the exclusive writer
    old.close()
    os.unlink(shm_dir / "cam.im.shm")
    cam.close()


def test_pickled_object_attaches_without_the_lock(cam, make):
    writer = make("cam", exclusive=True)
    copy = pickle.loads(pickle.dumps(writer))
    with copy:
        assert (copy.get_data() == 0).all()
        with pytest.raises(StreamLockedError):
            copy.set_data(FRAME)


def test_threads_of_one_handle_are_one_writer(cam, make):
    writer = make("cam", exclusive=True)
    lock = threading.Lock()

    def publish() -> None:
        for _ in range(50):
            with lock:  # a frame at a time is asked of every handle
                writer.set_data(FRAME)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cam.get_counter() == 201


def test_holder_that_does_not_show(cam, make, monkeypatch):
    make("cam", exclusive=True)
    other = make("cam")
    monkeypatch.setattr("pymilk.system.locks._holders", lambda fd: [])
    for wanted in (lambda: SHM("cam", exclusive=True), lambda: other.set_data(FRAME)):
        with pytest.raises(StreamLockedError, match="not visible here") as caught:
            wanted()
        assert caught.value.pids == []


def test_those_who_look_are_waited_for(cam):
    """A writer that looks whether it may holds a shared lock for a moment."""
    fd = os.open(cam.FILEPATH, os.O_RDONLY)
    take_lock(fd, reading=True)
    timer = threading.Timer(0.02, os.close, [fd])
    timer.start()
    SHM("cam", exclusive=True).close()
    timer.join()


def test_file_system_without_locks(cam, monkeypatch):
    def no_locks(fd: int, command: int, lock: bytes) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("pymilk.system.locks.fcntl.fcntl", no_locks)
    with pytest.raises(StreamUnsupportedError, match="exclusive=True"):
        SHM("cam", exclusive=True)
    cam.set_data(FRAME)
    SHM("cam", np.zeros(SHAPE, np.uint16)).close()


def test_read_only_stream_cannot_be_had_for_writing(cam):
    with pytest.raises(StreamReadOnlyError):
        Stream.attach("cam", writable=False, exclusive=True)
    with SHM("mine", (SHAPE, np.uint8), shared=False, exclusive=True) as local:  # nobody else sees it
        local.set_data(np.zeros(SHAPE, np.uint8))


def test_the_lock_is_not_in_the_file(cam, make):
    before = Path(cam.FILEPATH).read_bytes()
    writer = make("cam", exclusive=True)
    assert Path(cam.FILEPATH).read_bytes() == before
    writer.close()
    assert Path(cam.FILEPATH).read_bytes() == before
