"""What is lost of a plain stream, and what a frame costs: array, ring of a collector, C loop.

    python benchmarks/collector.py [--rates 1000,5000,10000,20000] [--runs 10] [--busy] [--quick]

A second process publishes frames of 120x120 uint16, each with its number all over, in a stream without a
ring. Three ways receive them, and take turns in each run: `Reader.receive` into an array, `Reader.collect`
into the ring of a collector, and the C loop of ``peers/reference.c``: one wait on the semaphore, one memcpy.
All sleep, each in a thread of its own, as collectors do. Printed for each rate:

- *lost*, of the frames from the first to the last one received; of the C loop, which keeps no account, by
  the numbers in its frames, and `torn` how many of these are made of two frames, which it does not notice.
- *us*: processor time of the receiving thread for a frame. Its least value says something on a busy
  machine as well, unlike losses.
- *ready*: how long this thread was ready to run and waited for a processor, in ms a second (run_delay of
  /proc/thread-self/schedstat), and *longest*, the longest time between two frames in the array, in ms. A
  thread that waits longer than a frame lasts loses frames of a stream without a ring, whatever its program.

``--busy`` runs a Python thread beside it that computes all the time, on the same processor.

The lines behind the tables say what was reached: the collector lost no more than the C loop (medians of the
runs); beside a busy thread, nothing in nine of ten runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from peers import reference

import pymilk
from pymilk._core import FRAME_ROW, PrivateRing, Reader, Stream, allocate

SHAPE = (120, 120)
SLOTS = 4096

#: Numbers of frames go round.
PERIOD = 1024

WRITER = """
import select, sys, numpy as np
from pymilk import Stream
rate = float(sys.argv[1])
frames = np.empty((1024, 120, 120), np.uint16)
frames[:] = np.arange(1024, dtype=np.uint16)[:, None, None]
with Stream.create("collected", (120, 120), np.uint16) as stream:
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        stream.publish_many(frames, 1024, interval_ns=round(1e9 / rate))
    stream.destroy()
"""


class Round(NamedTuple):
    """What one way received in one run: see the module."""

    lost: float
    us: float
    ready: float
    longest: float = 0.0
    torn: int = 0


def waited_ns() -> int:
    """Return how long this thread was ready to run, and did not."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1])


@contextlib.contextmanager
def busy_thread(wanted: bool) -> Iterator[None]:
    """Compute in a Python thread of this process, on one processor with this thread."""
    if not wanted:
        yield
        return
    over: list[bool] = []

    def compute() -> None:
        total = 0
        while not over:
            total = (total * 31 + 7) % 1_000_003

    thread = threading.Thread(target=compute)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    thread.start()
    try:
        yield
    finally:
        over.append(True)
        thread.join()
        os.sched_setaffinity(0, allowed)


def in_thread(call: Callable[[], Round]) -> Round:
    """Call in a new thread: the main thread would take Python's global lock at times, to look for signals."""
    found: list[Round] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


class Ways:
    """The three ways to receive so many frames; each returns a `Round`."""

    def __init__(self, stream: Stream, count: int, rate: float) -> None:
        self._stream = stream
        self._rate = rate
        self._count = count
        self._ring = PrivateRing(2 * SLOTS, stream.frame_shape, stream.dtype)
        self._cube = allocate((count, *SHAPE), np.uint16)
        self._cube[:] = 0  # its pages are there
        self._info = allocate((count,), FRAME_ROW)

    def _measured(self, receive: Callable[[], int]) -> tuple[int, float, float]:
        began, used, ready = time.perf_counter(), time.thread_time(), waited_ns()
        frames = receive()
        used, ready = time.thread_time() - used, waited_ns() - ready
        return frames, 1e6 * used / max(frames, 1), ready / 1e6 / (time.perf_counter() - began)

    def array(self) -> Round:
        """Receive into an array."""
        with contextlib.closing(self._stream.reader()) as reader:
            after = reader.arm()
            frames, us, ready = self._measured(
                lambda: reader.receive(self._cube, self._info, after=after, timeout=5.0)
            )
        lost = int(self._info["lost"][1:frames].sum())
        longest = float(np.diff(self._info["arrival_ns"][:frames]).max()) / 1e6
        return Round(lost / (lost + frames), us, ready, longest)

    def ring(self) -> Round:
        """Receive into the ring of a collector, for as long as so many frames take."""
        cursor = self._ring.cursor("collected")
        cursor.begin("next")
        with contextlib.closing(self._stream.reader()) as reader:
            after, before = reader.arm(), self._ring.written
            end = threading.Thread(target=self._stop_in_time, args=(reader, after + self._count))
            end.start()
            frames, us, ready = self._measured(
                lambda: reader.collect(self._ring, after=after, timeout=5.0) - before
            )
            end.join()
            published = reader.last - after
            # As of the other ways, those before the first one do not count.
            taken = cursor.take(1)
            assert taken is not None
            published -= int(taken[2]["lost"][0])
        return Round((published - frames) / max(published, 1), us, ready)

    def _stop_in_time(self, reader: Reader, last: int) -> None:
        # A few wake-ups: each may take the processor from the thread that is measured.
        while (left := last - self._stream.counter) > 0:
            time.sleep(max(0.9 * left / self._rate, 0.001))
        reader.stop()

    def in_c(self) -> Round:
        """Receive with the C loop."""
        c = reference.library()
        handle = c.reference_open(os.fsencode(self._stream.path))
        c.reference_arm(handle)
        frames, us, ready = self._measured(
            lambda: int(c.reference_receive(handle, self._cube.ctypes.data, self._count, 5.0))
        )
        c.reference_close(handle)
        pixels = self._cube[:frames].reshape(frames, -1)
        torn = int((pixels[:, :1] != pixels).any(axis=1).sum())
        steps = np.diff(pixels[:, -1].astype(np.int64)) % PERIOD
        published = int(steps.sum()) + 1
        return Round(1 - (np.count_nonzero(steps) + 1) / published, us, ready, torn=torn)


