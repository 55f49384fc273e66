"""A few damaged command queues; `python -m fuzz.queues` drives as many as wanted."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.queues import damaged, drive


def test_some_damaged_queues(shm_dir: Path) -> None:
    for number in range(200):
        drive(shm_dir / "fuzz.cmd.shm", damaged(random.Random(f"test {number}")))
    (shm_dir / "fuzz.cmd.shm").unlink()
