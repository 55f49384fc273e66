"""Measure all peers that are here, and write the page, its tables and its plots."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from ..import_time import seconds
from .adapters import PEERS
from .goals import figures
from .machine import describe
from .measure import FULL, QUICK, Run
from .report import write

#: Fresh interpreters for the time of an import.
IMPORTS = 11


def import_ms(repeats: int) -> list[float]:
    """Return what importing pymilk takes beyond importing NumPy, once a repetition."""
    return [(seconds("numpy, pymilk") - seconds("numpy")) * 1e3 for _ in range(repeats)]


def say(text: str) -> None:
    """Tell what is being done, on stderr: on a terminal in one line."""
    end = "\r\033[K" if sys.stderr.isatty() else "\n"
    print(text, end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of some seconds: few repetitions")
    parser.add_argument("--output", type=Path, default=Path("docs"), metavar="DIR",
                        help="where benchmarks.md and its folder of plots go; default docs")
    parser.add_argument("--only", metavar="KEY,KEY", help=f"peers: {', '.join(PEERS)}")
    chosen = parser.parse_args()
    keys = chosen.only.split(",") if chosen.only else list(PEERS)
    if unknown := set(keys) - set(PEERS):
        parser.error(f"no such peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    plan = QUICK if chosen.quick else FULL
    absent = {key: PEERS[key].missing() for key in keys}
    peers = [PEERS[key] for key in keys if not absent[key]]
    began = time.monotonic()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-peers-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        run = Run(peers, plan, say)
        machine = describe(run.cores)
        say("import")
        run.results.import_ms = import_ms(2 if chosen.quick else IMPORTS)
        results = run.all()
    table = figures(results, plan)
    page = write(
        chosen.output,
        results,
        plan,
        table,
        machine,
        {key: PEERS[key] for key in keys},
        {key: why for key, why in absent.items() if why},
        "python -m benchmarks.peers " + " ".join(sys.argv[1:]),
        time.monotonic() - began,
    )
    for row in table:
        print(f"{row.verdict:12}  {row.what}: {row.reached}  (goal {row.goal})")
    for key, why in {**absent, **results.failed}.items():
        if why:
            print(f"{key}: {why}")
    print(f"{page}, after {time.monotonic() - began:.0f} s")
    if results.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
