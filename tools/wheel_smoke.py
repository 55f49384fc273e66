"""The least that an installed pymilk has to do: all compiled modules load, and frames come back as published.

    cd /somewhere/else && python /path/to/tools/wheel_smoke.py

It needs pymilk and NumPy only, and runs where pytest is not: in fresh environments, containers and emulators.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import pymilk

COUNT = 200


def compiled_modules() -> list[str]:
    """Name the compiled modules of the installed package."""
    root = Path(pymilk.__file__).parent
    libraries = [path.relative_to(root.parent) for path in root.rglob("*.so")]
    return sorted(".".join([*path.parts[:-1], path.name.partition(".")[0]]) for path in libraries)


def receive_frames() -> pymilk.Capture:
    """Publish numbered frames from a thread; receive all of them from a ring, and the last one as a copy."""
    frame = np.zeros((12, 10), np.uint16)
    with pymilk.SHM("smoke", frame, ring=2 * COUNT) as writer, pymilk.SHM("smoke") as shm:

        def publish() -> None:
            for number in range(1, COUNT + 1):
                writer.set_data(np.full_like(frame, number))

        with shm.ring_reader(depth=2 * COUNT) as ring:
            thread = threading.Thread(target=publish)
            thread.start()
            capture = ring.read(COUNT, timeout=30)
            thread.join()
        newest = shm.get_data()
    numbers = capture.frames[:, 0, 0].tolist()
    assert numbers == list(range(1, COUNT + 1)), numbers
    assert int(capture.info["lost"].sum()) == 0
    assert newest.shape == frame.shape
    assert (newest == COUNT).all()
    return capture


def check_recording(path: Path, capture: pymilk.Capture) -> None:
    """Store what was received, and read it back."""
    pymilk.save(capture, path)
    with pymilk.load(path) as recording:
        assert np.array_equal(recording.frames[:], capture.frames)


def main() -> int:
    """Check everything; a failure is an exception."""
    modules = compiled_modules()
    assert "pymilk._core" in modules, f"no compiled core beside {pymilk.__file__}"
    for name in modules:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MILK_SHM_DIR"] = folder
        check_recording(Path(folder, "smoke.npy"), receive_frames())
    version = f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}"
    print(f"pymilk {pymilk.__version__}: {len(modules)} compiled modules, {COUNT} frames are well; {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
