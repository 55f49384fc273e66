"""Streams in worker processes of multiprocessing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM

Make = Callable[..., SHM]

PROCESSES = """
import multiprocessing, sys
import numpy as np
from pymilk import SHM

def work(shm, pipe):
    with shm:
        pipe.send((shm.FNAME, shm.shape, shm.symcode, shm.get_data().tolist(), shm.semID))
        shm.set_data(shm.get_data() + 1)
        capture = shm.capture(1, timeout=60, background=True)
        capture.armed()
        pipe.send("armed")
        pipe.send(capture.join())

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with SHM("cam", symcode=1) as shm:
        first = shm.get_data()
        mine = shm.semID
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(shm, theirs))
        process.start()
        name, shape, symcode, pixels, index = ours.recv()
        assert (name, shape, symcode, pixels) == ("cam", shm.shape, 1, first.tolist())
        assert index != mine
        assert ours.recv() == "armed"
        assert (shm.get_data() == first + 1).all()
        shm.set_data(first + 2)
        capture = ours.recv()
        assert (capture.frames[0] == first + 2).all() and capture.report.lost == 0
        process.join()
        assert process.exitcode == 0
        print("done", flush=True)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(cam: SHM, tmp_path: Path, method: str) -> None:
    """An SHM goes to another process as its name and options, and comes back in a capture."""
    cam.set_data(np.arange(24, dtype=np.uint32).reshape(4, 6))
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    said = subprocess.run(
        [sys.executable, script, method],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "done\n", "")
