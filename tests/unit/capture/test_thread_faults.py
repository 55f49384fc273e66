"""Captures whose thread fails where nobody foresaw it: those who wait are woken, and get the cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.capture import capture as captures
from pymilk.errors import StreamStorageError
from pymilk.streams.waiting import Follower
from support.faults import (
    Failing,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.waiting import until

MakeSHM = Callable[..., SHM]

#: What the thread calls: at its beginning, and at its end, once with its own work done.
PLACES: dict[str, tuple[Any, str]] = {
    "arming": (captures, "now_ns"),
    "turning": (captures, "finish"),
    "leaving": (Follower, "close"),
    "counting": (captures.Capture, "_leave_reader"),
}


def publish_until_done(shm: SHM, capture: captures.Capture, frame: Any = 1) -> None:
    """Frames that follow each other at once may be lost."""
    until(lambda: capture.done or shm.set_data(np.full(shm.shape, frame, np.uint16)))


@pytest.mark.parametrize("place", PLACES)
@each_fault
def test_the_cause_comes_to_who_waits(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    shm = make("cam", ((2, 3), np.uint16))
    where, name = PLACES[place]
    with monkeypatch.context() as patched:
        patched.setattr(where, name, Failing(fault, getattr(where, name), thread="pymilk-capture"))
        capture = within(lambda: shm.capture(2, background=True, timeout=None))
        publish_until_done(shm, capture)
        error = raised_within(capture.join)
    assert comes_from(error, fault)
    assert vars(error)["capture"] is capture
    assert comes_from(capture.error, fault)
    assert capture.done
    assert within(capture.wait_end)
    until(lambda: not threads_of_pymilk())
    assert len(capture.frames) == capture.received == (0 if place == "arming" else 2)
    following = shm.capture(1, background=True)
    publish_until_done(shm, following)
    assert within(following.join).received == 1


def test_frames_that_could_not_be_turned_are_there(make: MakeSHM, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the user was not filled: the frames are those of the cube, not what lay there."""
    shm = make("cam", ((2, 3), np.uint16), symcode=1)
    out = np.zeros((2, *shm.shape), np.uint16)
    assert not np.may_share_memory(out, np.asarray(shm.get_data()))
    monkeypatch.setattr(captures, "finish", Failing(MemoryError()))
    capture = shm.capture(2, out=out, background=True)
    frame = np.arange(out[0].size, dtype=np.uint16).reshape(out[0].shape)
    publish_until_done(shm, capture, frame)
    assert isinstance(raised_within(capture.join), MemoryError)
    np.testing.assert_array_equal(capture.frames, [frame, frame])


def test_without_a_thread(make: MakeSHM) -> None:
    """The error has a capture, which has ended: nobody waits for it in vain, and it holds no semaphore."""
    shm = make("cam", ((2, 3), np.uint16))
    with threads_run_out():
        for _ in range(20):  # more than there are semaphores
            with pytest.raises(StreamStorageError, match="no thread") as caught:
                shm.capture(1)
            capture = caught.value.capture
            assert capture.done
            assert isinstance(raised_within(capture.join), StreamStorageError)
            assert capture.kept._owner is None
    following = shm.capture(1, background=True)
    publish_until_done(shm, following)
    assert within(following.join).received == 1
