"""Live capture from a second process: what is lost, torn or repeated, and how late frames are.

    python benchmarks/live_capture.py [--seconds S] [--rates 1000,5000,10000] [--wait auto]

Every pixel of a frame holds the number of the frame, so that each one received is checked: whole, and the
frame that its row says. Beside pymilk's numbers stands what the machine's scheduler did to the writer: its
own longest pause.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

import pymilk
from pymilk._core import FLAG_TORN

WRITER = """
import sys, numpy as np
from pymilk import Stream
name, height, width, rate, count = sys.argv[1], *map(int, sys.argv[2:6])
frames = np.repeat(np.arange(1, 257, dtype=np.uint16), height * width).reshape(256, height, width)
with Stream.create(name, (height, width), np.uint16) as stream:
    print("ready", flush=True)
    sys.stdin.readline()
    stream.publish_many(frames, count, interval_ns=round(1e9 / rate))
    sys.stdin.readline()
    stream.destroy()
"""


def measure(rate: int, seconds: float, wait: str, shape: tuple[int, int]) -> bool:
    """Capture at one rate and print the account; returns whether it is spotless."""
    wanted = int(rate * seconds)
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, "live", *map(str, (*shape, rate, wanted + rate))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    with pymilk.SHM("live") as shm:
        capture = shm.capture(wanted, wait=wait, background=True)
        child.stdin.write("go\n")
        child.stdin.flush()
        try:
            capture.join()
        except pymilk.errors.StreamTimeoutError as error:
            print(f"  {error}")
    child.communicate("end\n")
    frames, info, report = capture.frames, capture.info, capture.report
    stamps = frames.reshape(len(frames), -1)
    whole = (stamps == stamps[:, :1]).all(axis=1)
    right = stamps[:, 0] == (info["cnt0"] - 1) % 256 + 1
    flagged = (info["flags"] & FLAG_TORN) != 0
    unflagged = int(np.count_nonzero(~(whole & right) & ~flagged))
    repeated = int(np.count_nonzero(np.diff(info["cnt0"].astype(np.int64)) <= 0))
    latency = report.latency_us
    pause = np.diff(info["writetime_ns"]).max() / 1e3
    print(
        f"{rate:6d} Hz  {report.received:7d} received  {report.lost:5d} lost "
        f"({report.lost / (report.received + report.lost):.3%})  {report.torn} torn  "
        f"{repeated} repeated  {unflagged} torn and not flagged  "
        f"latency us p50 {latency['p50']:.1f} p99 {latency['p99']:.1f} max {latency['max']:.0f}  "
        f"cpu {report.cpu_share:.1%}  longest pause of the writer {pause:.0f} us"
    )
    return repeated == 0 and unflagged == 0


def main() -> None:
    """Measure at each rate; exit code 1 if a frame was repeated, or torn and not flagged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rates", default="1000,5000,10000", help="frames per second, with commas")
    parser.add_argument("--wait", default="auto", choices=["auto", "spin", "sleep"])
    chosen = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    spotless = True
    with tempfile.TemporaryDirectory(prefix="pymilk-live-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        print(f"120x120 uint16, {chosen.seconds} s each, wait={chosen.wait!r}")
        for rate in map(int, chosen.rates.split(",")):
            spotless &= measure(rate, chosen.seconds, chosen.wait, (120, 120))
    sys.exit(0 if spotless else 1)


if __name__ == "__main__":
    main()
