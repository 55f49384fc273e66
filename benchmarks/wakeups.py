"""How late a frame is in the hands of a reader: `get_data`, `Reader.wait` and a C loop, in turn.

    python benchmarks/wakeups.py [--rate HZ] [--frames N] [--repeats N] [--apart | --awake] [--quick]

A second process publishes frames of 120x120 uint16 at a steady rate. A latency begins at the stamp that
the writer leaves just before the counter moves, and ends when the call has returned. `get_data(check=True)`
returns a copy or a view, `Reader.wait` the number of the frame, and the C loop (peers/reference.c) has
waited on the semaphore and copies nothing, or copies the frame. The ways take turns, so that what else the
machine does reaches all of them; percentiles are of all rounds together. `cpu` is the processor time of the
reader's process. The last lines compare the ways round by round.

Where writer and reader run decides much: on the same processor, where the kernel often puts two that mostly
sleep, a reader is woken by the writer's own system call; with ``--apart`` they have the first and the last
processor, and the reader's may be asleep when the frame comes: in a virtual machine, its host has to run it
again first. ``--awake`` is the same with a process on the reader's processor that computes whenever nobody
else wants to (SCHED_IDLE), so that it never sleeps: what is less then is what the machine itself adds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from peers import reference

import pymilk

WRITER = """
import select, sys, numpy as np
from pymilk import Stream
rate = float(sys.argv[1])
with Stream.create("wakeups", (120, 120), np.uint16) as stream:
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        stream.publish_many(np.ones((1, 120, 120), np.uint16), round(rate), interval_ns=round(1e9 / rate))
    stream.destroy()
"""

#: Keeps a processor from sleeping, and gives it to anybody else at once.
AWAKE = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print("awake", flush=True)
while True:
    pass
"""

Way = Callable[[int], np.ndarray]


def late(stream: pymilk.Stream, call: Callable[[], object]) -> Way:
    """Return a measurement: so many latencies of a call, in nanoseconds, and the stamps of their frames."""
    now, tai = time.clock_gettime_ns, time.CLOCK_TAI

    def measure(count: int) -> np.ndarray:
        rows = np.zeros((count, 2), np.int64)
        for row in rows:
            call()
            row[0] = now(tai)
            row[1] = stream.write_time_ns
        return rows

    return measure


def in_c(stream: pymilk.Stream, target: np.ndarray | None = None) -> Way:
    """Return the measurement of the C loop; with a target it copies each frame there."""
    c = reference.library()

    def measure(count: int) -> np.ndarray:
        rows = np.zeros((count, 3), np.int64)
        handle = c.reference_open(os.fsencode(stream.path))
        c.reference_arm(handle)
        address = None if target is None else target.ctypes.data
        c.reference_latencies(handle, rows.ctypes.data, count, 5.0, False, address)
        c.reference_close(handle)
        return rows[:, [0, 2]]

    return measure


