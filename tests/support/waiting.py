"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: A wait that takes longer has failed; far above anything a loaded machine does.
PATIENCE = 30.0


def until(condition: Callable[[], Any]) -> None:
    """Look until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


def becomes(read: Callable[[], Any], wanted: Any) -> None:
    """Read something again and again until it is as wanted."""
    deadline = time.monotonic() + PATIENCE
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, f"{found} instead of {wanted}"
        time.sleep(0.005)


def wait_for_state(pid: int, state: str) -> None:
    """Wait until a process is stopped ("T") or dead and not reaped yet ("Z"), as the kernel says."""
    # The command, in brackets, may have spaces.
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == state)
