"""Pixels of an `Image` that another process writes, and files that permit reading only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from support.images import OPENED, ramp

Make = Callable[..., Any]
Spawn = Callable[..., Any]


# -- pixels -------------------------------------------------------------------------------------------


def test_a_woken_process_sees_the_frame(make: Make, spawn: Spawn) -> None:
    """Counters and pixels are there when the semaphore is posted."""
    image = make("x", np.zeros((4, 3), "i4"))
    child = spawn(
        OPENED
        + """
sem = image.getsemwaitindex(0)
image.semflush(sem)
print(sem, flush=True)
for number in range(1, 101):
    assert image.semwait(sem) == 0
    md = image.md
    assert (md.cnt0, md.cnt1, md.write, (image.copy() == number).all()) == (number + 1, number + 1, 0, True)
    print(number, flush=True)
""",
        "x",
    )
    child.expect("open")
    sem = int(child.hear())
    assert image.semReadPID[sem] == child.pid
    for number in range(1, 101):
        image.write(np.full((4, 3), number, "i4"))
        child.expect(str(number))
    assert child.finish() == (0, "", "")
    assert image.semvalue(sem) == 0


# -- read-only ----------------------------------------------------------------------------------------


def test_file_that_permits_reading_only(make: Make, spawn: Spawn, shm_dir: Path) -> None:
    make("x", ramp(3))
    os.chmod(shm_dir, 0o755)
    os.chmod(shm_dir / "x.im.shm", 0o444)
    child = spawn(
        """
import os
from pymilk.errors import StreamReadOnlyError
from pymilk.ImageStreamIOWrap import Image
if not os.getuid():
    os.setuid(65534)  # the one user that permissions do not hold for is another one now
image = Image()
assert image.open("x") == 0, image.last_error
assert image.copy().tolist() == [0, 1, 2]
try:
    image.update()
except StreamReadOnlyError as error:
    print(image.getsemwaitindex(0), image.md.cnt0)
"""
    )
    child.expect("-1 1")
    assert child.finish() == (0, "", "")
