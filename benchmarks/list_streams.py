"""What ``pymilk ls`` costs where there are many streams.

    python benchmarks/list_streams.py [--streams 3000] [--repeat 5]

The streams (8x8 uint16) lie in a directory of their own. `alive`: one process has made them, and has all of
them open; `dead`: it has ended. Each call is a process of its own, from its start to its end; printed are the
least and the median of the times on the clock, and of the processor time, user and system, which other work
disturbs less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WRITER = """
import sys, numpy as np
from pymilk import Stream
streams = [Stream.create(f"s{i:04}", (8, 8), np.uint16) for i in range(int(sys.argv[1]))]
for stream in streams:
    stream.publish(np.zeros((8, 8), np.uint16))
print("ready", flush=True)
sys.stdin.readline()
"""


def timed(command: list[str], count: int) -> tuple[float, float]:
    """Run a command; returns its time on the clock, and its processor time."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if len(said.splitlines()) != count + 1:
        raise SystemExit(f"it listed {len(said.splitlines()) - 1} streams of {count}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(state: str, count: int, repeat: int) -> None:
    """Time the listing, and print a line."""
    found = [timed([sys.executable, "-m", "pymilk", "ls"], count) for _ in range(repeat)]
    clock, used = ([each[at] for each in found] for at in (0, 1))
    print(
        f"{count} streams, {state:<6} {min(clock):.2f} s at least, {statistics.median(clock):.2f} s median; "
        f"processor {min(used):.2f} s at least, {statistics.median(used):.2f} s median; "
        f"load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Make the streams, and list them."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--streams", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="pymilk-ls-") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(chosen.streams)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        try:
            report("alive", chosen.streams, chosen.repeat)
        finally:
            writer.communicate("\n")
        report("dead", chosen.streams, chosen.repeat)


if __name__ == "__main__":
    main()
