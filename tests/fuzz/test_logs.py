"""A few damaged message logs; `python -m fuzz.logs` drives as many as wanted."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.logs import damaged, drive


def test_some_damaged_logs(shm_dir: Path) -> None:
    for number in range(200):
        drive(shm_dir / "fuzz.msg.shm", damaged(random.Random(f"test {number}")))
    (shm_dir / "fuzz.msg.shm").unlink()
