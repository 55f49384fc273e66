"""A signal handler that raises at any place of pymilk's code: nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Player, Relay, SimulatedCamera
from pymilk.channels import CommandQueue, MessageLog, SharedState
from pymilk.parameters.processinfo import ProcessInfo
from pymilk.system.signals import ENDS
from support.instants import nothing_is_left
from support.told import told

#: An object that is forgotten may say so.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    with told(*ENDS):  # an interrupt may leave handlers that hand on to these
        yield


def _log() -> None:
    with MessageLog.create("log", replace=True) as log:
        log.append("x")


def _read_log() -> None:
    with MessageLog.attach("log", start="oldest"):
        pass


def _state() -> None:
    with SharedState.create("state", {"a": 1}, replace=True) as state:
        state["a"] = 2


def _read_state() -> None:
    with SharedState.attach("state"):
        pass


def _queue() -> None:
    with CommandQueue.create("queue", replace=True):
        pass


def _process() -> None:
    with ProcessInfo.create("loop"):
        pass


def _relay() -> None:
    with Relay("cam", "ring", 4):
        pass


def _capture() -> None:
    with SHM("cam") as shm, shm.capture(2, background=True, timeout=None):
        pass


def _new() -> None:
    with SHM("new", ((4, 4), np.uint16)) as shm:
        shm.destroy()


#: Files that are there after a block, and how many places there are for each one that is looked at.
WORKS: dict[Callable[[], None], tuple[tuple[str, ...], int]] = {
    _log: (("log.msg.shm",), 1),
    _read_log: ((), 1),
    _state: (("state.state.shm",), 1),
    _read_state: ((), 1),
    _queue: (("queue.cmd.shm",), 1),
    _process: (("processinfo.list.shm",), 1),
    _relay: ((), 3),
    _capture: ((), 3),
    _new: (("new.im.shm",), 3),
}


@pytest.mark.parametrize("work", WORKS, ids=lambda each: each.__name__)
def test_blocks(work: Callable[[], None], shm_dir: Path, cam: SHM) -> None:
    _log()
    _state()
    stay, every = WORKS[work]
    assert nothing_is_left(work, shm_dir, stay, every=every) > 10


def test_players(shm_dir: Path) -> None:
    frames = np.zeros((2, 4, 4), np.uint16)

    def work() -> None:
        with Player(frames, "play", rate=1e6, remove=True):
            pass

    nothing_is_left(work, shm_dir, every=7)


def test_cameras(shm_dir: Path) -> None:
    def work() -> None:
        with SimulatedCamera("sim", (8, 8), rate=100.0):
            pass

    nothing_is_left(work, shm_dir, every=7)
