"""Every frame of a fast camera gets to the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pymilk import Recorder, load
from pymilk.bench.frames import check_frames
from support.children import Child
from support.recordings import EACH_FORMAT

CAMERA = """
import sys, time
import numpy as np
from pymilk import SHM
from pymilk.bench.frames import SelfCheckingFrame
with SHM("cam", ((120, 120), np.uint16), ring=4096) as shm:
    frame = SelfCheckingFrame((120, 120), np.dtype(np.uint16))
    numbered = [frame.number(number).copy() for number in range(2, 8194)]
    cubes = [np.stack(numbered[at : at + 512]) for at in range(0, 8192, 512)]
    print("ready", flush=True)
    sys.stdin.readline()
    for cube in cubes:
        shm.set_many(cube, rate=4000)
    print("done", flush=True)
    sys.stdin.readline()
    shm.destroy()
"""


@EACH_FORMAT
def test_every_frame_of_a_fast_camera(suffix: str, spawn: Callable[..., Child], tmp_path: Path) -> None:
    """4 kHz for two seconds: each frame on the disk is whole, and the one that its row says."""
    camera = spawn(CAMERA)
    camera.expect("ready")
    path = tmp_path / f"cam.{suffix}"
    with Recorder("cam", path, frames=8192) as recorder:
        camera.tell("go")
        camera.expect("done")
        report = recorder.wait(60)
    camera.tell("end")
    assert camera.finish()[0] == 0
    with load(path) as loaded:
        numbers, whole = check_frames(np.ascontiguousarray(loaded.frames))
        assert loaded.info is not None
        assert whole.all()
        assert np.array_equal(numbers, loaded.info["cnt0"])
        # A ring of 4096 frames lasts a second: only a machine that stands still loses some.
        assert (report.recorded, report.lost) == (8192, 0)