def run(rate: float, seconds: float, runs: int, busy: bool) -> dict[str, list[Round]]:
    """Measure all ways in turn."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    found: dict[str, list[Round]] = {}
    with Stream.attach("collected") as stream, busy_thread(busy):
        ways = Ways(stream, min(SLOTS, max(100, round(rate * seconds))), rate)
        calls: dict[str, Callable[[], Round]] = {"array": ways.array, "collector": ways.ring}
        if not reference.missing():
            calls["C loop"] = ways.in_c
        for _ in range(runs):
            for name, call in calls.items():
                found.setdefault(name, []).append(in_thread(call))
    writer.communicate()
    return found


def middle(rounds: list[Round], name: str) -> tuple[float, float, float]:
    """Return the median, the least and the largest value of one quantity."""
    values = [getattr(each, name) for each in rounds]
    return statistics.median(values), min(values), max(values)


def show(rate: float, found: dict[str, list[Round]], busy: bool) -> None:
    """Print the table of one rate, and what was reached."""
    print(f"\n{rate:g} Hz{', beside a busy Python thread' if busy else ''}")
    heads = f"{'lost, % (least to largest)':>30} {'us (least)':>14} {'ready':>7} {'longest':>8}  torn"
    print(f"{'':10} {heads}")
    for name, rounds in found.items():
        lost, us = middle(rounds, "lost"), middle(rounds, "us")
        print(
            f"{name:10} {100 * lost[0]:>14.2f} ({100 * lost[1]:.2f} to {100 * lost[2]:.2f})".ljust(42)
            + f"{us[0]:>7.2f} ({us[1]:.2f}) {middle(rounds, 'ready')[0]:>7.1f}"
            + f" {middle(rounds, 'longest')[2]:>8.1f}  {sum(each.torn for each in rounds)}"
        )
    ours, runs = found["collector"], len(found["collector"])
    if busy:
        without = sum(each.lost == 0 for each in ours)
        reached = without >= 0.9 * runs
        print(f"collector lost nothing in {without} of {runs} runs: {'' if reached else 'not '}reached")
    if "C loop" in found:
        c = found["C loop"]
        no_more = sum(a.lost <= b.lost for a, b in zip(ours, c, strict=True))
        reached = middle(ours, "lost")[0] <= middle(c, "lost")[0]
        print(
            f"collector lost no more than C in {no_more} of {runs} runs, and by the medians: "
            f"{'' if reached else 'not '}reached"
        )


def main() -> None:
    """Print the machine and the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="1000,5000,10000,20000", help="frames a second, with commas")
    parser.add_argument("--seconds", type=float, default=0.8, help="of each way; 4096 frames at most")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--busy", action="store_true", help="beside a Python thread that computes")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one short run")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rates, chosen.seconds, chosen.runs = "2000", 0.2, 1
    print(
        f"Linux {os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, "
        f"pymilk {pymilk.__version__}; median of {chosen.runs} runs in turn"
    )
    with tempfile.TemporaryDirectory(prefix="pymilk-collector-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        for rate in map(float, chosen.rates.split(",")):
            show(rate, run(rate, chosen.seconds, chosen.runs, chosen.busy), chosen.busy)
    print(f"\nload at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