@contextlib.contextmanager
def kept_awake(core: int) -> Iterator[None]:
    """Keep a processor from sleeping."""
    process = subprocess.Popen([sys.executable, "-c", AWAKE, str(core)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def run(rate: float, frames: int, repeats: int, apart: bool) -> None:
    """Measure all ways in turn, and print a table."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdout.readline()
    cores = sorted(os.sched_getaffinity(0))
    if apart:
        os.sched_setaffinity(writer.pid, {cores[0]})
        os.sched_setaffinity(0, {cores[-1]})
    with pymilk.SHM("wakeups") as shm, pymilk.Stream.attach("wakeups") as stream:
        reader = stream.reader()
        ways: dict[str, Way] = {
            "get_data(check=True)": late(stream, lambda: shm.get_data(True)),
            "the same, a view": late(stream, lambda: shm.get_data(True, copy=False)),
            "Reader.wait, learned": late(stream, lambda: reader.wait(5.0, spin_ns=-2)),
            "Reader.wait, sleeping": late(stream, lambda: reader.wait(5.0)),
        }
        if not reference.missing():
            ways["C loop, sleeping"] = in_c(stream)
            ways["C loop, and a copy"] = in_c(stream, np.zeros((120, 120), np.uint16))
        found: dict[str, list[np.ndarray]] = {way: [] for way in ways}
        used = dict.fromkeys(ways, 0.0)
        for _ in range(repeats):
            for way, measure in ways.items():
                before = time.process_time()
                rows = measure(frames)
                used[way] += time.process_time() - before
                found[way].append((rows[:, 0] - rows[:, 1])[frames // 10 :])
        writer.communicate()
    heads = " ".join(f"{head:>8}" for head in ("p50", "p90", "p99", "p99.9"))
    print(f"{'us from stamp to return':24} {heads} {'cpu':>6}   p50 of each round")
    shares = {way: one / (frames * repeats / rate) for way, one in used.items()}
    show(found, shares)
    verdicts(found)
    middle = float(np.median(np.concatenate(found["get_data(check=True)"]))) / 1e3
    share = shares["get_data(check=True)"]
    reached = "reached" if middle <= 5 and share < 0.1 else "not reached"
    print(f"get_data(check=True), p50 <= 5 us, under 10 % of a core: {middle:.1f} us, {share:.1%}: {reached}")


def show(found: dict[str, list[np.ndarray]], shares: dict[str, float]) -> None:
    """Print a line for each way; `shares` is the processor time of each."""
    for way, rounds in found.items():
        values = np.percentile(np.concatenate(rounds), [50, 90, 99, 99.9]) / 1e3
        each = " ".join(f"{np.median(one) / 1e3:.1f}" for one in rounds)
        print(f"{way:24} " + " ".join(f"{value:8.1f}" for value in values) + f" {shares[way]:6.1%}   {each}")


def verdicts(found: dict[str, list[np.ndarray]]) -> None:
    """Print what was reached: of the medians of each round, and of all rounds together."""

    def compare(way: str, other: str, share: float, more: float = 0.0, percent: int = 50) -> None:
        if other not in found:
            return
        pairs = [
            [float(np.percentile(one, percent)) / 1e3 for one in rounds]
            for rounds in zip(found[way], found[other], strict=True)
        ]
        good = sum(a <= share * b + more for a, b in pairs)
        mine, theirs = np.median(pairs, axis=0)
        limit = f"{share:g} x {other}" + (f" + {more:g} us" if more else "")
        reached = "reached" if mine <= share * theirs + more else "not reached"
        rounds = f"{good} of {len(pairs)} rounds; {mine:.1f} and {theirs:.1f}"
        print(f"{way}, p{percent} <= {limit}: {rounds}: {reached}")

    compare("get_data(check=True)", "Reader.wait, sleeping", 1.0, 2.0)
    compare("get_data(check=True)", "C loop, sleeping", 1.15)
    compare("get_data(check=True)", "C loop, and a copy", 1.15)
    compare("Reader.wait, learned", "Reader.wait, sleeping", 1.0)
    compare("Reader.wait, sleeping", "C loop, sleeping", 1.1)
    compare("Reader.wait, sleeping", "C loop, sleeping", 1.3, percent=99)


def main() -> None:
    """Print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1000.0, help="frames a second")
    parser.add_argument("--frames", type=int, default=2000, help="of each way in each round")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--apart", action="store_true", help="writer and reader on the first and last core")
    parser.add_argument("--awake", action="store_true", help="apart, and the reader's core never sleeps")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one short round")
    chosen = parser.parse_args()
    print(
        f"Linux {os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, "
        f"pymilk {pymilk.__version__}, {chosen.rate:g} Hz"
    )
    with tempfile.TemporaryDirectory(prefix="pymilk-wakeups-", dir="/dev/shm") as folder:
        os.environ["MILK_SHM_DIR"] = folder
        frames, repeats = (200, 1) if chosen.quick else (chosen.frames, chosen.repeats)
        last = max(os.sched_getaffinity(0))
        with kept_awake(last) if chosen.awake else contextlib.nullcontext():
            run(chosen.rate, frames, repeats, chosen.apart or chosen.awake)
    print(f"load at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
