"""Unit tests stay in one process and do not sleep: a test that does otherwise fails here."""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

import numpy.testing  # noqa: F401  (NumPy 1.26 starts a process when this is first imported)
import pytest

# Starts `uname` the first time that it is asked; h5py asks when it is imported.
platform.uname().processor  # noqa: B018

#: The longest sleep that a unit test may ask for, in seconds: enough to look again, too short to wait.
LONGEST_SLEEP = 0.005

#: Audit events of what starts a process.
STARTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn", "os.exec"}
)

#: What the running test has done that it must not do; None while no unit test runs.
_offences: list[str] | None = None


def _refuse(what: str) -> None:
    if _offences is not None:
        _offences.append(what)
        raise RuntimeError(f"{what}: a test that does this belongs in tests/processes")


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        _refuse(event)


# A hook cannot be removed; outside of unit tests it does nothing.
sys.addaudithook(_hear)


@pytest.fixture(autouse=True)
def _one_process_without_sleep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that starts a process or sleeps, even if it catches the error."""
    global _offences
    offences: list[str] = []
    sleep, start = time.sleep, BaseProcess.start

    def sleep_briefly(seconds: float) -> None:
        if seconds > LONGEST_SLEEP:
            offences.append(f"time.sleep({seconds})")
        sleep(seconds)

    def start_nothing(process: BaseProcess) -> None:
        _refuse("multiprocessing")
        start(process)

    monkeypatch.setattr(time, "sleep", sleep_briefly)
    monkeypatch.setattr(BaseProcess, "start", start_nothing)
    _offences = offences
    yield
    _offences = None
    assert not offences, f"{', '.join(offences)}: a test that does this belongs in tests/processes"


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[BaseException]:
    """A fault of the kind that `support.faults.each_fault` names."""
    from support.faults import FAULTS  # here: this file is used alone as well

    # What other tests left must not be collected by the thread that is to fail: it would fail in their place.
    gc.disable()
    yield FAULTS[request.param]()
    gc.enable()
