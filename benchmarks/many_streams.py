"""What capturing many streams costs: one process with a thread for each, against a process for each.

    python benchmarks/many_streams.py [--streams 8] [--rate 1000] [--seconds 4] [--repeat 5]

One writer process publishes all streams. Both ways capture the same number of frames, in turn; the
processor time is that of the whole processes from the start of the captures to their end, user and system.
Every frame holds its own number, which has to be the one of its row. Printed are the medians, and the ratio
of the two in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

WRITER = """
import sys, threading, numpy as np
from pymilk import Stream
count, height, width, interval = map(int, sys.argv[1:5])
frames = np.repeat(np.arange(1, 257, dtype=np.uint16), height * width).reshape(256, height, width)
streams = [Stream.create(f"many{i}", (height, width), np.uint16) for i in range(count)]
def write(stream):
    while not over.is_set():
        stream.publish_many(frames, 256, interval_ns=interval)
over = threading.Event()
threads = [threading.Thread(target=write, args=(stream,)) for stream in streams]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
for stream in streams:
    stream.destroy()
"""

READER = """
import json, resource, sys, numpy as np, pymilk
frames, wait, labels = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_nvcsw + usage.ru_nivcsw

streams = {label: pymilk.SHM(label) for label in labels}
room = {label: np.zeros((frames, *shm.shape), shm.nptype) for label, shm in streams.items()}
print("ready", flush=True)
sys.stdin.readline()
if len(labels) == 1:
    shm, = streams.values()
    capture = shm.capture(frames, out=room[labels[0]], wait=wait, background=True)
    before = used()
    captures = {labels[0]: capture.join()}
else:
    many = pymilk.capture_many(streams, frames, out=room, wait=wait, background=True)
    before = used()
    captures = many.join()
after = used()
wrong = 0
for capture in captures.values():
    stamps = capture.frames.reshape(frames, -1)
    whole = (stamps == stamps[:, :1]).all(axis=1) & (stamps[:, 0] == (capture.info["cnt0"] - 1) % 256 + 1)
    wrong += int(np.count_nonzero(~whole & (capture.info["flags"] & pymilk._core.FLAG_TORN == 0)))
reports = [capture.report for capture in captures.values()]
print(json.dumps({
    "cpu": after[0] - before[0],
    "threads": sum(report.cpu_share * report.duration for report in reports),
    "switches": after[1] - before[1],
    "received": sum(report.received for report in reports),
    "lost": sum(report.lost for report in reports),
    "torn": sum(report.torn for report in reports),
    "latency": max(report.latency_us["p99"] for report in reports),
    "wrong": wrong,
}), flush=True)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process and wait until it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert child.stdout is not None
    if child.stdout.readline() != "ready\n":
        sys.exit("a process did not get ready")
    return child


def capture(groups: list[list[str]], frames: int, wait: str) -> dict[str, Any]:
    """Capture with one process for each group of streams; returns the sums over all processes."""
    children = [start(READER, frames, wait, ",".join(group)) for group in groups]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = []
    for child in children:
        assert child.stdout is not None
        told.append(json.loads(child.stdout.readline()))
        child.communicate()
    summed = {key: sum(one[key] for one in told) for key in told[0]}
    summed["latency"] = max(one["latency"] for one in told)
    return summed


def main() -> None:
    """Measure both ways in turn; exit code 1 if a frame was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1000.0, help="frames per second of each stream")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="frames are size x size, uint16")
    parser.add_argument("--wait", default="auto", choices=["auto", "sleep"])
    chosen = parser.parse_args()
    frames = round(chosen.rate * chosen.seconds)
    names = [f"many{i}" for i in range(chosen.streams)]
    ways = {"one process": [names], f"{chosen.streams} processes": [[name] for name in names]}
    results: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-many-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        writer = start(WRITER, chosen.streams, chosen.size, chosen.size, round(1e9 / chosen.rate))
        for turn in range(chosen.repeat):
            order = list(ways) if turn % 2 == 0 else list(ways)[::-1]
            for way in order:
                results[way].append(capture(ways[way], frames, chosen.wait))
        writer.communicate("end\n")
    print(
        f"{chosen.streams} streams, {chosen.size}x{chosen.size} uint16, {chosen.rate:g} frames/s each, "
        f"{frames} frames each, wait={chosen.wait!r}, {chosen.repeat} times in turn; "
        "medians (lowest to highest)"
    )
    medians = {}
    for way, runs in results.items():
        cost = [1e6 * run["cpu"] / run["received"] for run in runs]
        inside = [1e6 * run["threads"] / run["received"] for run in runs]
        switches = [run["switches"] / run["received"] for run in runs]
        lost = [run["lost"] / (run["lost"] + run["received"]) for run in runs]
        medians[way] = statistics.median(cost)
        print(
            f"{way:>12}: {medians[way]:.2f} us of processor a frame ({min(cost):.2f} to {max(cost):.2f}), "
            f"{statistics.median(inside):.2f} of it in the receive loop, "
            f"{statistics.median(switches):.2f} switches a frame, "
            f"lost {statistics.median(lost):.3%} ({min(lost):.3%} to {max(lost):.3%}), "
            f"torn {sum(run['torn'] for run in runs)}, "
            f"latency p99 {statistics.median([run['latency'] for run in runs]):.0f} us"
        )
    one, other = medians.values()
    each = [
        a["cpu"] / a["received"] / (b["cpu"] / b["received"])
        for a, b in zip(*results.values(), strict=True)
    ]
    wrong = sum(run["wrong"] for runs in results.values() for run in runs)
    print(
        f"ratio of the medians, one process to {chosen.streams}: {one / other:.3f} "
        f"(pair by pair {min(each):.3f} to {max(each):.3f}); frames wrong and not flagged: {wrong}"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
