"""`capture_many` by time: a camera that only starts, or becomes faster, is held to its end."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, capture_many
from pymilk.errors import CaptureMemoryError
from pymilk.multi import captures
from support.waiting import until

#: Publishes nothing until it is told to; then 4000 frames a second, which hold their numbers.
LATE = """
import sys, numpy as np
from pymilk import SHM
shm = SHM("late", ((16, 16), np.uint16), ring=4096)
print("ready", flush=True)
sys.stdin.readline()
ones = np.ones(shm.shape, np.uint16)
for first in range(1, 1601, 100):
    shm.set_many(np.multiply.outer(np.arange(first, first + 100, dtype=np.uint16), ones), rate=4000)
print("done", flush=True)
sys.stdin.readline()
"""


def test_a_camera_that_only_starts(spawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "_PROBE", 0.05)
    late = spawn(LATE)
    late.expect("ready")
    # Its rate is 0 when it is measured: memory for some tens of frames.
    many = capture_many(["late"], seconds=30, background=True)
    many["late"].wait_end(0.05)
    assert many["late"].requested < 1000
    late.tell("go")
    late.expect("done")
    until(lambda: many["late"].received == 1600)
    assert many.report.ended == {"late": "running"}
    many.stop()
    many.join()
    capture = many["late"]
    assert many.report.ended == {"late": "stopped"}
    assert (capture.report.lost, capture.report.torn) == (0, 0)
    assert capture.info["cnt0"].tolist() == list(range(2, 1602))
    assert capture.frames[:, 3, 5].tolist() == list(range(1, 1601))
    assert capture.requested >= 1600
    assert f"1600 of {capture.requested}" in str(many.report)


def test_memory_that_ends(spawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot grow is full, and says so; what it has is kept."""
    monkeypatch.setattr(captures, "_PROBE", 0.05)

    def none_left(*_: object) -> None:
        raise CaptureMemoryError("no memory", needed=2, available=1)

    monkeypatch.setattr("pymilk.capture.capture.make_pages", none_left)
    late = spawn(LATE)
    late.expect("ready")
    many = capture_many(["late"], seconds=30, background=True)
    late.tell("go")
    many.join()
    late.expect("done")
    assert many.report.ended == {"late": "full"}
    assert 0 < many["late"].received < 1600
    assert many["late"].info["cnt0"].tolist() == list(range(2, many["late"].received + 2))


def test_numbers_that_were_asked_for_do_not_grow(spawn: Any) -> None:
    with SHM("cam", ((2, 2), np.uint16)) as cam:
        many = capture_many({"cam": 2}, seconds=30, background=True)
        assert many["cam"].room == many["cam"].requested == 2
        cam.set_data(cam.get_data())
        until(lambda: many["cam"].received == 1)
        cam.set_data(cam.get_data())
        many.join()
        assert many.report.ended == {"cam": "full"}
        cam.destroy()


def test_a_thread_that_is_held_up_beyond_the_end(spawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time is left when it looks next: the captures end, instead of going on for ever."""
    monkeypatch.setattr(captures, "_PROBE", 0.05)
    monkeypatch.setattr("pymilk.capture.Capture.make_ready", lambda self: time.sleep(0.4))
    late = spawn(LATE)
    late.expect("ready")
    many = capture_many(["late"], seconds=0.3, background=True)
    assert many.join(30).done
    assert many.report.ended == {"late": "time"}
    late.tell("go")
    late.expect("done")


@pytest.mark.parametrize("fault", [OSError("no such device"), ZeroDivisionError("unforeseen")])
def test_a_fault_of_the_thread_ends_all(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    monkeypatch.setattr(captures, "_PROBE", 0.05)

    def fail(_: object) -> None:
        raise fault

    monkeypatch.setattr("pymilk.capture.Capture.make_ready", fail)
    with SHM("cam", ((2, 2), np.uint16)) as cam:
        many = capture_many(["cam"], seconds=30, background=True)
        with pytest.raises(type(fault), match=str(fault)) as caught:
            many.join(30)
        assert many.done
        assert vars(caught.value)["captures"] is many
        assert many["cam"].done
        assert many.report.ended == {"cam": "stopped"}  # not by the time that was asked for
        for again in (pickle.loads(pickle.dumps(many)), copy.copy(many), copy.deepcopy(many)):
            with pytest.raises(type(fault), match=str(fault)):
                again.join(30)
        error = pickle.loads(pickle.dumps(caught.value))
        assert list(error.captures) == ["cam"]
        cam.destroy()
