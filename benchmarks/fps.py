"""What parameters cost: a read, a write, a dict of 200, and how soon a change of another process is seen.

    python benchmarks/fps.py [--quick]

Reads and writes: medians of chunks of 1000 calls in a loop. Writes include the system call that asks whether
the file still has a name; what such a call costs on this machine is printed beside them. A change is seen
when `watch` hands it out in this process; the writer stores the time of CLOCK_MONOTONIC in the parameter just
before. The share of a core is the CPU time of a process that watches 200 parameters.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from peers import reference

from pymilk.parameters import FPS

#: What the documentation promises: microseconds, milliseconds, per cent of a core.
ONE_US, ALL_MS, SEEN_MS, SHARE = 2.0, 1.0, 1.0, 2.0

CHUNK = 1000

#: Length of a sleep between two looks at watched counters (WATCH_NS of pymilk/parameters/table.pyx), and how
#: often its price is measured.
WATCH_NS, ROUNDS = 870_000, 5

WRITER = """
import sys, time
from pymilk.parameters import FPS
fps = FPS("bench")
for _ in range(int(sys.argv[1])):
    time.sleep(0.005)
    fps["sent"] = time.monotonic_ns()
"""


def per_call(call: Callable[[], object], chunks: int) -> float:
    """Return the median time of a call in microseconds."""
    took = []
    for _ in range(chunks):
        began = time.perf_counter()
        for _ in range(CHUNK):
            call()
        took.append((time.perf_counter() - began) / CHUNK * 1e6)
    return float(np.median(took))


def latencies(fps: FPS, count: int) -> list[float]:
    """Return how many milliseconds each change took from another process to here."""
    seen, last = [], fps.param("sent").cnt0 + count
    with fps.watch("sent", timeout=30.0) as watch:
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(count)])
        for change in watch:
            # A change that was overwritten unseen is not one of these, but it counts.
            seen.append((time.monotonic_ns() - change.value) / 1e6)
            if change.counter >= last:
                break
        child.wait()
    return seen


def share_of_a_core(fps: FPS, seconds: float, *keys: str) -> float:
    """Return the CPU time of watching some parameters or all, in per cent of the time."""
    cpu, began = time.thread_time(), time.monotonic()
    assert list(fps.watch(*keys, timeout=seconds)) == []
    return (time.thread_time() - cpu) / (time.monotonic() - began) * 100


def print_shares(fps: FPS, seconds: float) -> None:
    """Print what watching costs, beside the bare sleeps."""
    kinds: dict[str, Callable[[], float]] = {
        "watching one parameter": lambda: share_of_a_core(fps, seconds, "gain"),
        "watching 200 parameters": lambda: share_of_a_core(fps, seconds),
    }
    if not reference.missing():
        sleeps = reference.library().reference_sleeps
        kinds["(C: sleeps of the same length, nothing else)"] = lambda: sleeps(WATCH_NS, seconds)
    found: dict[str, list[float]] = {what: [] for what in kinds}
    for _ in range(ROUNDS):
        for what, measure in kinds.items():
            found[what].append(measure())
    for what, shares in found.items():
        row(what, float(np.median(shares)), "% of a core", SHARE)
        print(f"{'':<44} {min(shares):8.3f} to {max(shares):.3f}")


def row(what: str, value: float, unit: str, target: float) -> None:
    """Print one figure beside its target."""
    print(f"{what:<44} {value:8.3f} {unit:<12} {'ok' if value <= target else 'MISSED'} (at most {target:g})")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Fewer calls.")
    quick = parser.parse_args().quick
    chunks, changes, seconds = (10, 40, 0.5) if quick else (200, 1000, 4.0)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        with FPS.create("bench", 256, directories=False) as fps:
            for number in range(195):
                fps.add_param(f"group{number % 7}.value{number}", default=number / 7)
            for key, value in {"n": 1, "gain": 0.5, "on": True, "text": "abc", "sent": 0}.items():
                fps.add_param(key, default=value)
            assert len(fps) == 200
            for key, value in {"gain": 0.25, "n": 7, "on": False, "text": "xyz"}.items():
                row(f"get {type(value).__name__}", per_call(lambda key=key: fps[key], chunks), "us", ONE_US)
                row(
                    f"set {type(value).__name__}",
                    per_call(lambda key=key, value=value: fps.set(key, value), chunks),
                    "us",
                    ONE_US,
                )
            descriptor = os.open(fps.path, os.O_RDONLY)
            print(
                f"{'(os.fstat from Python, for comparison)':<44} "
                f"{per_call(lambda: os.fstat(descriptor), chunks):8.3f} us"
            )
            os.close(descriptor)
            row("as_dict of 200", per_call(fps.as_dict, max(2, chunks // 20)) / 1e3, "ms", ALL_MS)
            seen = latencies(fps, changes)
            row("change seen, median", float(np.median(seen)), "ms", SEEN_MS)
            row("change seen, 99 %", float(np.percentile(seen, 99)), "ms", SEEN_MS)
            print_shares(fps, seconds)


if __name__ == "__main__":
    main()
