"""What it costs a thread to receive a frame, and what it loses: into an array, into the ring of a collector.

    python benchmarks/collector.py [--rate HZ] [--seconds S] [--repeats N] [--quick]

A second process publishes frames of 120x120 uint16 in a plain stream. Both ways sleep, and take turns. The
ring has 4096 slots, and the array as many frames. Processor time is that of the receiving thread; its least
value says something on a busy machine as well, unlike losses.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np
from wakeups import WRITER

import pymilk
from pymilk._core import FRAME_ROW, PrivateRing, Reader, Stream, allocate

SLOTS = 4096


def measure(stream: Stream, seconds: float, receive: Callable[[Reader, int], int]) -> tuple[float, float]:
    """Receive for some time; return the processor time of a frame in us, and the lost share."""
    reader = stream.reader()
    after = reader.arm()
    end = threading.Timer(seconds, reader.stop)
    end.start()
    before = time.thread_time()
    frames = receive(reader, after)
    used = time.thread_time() - before
    end.cancel()
    published = reader.last - after
    reader.close()
    return used / max(frames, 1) * 1e6, (published - frames) / max(published, 1)


def run(rate: float, seconds: float, repeats: int) -> None:
    """Measure both ways in turn, and print a table."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    with Stream.attach("wakeups") as stream:
        ring = PrivateRing(SLOTS, stream.frame_shape, stream.dtype)
        cube = allocate((SLOTS, *stream.frame_shape), np.uint16)
        info = allocate((SLOTS,), FRAME_ROW)

        def collect(reader: Reader, after: int) -> int:
            before = ring.written
            return reader.collect(ring, after=after) - before

        ways: dict[str, Callable[[Reader, int], int]] = {
            "into an array": lambda reader, after: reader.receive(cube, info, after=after),
            "into a ring": collect,
        }
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way, receive in ways.items():
                found[way].append(measure(stream, min(seconds, 0.9 * SLOTS / rate), receive))
    writer.communicate()
    print(f"{'':14} {'us a frame, median (least-most)':>34} {'lost, median (least-most)':>32}")
    for way, rounds in found.items():
        used, lost = zip(*rounds, strict=True)
        print(
            f"{way:14} {statistics.median(used):16.2f} ({min(used):.2f}-{max(used):.2f})"
            f" {statistics.median(lost):22.2%} ({min(lost):.2%}-{max(lost):.2%})"
        )


def main() -> None:
    """Print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000.0, help="frames a second")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one short round")
    chosen = parser.parse_args()
    print(
        f"Linux {os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, "
        f"pymilk {pymilk.__version__}, {chosen.rate:g} Hz"
    )
    with tempfile.TemporaryDirectory(prefix="pymilk-collector-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        run(chosen.rate, 0.2 if chosen.quick else chosen.seconds, 1 if chosen.quick else chosen.repeats)


if __name__ == "__main__":
    main()
