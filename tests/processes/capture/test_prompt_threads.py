"""A thread that waits asks for short time slices, and has its own again behind the wait."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
from typing import NamedTuple

import numpy as np
import pytest

from pymilk import SHM, Stream, wait_any
from pymilk.channels import MessageLog
from support.waiting import until

#: Numbers of sched_setattr and sched_getattr, and what they take: size, policy, flags, nice, priority, slice.
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)}
_LAYOUT = "IIQiIQQQ"
_SHORT = 100_000


class Scheduling(NamedTuple):
    policy: int
    nice: int
    slice: int


_system = ctypes.CDLL(None, use_errno=True)


def scheduling(tid: int = 0) -> Scheduling:
    text = ctypes.create_string_buffer(struct.calcsize(_LAYOUT))
    assert _system.syscall(_NUMBERS[platform.machine()][1], tid, text, len(text), 0) == 0
    _, policy, _, nice, _, slice_ns, _, _ = struct.unpack(_LAYOUT, text.raw)
    return Scheduling(policy, nice, slice_ns)


def schedule(wanted: Scheduling) -> None:
    size = struct.calcsize(_LAYOUT)
    text = struct.pack(_LAYOUT, size, wanted.policy, 0, wanted.nice, 0, wanted.slice, 0, 0)
    assert _system.syscall(_NUMBERS[platform.machine()][0], 0, text, 0) == 0, os.strerror(
        ctypes.get_errno()
    )


def knows_slices() -> bool:
    try:
        return scheduling().slice > 0
    except (AssertionError, KeyError):
        return False


pytestmark = pytest.mark.skipif(not knows_slices(), reason="needs time slices of threads, Linux 6.12")


@pytest.fixture
def cam(make_stream) -> Stream:
    return make_stream("cam", (4, 4), np.uint16)


class Waiting:
    """A thread that schedules itself and waits for a frame by `call`."""

    def __init__(self, own: Scheduling | None, call) -> None:
        self.tid, self.before, self.after = 0, None, None
        self._own, self._call = own, call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        if self._own is not None:
            schedule(self._own)
        self.before = scheduling()
        self.tid = threading.get_native_id()
        self._call()
        self.after = scheduling()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def end(self, cam: Stream) -> None:
        while self._thread.is_alive():
            cam.publish(np.ones((4, 4), np.uint16))
            self._thread.join(0.05)


WAITS = {
    "Reader.wait": lambda shm, reader: reader.wait(60.0),
    "learned": lambda shm, reader: reader.wait(60.0, spin_ns=-2),
    "get_data": lambda shm, reader: shm.get_data(True, timeout=60.0),
    "wait_any": lambda shm, reader: wait_any([shm], 60.0),
    "receive": lambda shm, reader: reader.receive(np.zeros((1, 4, 4), np.uint16), timeout=60.0),
}


@pytest.mark.parametrize("way", WAITS)
def test_slices_are_short_while_it_waits(cam, way):
    with SHM("cam") as shm:
        reader = cam.reader()
        waiting = Waiting(None, lambda: WAITS[way](shm, reader))
        until(lambda: waiting.tid and scheduling(waiting.tid).slice == _SHORT)
        waiting.end(cam)
        assert waiting.before is not None
        assert waiting.before.slice > _SHORT
        assert waiting.after == waiting.before
        reader.close()


@pytest.mark.parametrize(
    "own",
    [
        Scheduling(0, 5, 3_000_000),  # a nice value stays
        Scheduling(0, 0, 50_000_000),
        Scheduling(3, 0, 0),  # SCHED_BATCH
    ],
    ids=["nice", "long", "batch"],
)
def test_what_a_thread_chose_is_its_own_again(cam, own):
    reader = cam.reader()
    waiting = Waiting(own, lambda: reader.wait(60.0))
    until(lambda: waiting.tid)
    if own.policy == 0:
        until(lambda: scheduling(waiting.tid) == own._replace(slice=_SHORT))
    waiting.end(cam)
    assert waiting.after == waiting.before
    assert waiting.after[:2] == own[:2]
    reader.close()


def test_slices_are_short_while_it_waits_for_a_message():
    with MessageLog.create("prompt") as log:
        waiting = Waiting(None, lambda: log.wait(60.0))
        until(lambda: waiting.tid and scheduling(waiting.tid).slice == _SHORT)
        log.append("here")
        waiting.join()
        assert waiting.after == waiting.before
        log.remove()


def test_what_is_changed_during_the_wait_stays(cam):
    """Here by the thread itself, from a signal handler or another hand: the wait sets nothing back."""
    reader = cam.reader()
    waiting = Waiting(None, lambda: reader.wait(60.0))
    until(lambda: waiting.tid and scheduling(waiting.tid).slice == _SHORT)
    size = struct.calcsize(_LAYOUT)
    text = struct.pack(_LAYOUT, size, 3, 0, 0, 0, 0, 0, 0)
    assert _system.syscall(_NUMBERS[platform.machine()][0], waiting.tid, text, 0) == 0
    waiting.end(cam)
    assert waiting.after.policy == 3
    reader.close()
