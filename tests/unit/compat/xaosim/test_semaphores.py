"""Semaphores by the xaosim interface."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamArgumentError, StreamReadOnlyError, StreamTimeoutError
from support.foreign import owners
from support.waiting import until
from support.xaosims import in_thread, ramp


def test_without_semaphores(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    assert s.sems == []
    assert s.nsem == 10
    assert s.catch_up_with_sem(5) == -1
    assert s.post_sems() is None
    assert stream.sem_values() == [0] * 10
    assert s.get_latest_data(5).tolist() == np.zeros((3, 4)).tolist()
    s.set_data(ramp((3, 4)))  # others are told in any case
    assert stream.sem_values() == [1] * 10
    assert set(owners(stream)) == {-1}


def test_semaphores(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbsem=3)
    s = make("cam", nosem=False)
    assert s.nsem == len(s.sems) == 3
    s.post_sems(1)
    s.post_sems()
    assert [sem.value for sem in s.sems] == stream.sem_values() == [1, 2, 1]
    s.sems[0].release()
    assert s.sems[0].value == 2
    assert s.sems[0].acquire() is None
    s.sems[0].acquire(timeout=0)
    assert s.sems[0].value == 0
    assert s.catch_up_with_sem(1) == 0
    assert stream.sem_values() == [0, 0, 1]
    with pytest.raises(StreamTimeoutError, match=r"no post of semaphore 1 within 0\.01 s") as caught:
        s.sems[1].acquire(0.01)
    assert (caught.value.timeout, caught.value.counter) == (0.01, 0)
    with pytest.raises(StreamTimeoutError):
        s.sems[1].acquire(-1)
    for bad in (3, -1, "1", None):
        with pytest.raises(StreamArgumentError):
            s.catch_up_with_sem(bad)
    with pytest.raises(StreamArgumentError):
        s.get_latest_data(3)
    for bad in (3, "1", 0.5):
        with pytest.raises(StreamArgumentError):
            s.post_sems(bad)
    with pytest.raises(StreamArgumentError):
        s.sems[1].acquire("soon")
    assert stream.sem_values() == [0, 0, 1]


def test_a_semaphore_that_is_waited_for_belongs_to_the_object(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    s.catch_up_with_sem(5)
    assert owners(stream)[5] == os.getpid()
    with SHM("cam") as other:  # takes another one
        assert other.semID == 0
    s.close()
    assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("first", ["wait", "reserve"])
def test_get_data_leaves_the_posts_of_that_semaphore(make, make_stream, first):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    if first == "wait":
        s.get_data(check=0, timeout=0)
        assert owners(stream)[0] == os.getpid()
    assert s.catch_up_with_sem(0) == 0
    thread, results = in_thread(lambda: s.get_data(check=0))
    until(lambda: owners(stream).count(os.getpid()) == 2)
    stream.publish(ramp((3, 4), first=1))
    thread.join()
    assert results[0][0, 0] == 1
    assert s.sems[0].value == 1
    assert s.get_latest_data(0)[0, 0] == 1  # the frame has come: no wait
    assert s.sems[0].value == 0


def test_a_thread_that_waits_gives_that_semaphore_up(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    thread, results = in_thread(lambda: s.get_data(check=0, timeout=None)[0, 0])
    until(lambda: owners(stream)[0] == os.getpid())
    assert s.catch_up_with_sem(0) == 0
    until(lambda: owners(stream)[:3] == [os.getpid()] * 2 + [-1])
    stream.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == [7.0]
    assert s.sems[0].value == 1


def test_read_only_stream(make, shm_dir):
    make("cam", data=ramp((3, 4)), nbkw=1).close(erase_file=False)
    path = shm_dir / "cam.im.shm"
    # Root opens anything for writing: a read-only handle is what others get.
    s = make(str(path), nosem=False)
    s._adopt(Stream.attach(path, writable=False))
    assert s.get_data(check=0).tolist() == ramp((3, 4)).tolist()
    assert s.sems[0].value == 1
    for touch in (
        lambda: s.set_data(ramp((3, 4))),
        lambda: s.increment_counter(),
        lambda: s.update_keyword(0, "A", 1, ""),
        lambda: s.write_keywords(),
        lambda: s.post_sems(),
        lambda: s.catch_up_with_sem(0),
        lambda: s.get_latest_data(0),
    ):
        with pytest.raises(StreamReadOnlyError, match="read-only"):
            touch()
