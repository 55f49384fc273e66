"""What ``import pymilk`` costs on top of ``import numpy``: medians of fresh interpreters, interleaved.

    python benchmarks/import_time.py [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

#: With byte code in its cache, as installed packages have it.
ENVIRONMENT = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": ""}

PROBE = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def seconds(statement: str) -> float:
    """Return what a fresh interpreter says that an import took."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return float(answer.stdout)


def main() -> None:
    """Print both medians and the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    found: dict[str, list[float]] = {"numpy": [], "numpy, pymilk": []}
    seconds("numpy, pymilk")  # fills the cache
    for _ in range(repeats):
        for statement in found:
            found[statement].append(seconds(statement))
    numpy, both = (statistics.median(values) * 1e3 for values in found.values())
    print(f"import numpy {numpy:.1f} ms; with pymilk {both:.1f} ms; pymilk adds {both - numpy:.1f} ms")


if __name__ == "__main__":
    main()
