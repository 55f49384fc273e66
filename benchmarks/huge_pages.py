"""Large frames on small and on huge pages: what it costs to publish one, beside a plain copy of the same run.

    python benchmarks/huge_pages.py [DIRECTORY ...]

Streams are made in each of the directories; default: ``/dev/shm``. Memory file systems have pages of 4 kB
unless they are mounted otherwise, and an array of NumPy has pages of 2 MB, so that a plain copy into it needs
fewer translations of addresses. To see what that is worth, as root::

    mkdir /mnt/huge; mount -t tmpfs -o huge=within_size,size=1g tmpfs /mnt/huge
    python benchmarks/huge_pages.py /dev/shm /mnt/huge

All are measured in turns. Each ratio is to the copy into an array: of the fastest tenth, and of the medians.
"""

from __future__ import annotations

import argparse
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from pymilk import SHM

SHAPE = (2048, 2048)


def shared_array(path: Path, frame: np.ndarray) -> np.ndarray:
    """Return an array in a new file."""
    with open(path, "w+b") as file:
        file.truncate(frame.nbytes)
        memory = mmap.mmap(file.fileno(), frame.nbytes)
    made = np.frombuffer(memory, frame.dtype).reshape(frame.shape)
    made[:] = 0  # its pages are there
    return made


def measure(folder: Path, repeats: int) -> dict[str, np.ndarray]:
    """Return the seconds of each way, in turns."""
    os.environ["MILK_SHM_DIR"] = str(folder)
    frame = np.random.default_rng(0).integers(0, 65535, SHAPE, np.uint16)
    target = np.zeros_like(frame)
    shared = shared_array(folder / "plain", frame)
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        stream = stack.enter_context(SHM("plain8", np.zeros_like(frame)))
        ring = stack.enter_context(SHM("ring8", (SHAPE, np.uint16), ring=8))
        ways: dict[str, Callable[[], object]] = {
            "copy into an array": partial(np.copyto, target, frame),
            "copy into the file system": partial(np.copyto, shared, frame),
            "set_data": partial(stream.set_data, frame),
            "set_data, ring of 8": partial(ring.set_data, frame),
        }
        for _ in range(repeats):
            for name, call in ways.items():
                began = time.perf_counter()
                call()
                taken.setdefault(name, []).append(time.perf_counter() - began)
        for each in (stream, ring):
            assert (each.get_data() == frame).all()
            each.destroy()
    return {name: np.array(each) for name, each in taken.items()}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", default=["/dev/shm"], metavar="DIRECTORY")
    parser.add_argument("--repeats", type=int, default=400)
    chosen = parser.parse_args()
    for directory in chosen.directories:
        with tempfile.TemporaryDirectory(prefix="pymilk-pages-", dir=directory) as folder:
            taken = measure(Path(folder), chosen.repeats)
        print(f"{SHAPE[0]}x{SHAPE[1]} uint16, streams in {directory}\n{'':26}    ms  fastest tenth  medians")
        plain = taken["copy into an array"]
        for name, each in taken.items():
            fast, median = (np.percentile(each, q) / np.percentile(plain, q) for q in (10, 50))
            print(f"{name:26} {np.percentile(each, 10) * 1e3:>5.2f} {fast:>14.2f} {median:>8.2f}")


if __name__ == "__main__":
    main()
