"""What calls cost in the interfaces of ndsharray and magscope, beside the originals in the same run.

    python -m benchmarks.peers.facades [--quick]

Both in turn, round after round, in one process; the lowest of the medians of the rounds. ndsharray: writes
and reads of one array, each of which is new to the reader. magscope: writes of a MatrixBuffer and a
VideoBuffer; see benchmarks/magscope.py for more sizes. Originals that are not installed are named and left
out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pymilk.compat import magscope, ndsharray

from ..magscope import images, load_original, rows
from .peer import not_installed

SHAPES = ((120, 120), (512, 512), (1024, 1024))

#: How many times as fast as the original the interface is to be.
TARGET = 3.0


def times_us(module: Any, name: str, shape: tuple[int, int], count: int) -> tuple[float, float]:
    """Return the median times of a write and of a read of a uint16 array, in microseconds."""
    given = np.ones(shape, np.uint16)
    writer = module.NdShArray(name, np.zeros(shape, np.uint16), r_w="w")
    reader = module.NdShArray(name, np.zeros(shape, np.uint16), r_w="r")
    writes, reads = [], []
    for _ in range(count):
        marks = [time.perf_counter()]
        writer.write(given)
        marks.append(time.perf_counter())
        valid, found = reader.read()
        marks.append(time.perf_counter())
        assert valid, "a frame was not seen"
        assert found.shape == shape
        writes.append(marks[1] - marks[0])
        reads.append(marks[2] - marks[1])
    return statistics.median(writes) * 1e6, statistics.median(reads) * 1e6


def remove_what_the_original_leaves(name: str) -> None:
    """Delete its files: it leaves them where they are."""
    for path in Path("/dev/shm").glob(f"{name}*"):
        path.unlink(missing_ok=True)


def print_row(what: str, ours: float, original: float | None) -> None:
    """Print the times of a call, in microseconds."""
    text = f"  {what:32} {ours:8.2f} us"
    if original is not None:
        ratio = original / ours
        text += (f", original {original:9.2f} us: {ratio:6.1f} times as fast   goal {TARGET:g}  "
                 f"{'ok' if ratio >= TARGET else 'MISSED'}")
    print(text)


def arrays(original: Any, rounds: int, count: int) -> None:
    """Print the rows of ndsharray."""
    name = f"pymilk-bench-{os.getpid()}"
    modules = {"ours": ndsharray} if original is None else {"ours": ndsharray, "original": original}
    for shape in SHAPES:
        calls = max(10, count * 14_400 // (shape[0] * shape[1]))  # the original takes long for large ones
        found: dict[str, list[tuple[float, float]]] = {key: [] for key in modules}
        for number in range(rounds):
            for key, module in modules.items():
                found[key].append(times_us(module, f"{name}-{key}-{number}", shape, calls))
        for call, column in (("write", 0), ("read", 1)):
            least = {key: min(each[column] for each in times) for key, times in found.items()}
            print_row(f"ndsharray {call} {shape[0]} x {shape[1]}", least["ours"], least.get("original"))
    remove_what_the_original_leaves(name)


def buffers(original: Any, rounds: int, seconds: float) -> None:
    """Print the rows of magscope."""
    for what, measure in (
        ("MatrixBuffer write, 10 rows", lambda module: rows(module, 10, seconds)),
        ("VideoBuffer write, 512 x 512", lambda module: images(module, 512, 512, 8, seconds)),
    ):
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measure(magscope))
            if original is not None:
                theirs.append(measure(original))
        print_row(what, min(ours), min(theirs, default=None))


def main() -> None:
    """Print the machine and a row for each size and call."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.facades", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    rounds, count, seconds = (2, 50, 0.02) if parser.parse_args().quick else (9, 1000, 0.2)
    absent = {
        "ndsharray": not_installed("ndsharray", "pip install '.[bench]'"),
        "magscope": not_installed("magscope", "pip install --no-deps magscope==1.0.0"),
    }
    print(f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="pymilk-facades-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        arrays(None if absent["ndsharray"] else importlib.import_module("ndsharray"), rounds, count)
        spec = None if absent["magscope"] else importlib.util.find_spec("magscope")
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        buffers(load_original(Path(places[0]).parent) if places else None, rounds, seconds)
    for key, why in absent.items():
        if why:
            print(f"{key}: {why}")


if __name__ == "__main__":
    main()
