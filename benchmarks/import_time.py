"""What ``import pymilk`` costs on top of ``import numpy``, in time and memory: medians of fresh interpreters.

    python benchmarks/import_time.py [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

PROBE = """
import time
began = time.perf_counter()
import {0}
seconds = time.perf_counter() - began
with open("/proc/self/status") as status:
    print(seconds, next(line.split()[1] for line in status if line.startswith("VmRSS:")))
"""

#: With byte code in its cache, as installed packages have it.
ENVIRONMENT = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": ""}


def measure(statement: str) -> tuple[float, float]:
    """Return what a fresh interpreter says that an import took: seconds, and MiB that it has then."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    seconds, kibibytes = answer.stdout.split()
    return float(seconds), int(kibibytes) / 1024


def seconds(statement: str) -> float:
    """Return the seconds that an import took in a fresh interpreter."""
    return measure(statement)[0]


def main() -> None:
    """Print both medians and the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    found: dict[str, list[tuple[float, float]]] = {"numpy": [], "numpy, pymilk": []}
    seconds("numpy, pymilk")  # fills the cache
    for _ in range(repeats):
        for statement in found:
            found[statement].append(measure(statement))
    (numpy, less), (both, more) = (
        [statistics.median(column) for column in zip(*rows, strict=True)] for rows in found.values()
    )
    print(
        f"import numpy {numpy * 1e3:.1f} ms, {less:.1f} MiB; "
        f"with pymilk {both * 1e3:.1f} ms, {more:.1f} MiB; "
        f"pymilk adds {(both - numpy) * 1e3:.1f} ms and {more - less:.1f} MiB"
    )


if __name__ == "__main__":
    main()
