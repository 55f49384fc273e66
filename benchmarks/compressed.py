"""Compression: how small does each word make camera frames, how fast on one core, and does a camera lose any?

    python benchmarks/recording.py --compress [--directory DIR] [--seconds 20]

1. *Codec*: 240x240 uint16 of a spot with camera noise (standard deviation 5, 10 and 30) in a ring are
   recorded; the report has the ratio, and the speed of the codec by the processor time of its threads. The
   ratio is set beside that of gzip in the same run.
2. *Camera*: a second process publishes such frames (noise 10) at 2000/s, in a cycle of 512. Each one in the
   file is compared with the one that its row says. Frames lost have to be 0.

Exit code 1 if a frame is missing or another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import pymilk
from pymilk import SHM, Recorder, record

SHAPE = (240, 240)
RATE = 2000.0
PERIOD = 512
KINDS: list[tuple[str, bool | str]] = [
    *((suffix, word) for suffix in ("h5", "zarr") for word in (True, "fast", "small")),
    ("fits", "fast"),
]

FRAMES = """
import numpy as np

def frames(count, noise):
    y, x = np.indices((240, 240))
    spot = 1000 + 200 * np.exp(-((y - 120) ** 2 + (x - 120) ** 2) / 2000)
    return np.random.default_rng(1).normal(spot, noise, (count, 240, 240)).astype(np.uint16)
"""

CAMERA = (
    FRAMES
    + """
import sys
from pymilk import SHM
count, rate, period = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
cycle = frames(period, 10)
with SHM("noisy", ((240, 240), np.uint16), ring=2048) as shm:
    print("ready", flush=True)
    sys.stdin.readline()
    for first in range(0, count, period):
        shm.set_many(cycle[: min(period, count - first)], rate=rate)
    print("done", flush=True)
    sys.stdin.readline()
    shm.destroy()
"""
)


def frames(count: int, noise: float) -> np.ndarray:
    """Make frames as the camera does."""
    scope: dict[str, Any] = {}
    exec(FRAMES, scope)
    made: np.ndarray = scope["frames"](count, noise)
    return made


def name_of(word: bool | str) -> str:
    """Return a word as the table has it."""
    return "True" if word is True else str(word)


def codecs(folder: Path, noises: tuple[int, ...], count: int, repeats: int) -> None:
    """Print ratio and speed of each word, format and noise; so many frames, the best of so many times."""
    print("noise  format  compress  ratio  beside gzip  MB/s in  MB/s out, of one core")
    for noise in noises:
        made, gzip = frames(count, noise), 0.0
        with SHM("stock", (SHAPE, np.uint16), ring=1024) as shm:
            shm.set_many(made)
            for suffix, word in KINDS:
                best = None
                for _ in range(repeats):
                    path = folder / f"codec.{suffix}"
                    report = record(shm, path, frames=count + 1, start="oldest", compress=word, force=True)
                    packed = report.packed
                    if packed is not None and (best is None or packed.rate_in > best.rate_in):
                        best = packed
                assert best is not None
                gzip = gzip or best.ratio
                print(
                    f"{noise:>5}  {suffix:6}  {name_of(word):8}  {best.ratio:>5.2f}  "
                    f"{best.ratio / gzip:>11.2f}  {best.rate_in / 1e6:>7.0f}  {best.rate_out / 1e6:>8.0f}",
                    flush=True,
                )
            shm.destroy()


def camera(path: Path, word: bool | str, seconds: float) -> bool:
    """Record a camera, verify each frame, print a line; returns whether all is well."""
    count = int(RATE * seconds)
    child = subprocess.Popen(
        [sys.executable, "-c", CAMERA, str(count), str(RATE), str(PERIOD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    with Recorder("noisy", path, compress=word, frames=count, timeout=10, force=True) as recorder:
        child.stdin.write("go\n")
        child.stdin.flush()
        child.stdout.readline()
        try:
            report = recorder.wait(60)
        except pymilk.errors.StreamError as error:
            report = error.report
    child.communicate("end\n")
    each = report.streams["noisy"]
    wrong, cycle = 0, frames(PERIOD, 10)
    with pymilk.load(path) as loaded:
        assert loaded.info is not None
        which = (loaded.info["cnt0"].astype(np.int64) - 2) % PERIOD
        for first in range(0, len(loaded), 256):
            part = np.asarray(loaded.frames[first : first + 256])
            wrong += int((part != cycle[which[first : first + 256]]).any(axis=(1, 2)).sum())
    good = wrong == 0 and each.lost == 0 and each.recorded == count
    packed = each.packed
    assert packed is not None
    print(
        f"{path.suffix[1:]:6}  {name_of(word):8} {each.recorded:>8} {each.lost:>6} {wrong:>6} "
        f"{each.rate:>8.0f} {each.ring_peak:>9.1%} {packed.ratio:>6.2f} "
        f"{packed.rate_in / 1e6:>8.0f} {packed.unpacked:>15}  "
        f"{'ok' if good else 'NOT ok'}",
        flush=True,
    )
    return good


def compressed(directory: str | None, seconds: float, quick: bool = False) -> int:
    """Run both parts; returns the exit code."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    good = True
    with (
        tempfile.TemporaryDirectory(prefix="pymilk-recording-", dir=memory) as streams,
        tempfile.TemporaryDirectory(prefix="pymilk-recording-", dir=directory) as folder,
    ):
        os.environ["MILK_SHM_DIR"] = streams
        codecs(Path(folder), *(((10,), 100, 1) if quick else ((5, 10, 30), 900, 3)))
        print(f"\n240x240 uint16 at {RATE:g}/s for {seconds:g} s ({RATE * 0.1152:.0f} MB/s), in {folder}")
        print("format  compress recorded   lost  wrong     rate ring peak  ratio  MB/s in  not compressed")
        for suffix, word in KINDS:
            path = Path(folder) / f"camera.{suffix}"
            good &= camera(path, word, seconds)
    return 0 if good else 1
