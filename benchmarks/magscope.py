"""What a write costs in the facade of magscope.datatypes, beside the original and a plain copy.

    pip download --no-deps magscope==1.0.0 -d wheels && unzip -d original wheels/magscope-*.whl
    python benchmarks/magscope.py --original original [--quick]

Only the module `magscope.datatypes` of the original is loaded, which needs NumPy alone. Without --original
there is the facade only. Facade and original in turn; the lowest of the medians of the rounds, with a lock
of multiprocessing that nobody else takes. Plain copies go to the slots of a ring of the same size, in shared
memory, in the same rounds. Rings of
images have 64 MB at most, so that slots of large images are not in a cache when they are written.
"""

from __future__ import annotations

import argparse
import importlib
import math
import mmap
import multiprocessing
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pymilk.compat import magscope

#: Rows of 7 columns that are written at once; and images: height, width, bits.
ROWS = (1, 10, 100, 1000)
IMAGES = ((64, 64, 8), (120, 120, 16), (512, 512, 8), (1024, 1024, 16))

ROUNDS = 7

#: How many times as fast as the original the facade is to be.
TARGET = 3.0


def load_original(folder: Path) -> Any:
    """Import the original's module without its package, which opens windows."""
    package = types.ModuleType("magscope")
    package.__path__ = [str(folder / "magscope")]
    sys.modules["magscope"] = package
    return importlib.import_module("magscope.datatypes")


def median_us(call: Callable[[], object], seconds: float) -> float:
    """Return the median time of a call in chunks, in microseconds."""
    chunk, took = 1, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(chunk):
            call()
        spent = time.perf_counter() - began
        if spent < 2e-4:
            chunk *= 2
        else:
            took.append(spent / chunk)
    return float(np.median(took)) * 1e6


def unlink(*segments: Any) -> None:
    """Remove the names of what was measured."""
    for segment in segments:
        segment.unlink()


def rows(module: Any, count: int, seconds: float) -> float:
    """Return the time of writing so many rows."""
    name = f"pymilk-bench-{os.getpid()}"
    matrix = module.MatrixBuffer(
        create=True, locks={name: multiprocessing.Lock()}, name=name, shape=(10_000, 7)
    )
    given = np.random.default_rng(1).random((count, 7))
    try:
        return median_us(lambda: matrix.write(given), seconds)
    finally:
        unlink(matrix._shm, matrix._idx_shm, matrix._shm_info)


def images(module: Any, height: int, width: int, bits: int, seconds: float) -> float:
    """Return the time of writing an image; stacks are taken away when the ring is full."""
    stacks = max(2, min(10, 64_000_000 // (height * width * bits // 8 * 10)))
    video = module.VideoBuffer(
        create=True,
        locks={"VideoBuffer": multiprocessing.Lock()},
        n_stacks=stacks,
        width=width,
        height=height,
        n_images=10,
        bits=bits,
    )
    given = bytes(height * width * bits // 8)

    def write() -> None:
        try:
            video.write_image_and_timestamp(given, 1.0)
        except module.BufferOverflow:
            while video.check_read_stack():
                video.read_stack_no_return()

    try:
        return median_us(write, seconds)
    finally:
        unlink(video._shm, video._ts_shm, video._idx_shm, video._shm_info)


def copies(nbytes: int, ring: int, seconds: float) -> float:
    """Return the time of a plain copy to the slots of a ring in turn."""
    source = np.frombuffer(bytes(nbytes), np.uint8)
    number, count = 0, max(1, ring // nbytes)
    # Of the same kind of memory as the buffers have: private memory has huge pages, and is faster.
    slots = np.frombuffer(mmap.mmap(-1, count * nbytes), np.uint8).reshape(count, nbytes)

    def copy() -> None:
        nonlocal number
        number = (number + 1) % count
        np.copyto(slots[number], source)

    return median_us(copy, seconds)


def compare(
    what: str, modules: dict[str, Any], measure: Callable[[Any], float], plain_copy: Callable[[], float]
) -> None:
    """Measure in turn, and print a line."""
    found: dict[str, list[float]] = {name: [] for name in modules}
    plain = math.inf
    for _ in range(ROUNDS):
        plain = min(plain, plain_copy())
        for name, module in modules.items():
            found[name].append(measure(module))
    best = {name: min(times) for name, times in found.items()}
    line = f"{what:<28} {best['facade']:8.2f} us = {best['facade'] / plain:5.2f} copies"
    if "original" in best:
        ratio = best["original"] / best["facade"]
        line += f"   original {best['original']:8.2f} us = {ratio:4.1f} x the facade"
        line += f"   {'ok' if ratio >= TARGET else 'MISSED'} (at least {TARGET:g})"
    print(line)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--original", type=Path, help="Folder with the package magscope in it.")
    parser.add_argument("--quick", action="store_true", help="Shorter rounds.")
    arguments = parser.parse_args()
    seconds = 0.05 if arguments.quick else 0.3
    modules: dict[str, Any] = {"facade": magscope}
    if arguments.original:
        modules["original"] = load_original(arguments.original)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for count in ROWS:
        compare(
            f"{count} rows of 7",
            modules,
            lambda module, count=count: rows(module, count, seconds),
            lambda count=count: copies(56 * count, 560_000, seconds),
        )
    for height, width, bits in IMAGES:
        nbytes = height * width * bits // 8
        compare(
            f"image {height}x{width} uint{bits}",
            modules,
            lambda module, shape=(height, width, bits): images(module, *shape, seconds),
            lambda nbytes=nbytes: copies(nbytes, min(100 * nbytes, 64_000_000), seconds),
        )


if __name__ == "__main__":
    main()
