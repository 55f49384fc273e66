"""Processes that have ended."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture
def dead_pid() -> int:
    """A process that has ended; its number is not given again soon."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
