"""What ``import pymilk`` costs on top of ``import numpy``, in fresh interpreters by turns.

Medians, and the least time of a processor: that is not longer where other programs are at work, too.

    python benchmarks/import_time.py [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from typing import NamedTuple

PROBE = """
import time
began, worked = time.perf_counter(), time.process_time()
import {0}
seconds, worked = time.perf_counter() - began, time.process_time() - worked
with open("/proc/self/status") as status:
    print(seconds, worked, next(line.split()[1] for line in status if line.startswith("VmRSS:")))
"""

#: With byte code in its cache, as installed packages have it.
ENVIRONMENT = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": ""}


class Cost(NamedTuple):
    """What an import takes: seconds, seconds of a processor, and MiB that the process has then."""

    seconds: float
    processor: float
    memory: float


def measure(statement: str) -> Cost:
    """Return what a fresh interpreter says that an import took."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    seconds, processor, kibibytes = answer.stdout.split()
    return Cost(float(seconds), float(processor), int(kibibytes) / 1024)


def seconds(statement: str) -> float:
    """Return the seconds that an import took in a fresh interpreter."""
    return measure(statement).seconds


def typical(costs: list[Cost]) -> Cost:
    """Return the median time, the least time of a processor, and the median memory."""
    wall, processor, memory = zip(*costs, strict=True)
    return Cost(statistics.median(wall), min(processor), statistics.median(memory))


def main() -> None:
    """Print what both imports take, and the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    found: dict[str, list[Cost]] = {"numpy": [], "numpy, pymilk": []}
    seconds("numpy, pymilk")  # fills the cache
    for _ in range(repeats):
        for statement in found:
            found[statement].append(measure(statement))
    numpy, both = map(typical, found.values())
    added = Cost(*(more - less for more, less in zip(both, numpy, strict=True)))
    for what, cost in (("import numpy", numpy), ("with pymilk", both), ("pymilk adds", added)):
        print(
            f"{what:12} {cost.seconds * 1e3:6.1f} ms, "
            f"{cost.processor * 1e3:6.1f} ms of a processor at least, {cost.memory:5.1f} MiB"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
