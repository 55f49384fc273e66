"""`Image.create` between processes, without room and without memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from support.images import OPENED, Image_kw, ramp

Make = Callable[..., Any]
Spawn = Callable[..., Any]


def test_create_is_seen_by_another_process(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(4, 3), NBkw=3)
    image.set_kws_list([Image_kw("EXPTIME", 0.5, "s")])
    child = spawn(
        OPENED
        + """
assert (image.used, image.shape, image.md.cnt0, image.md.cnt1, image.md.sem) == (0, (4, 3), 1, 1, 10)
assert np.array_equal(image.copy(), np.arange(12, dtype="f4").reshape(4, 3, order="F"))
assert {name: kw.value for name, kw in image.get_kws().items()} == {"EXPTIME": 0.5}
image.write(np.full((4, 3), 7, "f4"))
image.set_kws({"A": Image_kw("A", 3)})
assert image.destroy() == 0  # it was opened only
""",
        "x",
    )
    child.expect("open")
    assert child.finish() == (0, "", "")
    assert (image.copy() == 7).all()
    assert (image.md.cnt0, image.md.cnt1) == (2, 2)
    assert image.semWritePID == [child.pid] * 10
    assert list(image.get_kws()) == ["A"]
    assert os.path.exists(os.path.join(os.environ["MILK_SHM_DIR"], "x.im.shm"))


def test_no_room(spawn: Spawn, shm_dir: Path) -> None:
    child = spawn(
        """
import resource
import numpy as np
from pymilk.ImageStreamIOWrap import Image
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
image = Image()
print(image.create("x", np.zeros(100_000, "u1")), image.memsize, type(image.last_error).__name__)
"""
    )
    child.expect("42 0 StreamStorageError")
    assert child.finish() == (0, "", "")
    assert not list(shm_dir.iterdir())


def test_no_mapping(make: Make, spawn: Spawn) -> None:
    make("x", np.zeros(32 << 20, "u1"))
    child = spawn(
        """
import resource
from pymilk.ImageStreamIOWrap import Image
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), resource.RLIM_INFINITY))
image = Image()
print(image.open("x"), image.memsize, type(image.last_error).__name__)
"""
    )
    child.expect("50 0 StreamStorageError")
    assert child.finish() == (0, "", "")
