"""The thread that makes frames for a simulated camera fails: the camera ends, and does not stand still."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import Stream
from pymilk.errors import StreamStorageError
from pymilk.simulate.faults import Faults
from pymilk.simulate.publishing import Publisher
from pymilk.simulate.scenes import SceneFrames
from support.faults import Failing, comes_from, each_fault, raised_within, threads_run_out


@pytest.fixture
def camera(make_stream: object) -> Publisher:
    made: Stream = make_stream("cam", (4, 4), np.uint16)  # type: ignore[operator]
    frames = SceneFrames("ramp", (4, 4), np.dtype(np.uint16), 1)
    return Publisher(lambda again: made, frames, 0.0, 1000, Faults(drop=0.001))


@pytest.mark.parametrize("place", ["take", "_step"])
@each_fault
def test_the_cause_comes_out(
    camera: Publisher, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    monkeypatch.setattr(SceneFrames if place == "take" else Publisher, place, Failing(fault))
    assert comes_from(raised_within(camera.run), fault)


def test_without_a_thread(camera: Publisher) -> None:
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        camera.run()
