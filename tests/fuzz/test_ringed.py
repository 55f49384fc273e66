"""A few streams with damaged keywords; `python -m fuzz.ringed` drives as many as wanted."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.ringed import damaged, drive
from pymilk import remove_stream


def test_some_damaged_keywords(shm_dir: Path) -> None:
    for number in range(200):
        damaged(random.Random(f"test {number}"))
        drive()
    remove_stream("fuzz")
