"""Captures of several streams whose thread fails: all of them end, and so do those who wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk import SHM, capture_many
from pymilk.capture import Capture
from pymilk.errors import MultiCaptureError, StreamArgumentError, StreamStorageError
from pymilk.multi import captures
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

PLACES: dict[str, tuple[Any, str]] = {
    "waiting": (captures.MultiCapture, "_kept_until_end"),
    "stopping": (Capture, "stop"),
    "closing": (SHM, "close"),
}


@pytest.fixture
def streams(shm_dir: object) -> Any:
    made = [SHM(name, ((2, 2), np.uint16)) for name in ("one", "two")]
    yield made
    for each in made:
        each.destroy()
        each.close()


@pytest.mark.parametrize("place", PLACES)
@each_fault
def test_the_cause_comes_to_who_waits(
    streams: list[SHM], monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    where, name = PLACES[place]
    with monkeypatch.context() as patched:
        patched.setattr(where, name, Failing(fault, getattr(where, name)))
        many = capture_many({"one": 5, "two": 5}, timeout=None, seconds=0.3, background=True)
        error = raised_within(many.join)
    assert comes_from(error, fault)
    assert vars(error)["captures"] is many
    assert many.done
    assert all(each.done for each in many.values())
    until(lambda: not threads_of_pymilk())


@pytest.mark.parametrize("after", [0, 1, 2])
def test_without_a_thread(streams: list[SHM], after: int) -> None:
    for _ in range(12):  # more than there are semaphores
        with threads_run_out(after), pytest.raises(StreamStorageError, match="no thread") as caught:
            within(lambda: capture_many({"one": 5, "two": 5}))
        many = vars(caught.value).get("captures")
        assert (many is not None) == (after == 2)  # all captures had begun
        if many is not None:
            assert within(many.join).done
    until(lambda: not threads_of_pymilk())
    with pytest.raises(MultiCaptureError):
        capture_many({"one": 1, "two": 1}, timeout=0)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "long"])
def test_no_time(streams: list[SHM], timeout: Any) -> None:
    many = capture_many(["one"], 1, timeout=None, background=True)
    with pytest.raises(StreamArgumentError, match="timeout"):
        many.join(timeout)
    many.stop()
    within(many.join)
