"""Cameras whose process hangs: their end does not wait for it for ever, and takes the streams along."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pymilk.simulate import SimulatedCamera, SimulatedLoop, camera
from support.faults import within


@pytest.mark.parametrize("kind", [SimulatedCamera, SimulatedLoop])
def test_the_end_of_one_that_was_stopped(
    shm_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: type[SimulatedCamera | SimulatedLoop]
) -> None:
    monkeypatch.setattr(camera, "_END_SECONDS", 0.2, raising=False)
    made = kind("sim").start()
    pid = made.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        report = within(made.stop)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert report.ended == "stopped"
    assert list(shm_dir.iterdir()) == []
