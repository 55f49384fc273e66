"""Have processes killed at steps of their work; the numbers of steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.recordings import format_parameters

RUN = "from support import deaths; deaths.main()"

#: Marks of tests that take minutes, all of them together.
BY_HAND = (
    pytest.mark.stress,
    pytest.mark.skipif(
        not os.environ.get("PYMILK_EVERY_STEP"), reason="takes minutes; run with PYMILK_EVERY_STEP=1"
    ),
)


def die(spawn: Callable[..., Any], *what: object) -> tuple[int, int]:
    """Have processes killed; returns how many, and how far the last one came."""
    child = spawn(RUN, *what)
    code, out, err = child.finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    deaths, furthest = out.split()
    return int(deaths), int(furthest)


#: System calls of each: at least so many, each with a stop before and one behind it.
CALLS = {"create": 15, "create_new": 15, "replace": 18, "close": 1, "destroy": 6, "rm": 10}


def left_over(folder: Path, pid: int) -> Path:
    """Make a file as a creator leaves it."""
    path = folder / f".cam.im.shm.{pid}.0123abcd.new"
    path.write_bytes(b"x")
    return path


#: Stops before and behind each such call: at least so many, where three frames fill a chunk.
WRITING = {"npy": 90, "fits": 100, "h5": 100, "zarr": 200}

#: The same of a capture that is saved.
SAVING = {"npy": 40, "fits": 40, "h5": 40, "zarr": 60}

#: The same for a recorder, which starts threads, and takes two frames at a time.
RECORDING = {"npy": 80, "fits": 80, "h5": 80, "zarr": 150}

def least(steps: dict[str, int], kind: str) -> int:
    """Return how many steps there are at least, also of a format that is compressed."""
    return steps[kind.partition("+")[0]]


EACH_PACKING = pytest.mark.parametrize(
    "kind", format_parameters("npy", "fits", "h5", "zarr", "fits+fast", "h5+compress", "h5+fast", "zarr+fast")
)

#: Chunks that nobody had time to pack, and those of recorders.
HURRIED = pytest.mark.parametrize("kind", format_parameters("fits+hurried", "h5+hurried", "zarr+hurried"))
PACKED = pytest.mark.parametrize("kind", format_parameters("fits+fast", "h5+fast", "zarr+fast"))
