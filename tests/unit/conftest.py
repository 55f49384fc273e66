"""Unit tests stay in one process and do not sleep: a test that does otherwise fails here."""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any

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

#: What matplotlib starts where it is used for the first time on a machine, to see which fonts there are.
FONTS = "fc-list"

#: What the running test has done that it must not do; None while no unit test runs.
_offences: list[str] | None = None


def _refuse(what: str) -> None:
    if _offences is not None:
        _offences.append(what)
        raise RuntimeError(f"{what}: a test that does this belongs in tests/processes")


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in STARTS and not (event == "subprocess.Popen" and arguments[1][:1] == [FONTS]):
        _refuse(event)


# A hook cannot be removed; outside of unit tests it does nothing.
sys.addaudithook(_hear)


_sleep, _start = time.sleep, BaseProcess.start


def _sleep_briefly(seconds: float) -> None:
    if seconds > LONGEST_SLEEP and _offences is not None:
        _offences.append(f"time.sleep({seconds})")
    _sleep(seconds)


def _start_nothing(process: BaseProcess) -> None:
    _refuse("multiprocessing")
    _start(process)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """From here on a test must neither start a process nor sleep."""
    global _offences
    time.sleep, BaseProcess.start = _sleep_briefly, _start_nothing
    _offences = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Fail a test that did, even if it caught the error."""
    global _offences
    try:
        return (yield)
    finally:
        offences, _offences = _offences, None
        time.sleep, BaseProcess.start = _sleep, _start
        assert not offences, f"{', '.join(offences)}: a test that does this belongs in tests/processes"


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[BaseException]:
    """A fault of the kind that `support.faults.each_fault` names."""
    from support.faults import FAULTS  # here: this file is used alone as well

    # What other tests left must not be collected by the thread that is to fail: it would fail in their place.
    gc.disable()
    yield FAULTS[request.param]()
    gc.enable()
