"""A few damaged shared states; `python -m fuzz.states` drives as many as wanted."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.states import damaged, drive


def test_some_damaged_states(shm_dir: Path) -> None:
    for number in range(200):
        drive(shm_dir / "fuzz.state.shm", damaged(random.Random(f"test {number}")))
    (shm_dir / "fuzz.state.shm").unlink()
