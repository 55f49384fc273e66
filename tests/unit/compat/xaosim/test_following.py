"""Objects of the xaosim interface when a stream is replaced, or closed by another thread."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

from pymilk._core import IMAGETYPES, Stream
from pymilk.compat.xaosim import shm
from pymilk.errors import (
    StreamClosedError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamTimeoutError,
    StreamTypeChangedError,
)
from support import isio_format
from support.foreign import owners
from support.waiting import PATIENCE, until
from support.xaosims import in_thread, ramp, state

TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]


@pytest.mark.parametrize(
    ("shape", "dtype", "imagetype", "error"),
    [
        ((3, 5), np.float32, None, StreamShapeChangedError),
        ((3, 4), np.int32, None, StreamTypeChangedError),
        ((2, 3, 4), np.float32, TEMPORAL, StreamShapeChangedError),  # its slices have the old shape
    ],
)
def test_another_shape_or_type_raises_until_the_user_acts(
    make, make_stream, shm_dir, shape, dtype, imagetype, error
):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    options = {} if imagetype is None else {"imagetype": imagetype}
    make_stream("cam", shape, dtype, **options)
    for _ in range(2):
        for touch in (s.get_data, s.get_counter, s.get_latest_data, lambda: s.catch_up_with_sem(1)):
            with pytest.raises(error, match="recreated with another"):
                touch()
        with pytest.raises(error):
            s.get_data(check=5)
        with pytest.raises(StreamReplacedError):
            s.set_data(ramp((3, 4)))
    assert make("cam").get_data().shape == shape


def test_the_post_that_tells_of_a_new_file_is_not_taken_for_a_frame(make, make_stream):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    was = s.mtdata["crtime"]
    thread, results = in_thread(lambda: s.get_latest_data(5)[0, 0])
    until(lambda: state(f"self/task/{thread.native_id}") == "S")
    new = make_stream("cam", (3, 4), np.float32)
    until(lambda: s.mtdata["crtime"] != was)
    new.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == [7.0]


class Watching(shm):
    """An object that tells when it has met a file that is not ready."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.met = threading.Event()
        super().__init__(*args, **kwargs)

    def _live(self) -> Stream:
        try:
            return super()._live()
        except StreamNotReadyError:
            self.met.set()
            raise


@pytest.mark.parametrize("wait", ["counter", "semaphore"])
def test_wait_puts_up_with_a_file_that_is_being_made(make, make_stream, shm_dir, wait):
    """As other programs make it: unlink, create, fill, and the version last."""
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", kind=Watching, nosem=False)
    sem = s.sems[0]
    path = shm_dir / "cam.im.shm"
    made = isio_format.fresh("cam", (4, 3), 9)
    path.unlink()
    path.touch()
    made.inode = path.stat().st_ino
    data = isio_format.encode(made)
    path.write_bytes(bytes(32) + data[32:])
    with pytest.raises(StreamTimeoutError):
        sem.acquire(0.01)
    with pytest.raises(StreamNotReadyError):
        s.get_data(check=0, timeout=0.01)
    s.met.clear()
    work = (lambda: s.get_data(0, timeout=None)[0, 0]) if wait == "counter" else sem.acquire
    thread, results = in_thread(work)
    assert s.met.wait(PATIENCE)
    with open(path, "r+b") as file:
        file.write(data[:32])
    with Stream.attach(path) as stream:
        stream.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == ([7.0] if wait == "counter" else [None])


@pytest.mark.parametrize("call", ["get_data", "acquire"])
def test_close_in_another_thread_ends_a_wait(make, make_stream, call):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    if call == "get_data":
        thread, results = in_thread(lambda: s.get_data(0, timeout=None))
        until(lambda: os.getpid() in owners(stream))
    else:
        s.catch_up_with_sem(3)
        thread, results = in_thread(s.sems[3].acquire)
    s.close()
    thread.join(PATIENCE)
    assert isinstance(results[0], StreamClosedError)
    assert set(owners(stream)) == {-1}


def test_threads_wait_with_one_object(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    waits = [in_thread(lambda: s.get_data(0, timeout=None)[0, 0]) for _ in range(3)]
    until(lambda: owners(stream).count(os.getpid()) == 3)
    stream.publish(ramp((3, 4), first=7))
    for thread, results in waits:
        thread.join()
        assert results == [7.0]
    s.close()
    assert set(owners(stream)) == {-1}
