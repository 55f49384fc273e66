"""A consumer that stalls: sleeps 200 ms of every second, beside a busy Python thread, and wants every frame.

    python benchmarks/ring_stall.py [--frames 30000] [--rate 5000]

Every pixel of a frame holds its number. From a ring in shared memory nothing may be lost. A collector
loses what the machine's scheduler takes from it; that has to be exactly what is missing in the stamps.
For comparison, the same consumer with a plain `get_data(check=True)` for each frame.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

import numpy as np

import pymilk

STAMPS = 2048

CAMERA = """
import sys, numpy as np
from pymilk import SHM
name, kind, rate, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
ring = {} if kind == "plain" else {"ring": 4096, "ring_kind": kind}
shm = SHM(name, ((120, 120), np.uint16), **ring)
frames = np.repeat(np.arange(2048, dtype=np.uint16), 120 * 120).reshape(2048, 120, 120)
print("ready", flush=True)
sys.stdin.readline()
# The stream begins at frame 1, all zero; frame n carries n - 1, modulo 2048.
for _ in range(-(-count // 2048)):
    shm.set_many(np.roll(frames, -1, axis=0), rate=rate)
print("done", flush=True)
sys.stdin.readline()
shm.destroy()
"""


@dataclass
class Account:
    """What a stalling consumer got."""

    source: str
    received: int
    lost: int
    gaps: int
    torn: int
    spoiled: int
    seconds: float
    busy: int


def busy_thread(stop: threading.Event, turns: list[int]) -> None:
    """Keep Python's global lock busy."""
    while not stop.is_set():
        turns[0] += 1
        sum(i * i for i in range(2000))


def consume(kind: str, rate: float, frames: int) -> Account:
    """Run a camera process, and a consumer that sleeps 200 ms of every second."""
    camera = subprocess.Popen(
        [sys.executable, "-c", CAMERA, "stall", kind, str(rate), str(frames)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert camera.stdin is not None
    assert camera.stdout is not None
    camera.stdout.readline()
    stop, turns = threading.Event(), [0]
    worker = threading.Thread(target=busy_thread, args=(stop, turns))
    found = Account(kind, 0, 0, 0, 0, 0, 0.0, 0)
    total = -(-frames // STAMPS) * STAMPS
    last = 0
    with pymilk.SHM("stall") as shm, shm.ring_reader(depth=4096) as ring:
        found.source = ring.source
        worker.start()
        camera.stdin.write("go\n")
        camera.stdin.flush()
        began = time.monotonic()
        slept = 0
        try:
            for block in ring.blocks(timeout=5.0):
                stamps = block.frames[:, 0, 0].astype(np.int64)
                whole = bool((block.frames == block.frames[:, :1, :1]).all())
                if time.monotonic() - began > slept + 0.8:
                    time.sleep(0.2)
                    slept += 1
                if not block.intact():
                    found.spoiled += len(block)
                elif not whole or not np.array_equal(stamps, (block.info["cnt0"] - 1) % STAMPS):
                    found.torn += int(not (block.info["flags"] & 2).any())
                found.gaps += int(((np.diff(stamps, prepend=last) - 1) % STAMPS).sum())
                last = int(stamps[-1])
                found.received += len(block)
                found.lost += int(block.info["lost"].sum())
                if block.info["cnt0"][-1] >= total + 1:
                    break
        finally:
            stop.set()
            worker.join()
        found.seconds = time.monotonic() - began
        found.busy = turns[0]
    camera.communicate("end\n")
    return found


def familiar(rate: float, frames: int) -> tuple[int, int]:
    """Do the same with one wait and copy for each frame; returns received and published."""
    camera = subprocess.Popen(
        [sys.executable, "-c", CAMERA, "stall", "plain", str(rate), str(frames)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert camera.stdin is not None
    assert camera.stdout is not None
    camera.stdout.readline()
    stop, turns = threading.Event(), [0]
    worker = threading.Thread(target=busy_thread, args=(stop, turns))
    got = 0
    total = -(-frames // STAMPS) * STAMPS
    with pymilk.SHM("stall") as shm:
        worker.start()
        camera.stdin.write("go\n")
        camera.stdin.flush()
        began = time.monotonic()
        slept = 0
        try:
            while shm.get_counter() <= total:
                if shm.get_data(True, timeout=1.0, return_none_on_timeout=True) is not None:
                    got += 1
                if time.monotonic() - began > slept + 0.8:
                    time.sleep(0.2)
                    slept += 1
        finally:
            stop.set()
            worker.join()
    camera.communicate("end\n")
    return got, total


def main() -> None:
    """Measure the three sources; exit code 1 if one of them does not keep its promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=5000)
    chosen = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    right = True
    with tempfile.TemporaryDirectory(prefix="pymilk-stall-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        frames = chosen.frames
        print(f"{frames} frames 120x120 uint16 at {chosen.rate:g} Hz, {os.cpu_count()} cores")
        for kind in ("plain", "fast", "temporal"):
            found = consume(kind, chosen.rate, frames)
            kept = found.torn == 0 and found.lost == found.gaps
            kept &= found.source == "collector" or found.lost == 0
            right &= kept
            print(
                f"  {found.source:9} {found.received} received, {found.lost} lost, {found.gaps} missing in "
                f"the stamps, {found.torn} torn and called intact, {found.spoiled} in blocks that were not "
                f"intact, {found.seconds:.1f} s  {'ok' if kept else 'WRONG'}"
            )
        got, total = familiar(chosen.rate, frames)
        print(f"  get_data(check=True) for each frame, for comparison: {got} of {total}")
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
