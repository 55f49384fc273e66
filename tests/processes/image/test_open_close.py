"""`Image.destroy` while another process waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.children import REPLACES
from support.images import ramp

Make = Callable[..., Any]
Spawn = Callable[..., Any]


@pytest.mark.filterwarnings("ignore::pymilk.errors.StreamGoneWarning")
def test_destroy_never_removes_a_replacement(make: Make, spawn: Spawn, shm_dir: Path) -> None:
    image = make("x", ramp(3))
    child = spawn(
        REPLACES
        + """
import numpy as np
import pytest
from pymilk.ImageStreamIOWrap import Image
image = Image()
assert image.create("x", np.full((4, 3), 7.0)) == 0
print("replaced", flush=True)
input()
assert (image.copy() == 7).all()
"""
    )
    child.expect("replaced")
    # The old memory is not followed, and works.
    image.write(ramp(3) + 1)
    assert (image.md.cnt0, image.shape) == (2, (3,))
    assert image.md.inode != os.stat(shm_dir / "x.im.shm").st_ino
    assert image.destroy() == 0
    assert image.memsize == 0
    again = make("x")
    assert (again.shape, again.md.cnt0, again.copy()[0, 0]) == ((4, 3), 1, 7)
    assert again.md.inode == os.stat(shm_dir / "x.im.shm").st_ino
    child.tell()
    assert child.finish() == (0, "", "")
