"""Reductions: is ``recording.mean(axis=0)`` as fast as a plain ``np.mean`` over blocks, in constant memory?

    python benchmarks/reductions.py [--directory DIR] [--nbytes 1e9] [--formats npy,fits,h5,zarr]

A recording of 120x120 uint16 in each format. In turns, in one process: `Recording.mean`, and a loop that
reads the same frames in blocks of 4 MiB with `Recording.frames`, or with NumPy from the file for ``npy``,
takes ``np.mean`` of each block and adds them up. Medians of both; the median of the ratios of all turns (1:
as fast; more: faster), also of the times of processors, which other programs hardly change; and the memory
that `Recording.mean` takes after each block beyond what was there, in a process of its own, without pages of
the file. Results are compared. Files are in the page cache, unless they are larger than memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pymilk
from pymilk import SHM, Recorder

SHAPE = (120, 120)
BLOCK = (4 << 20) // (120 * 120 * 2)

PEAK = """
import sys
import pymilk
with pymilk.load(sys.argv[1]) as recording:
    recording.frames[:200].mean(axis=0)
    peak = [0]
    def look(done, frames):
        with open("/proc/self/status") as status:
            facts = dict(line.split(":", 1) for line in status)
        peak[0] = max(peak[0], int(facts["RssAnon"].split()[0]))
    look(0, 0)
    before = peak[0]
    recording.mean(axis=0, progress=look)
print(peak[0] - before)
"""


def make(path: Path, nbytes: float) -> int:
    """Record so many bytes of noise; returns the number of frames."""
    count = int(nbytes) // (120 * 120 * 2)
    frames = np.random.default_rng(1).integers(0, 4096, (1000, *SHAPE), np.uint16)
    with SHM("reduced", (SHAPE, np.uint16), ring=8192, replace=True) as shm:
        recorder = Recorder(shm, path, frames=count)
        with recorder:
            done = 0
            while done < count:
                shm.set_many(frames[: min(1000, count - done)])
                done += 1000
                while done - recorder.report.streams["reduced"].recorded > 4000:
                    time.sleep(0.001)
            report = recorder.wait()
        assert (report.recorded, report.lost) == (count, 0)
        shm.destroy()
    return count


def plain(frames: np.ndarray) -> np.ndarray:
    """Return the mean, by ``np.mean`` of blocks."""
    total = np.zeros(SHAPE)
    for first in range(0, len(frames), BLOCK):
        block = frames[first : first + BLOCK]
        total += np.mean(block, axis=0) * len(block)
    return total / len(frames)


class Timed(NamedTuple):
    """Seconds that something took, those of processors among them, and its result."""

    seconds: float
    processor: float
    result: np.ndarray


def timed(work: Callable[[], np.ndarray]) -> Timed:
    """Do something, and time it."""
    began, worked = time.perf_counter(), time.process_time()
    result = work()
    return Timed(time.perf_counter() - began, time.process_time() - worked, result)


def compare(path: Path, repeats: int) -> None:
    """Print one line of the table."""
    nbytes = 0
    mine: list[Timed] = []
    theirs: list[Timed] = []
    with pymilk.load(path) as recording:
        nbytes = recording.nbytes
        frames = np.load(path, mmap_mode="r") if path.suffix == ".npy" else recording.frames
        for turn in range(repeats + 1):
            ours = timed(lambda: recording.mean(axis=0))
            other = timed(lambda frames=frames: plain(frames))
            np.testing.assert_allclose(ours.result, other.result, rtol=1e-12)
            if turn:  # the first one fills the page cache
                mine.append(ours)
                theirs.append(other)
    turns = list(zip(mine, theirs, strict=True))
    ratio = statistics.median(other.seconds / ours.seconds for ours, other in turns)
    of_processor = statistics.median(other.processor / ours.processor for ours, other in turns)
    said = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    memory = int(said.stdout) / 1024
    print(
        f"{path.suffix:6} {nbytes / statistics.median(each.seconds for each in mine) / 1e6:>9.0f} "
        f"{nbytes / statistics.median(each.seconds for each in theirs) / 1e6:>11.0f} {ratio:>7.2f} "
        f"{of_processor:>18.2f} {memory:>10.1f}",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--nbytes", type=float, default=1e9)
    parser.add_argument("--formats", default="npy,fits,h5,zarr")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        os.environ["MILK_SHM_DIR"] = tempfile.mkdtemp(dir="/dev/shm")
        try:
            print(f"{options.nbytes / 1e9:g} GB of 120x120 uint16; load {os.getloadavg()[0]:.1f}")
            print("format mean MB/s plain MB/s   ratio  of processor time  memory MB")
            for suffix in options.formats.split(","):
                path = Path(folder) / f"reduced.{suffix}"
                make(path, options.nbytes)
                compare(path, options.repeats)
        finally:
            os.rmdir(os.environ["MILK_SHM_DIR"])


if __name__ == "__main__":
    main()
