"""A stream that one writer has to itself, and how others are refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pymilk.errors import StreamLockedError

SHAPE = (4, 4)
FRAME = np.ones(SHAPE, np.uint16)


@pytest.fixture
def cam(make):
    """A stream, seen by somebody who only reads."""
    return make("cam", np.zeros(SHAPE, np.uint16))


def refused(caught: pytest.ExceptionInfo[StreamLockedError], pid: int) -> bool:
    """Tell whether the error names the stream and the process that has it."""
    error = caught.value
    named = "this process" if pid == os.getpid() else f"process {pid} (python"
    return error.stream == "cam" and error.pids == [pid] and named in str(error)
