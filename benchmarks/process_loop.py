"""What `ProcessInfo.loop` adds to a frame, beside reading it with `get_data` and without waiting.

    python benchmarks/process_loop.py [--quick]

Each frame is published from the loop, so that the next one is there when it is looked for: this measures the
cost of the calls, not of a wake-up. Microseconds: medians of rounds in turn, and the lowest and highest of
them. A round is the median of chunks of 200 frames, 8x8 float32.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pymilk import SHM
from pymilk.parameters import ProcessInfo, list_processes

SHAPE = (8, 8)
CHUNK = 200
ROUNDS = 7

#: The most that a frame may cost on top, in microseconds.
TARGET_US = 3.0


def per_frame(frames: Iterator[Any], body: Callable[[Any], object], chunks: int) -> float:
    """Return the median time of an iteration in microseconds."""
    took: list[float] = []
    began = time.perf_counter()
    for count, frame in enumerate(frames, 1):
        body(frame)
        if count % CHUNK == 0:
            now = time.perf_counter()
            took.append((now - began) / CHUNK * 1e6)
            began = now
            if len(took) == chunks:
                break
    return float(np.median(took))


def by_hand(shm: SHM) -> Iterator[Any]:
    """Read the newest frame again and again."""
    while True:
        yield shm.get_data()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Fewer frames.")
    chunks = 10 if parser.parse_args().quick else 60
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.environ["MILK_SHM_DIR"] = os.environ["MILK_PROC_DIR"] = folder
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        measure(chunks)


def measure(chunks: int) -> None:
    """Measure in a directory of its own."""
    frame = np.zeros(SHAPE, np.float32)
    found: dict[str, list[float]] = {}
    with (
        SHM("cam", frame) as camera,
        SHM("cam") as shm,
        SHM("out", frame) as out,
        ProcessInfo.create("benchmark") as process,
    ):

        def publish(_: Any) -> None:
            camera.set_data(frame)

        def publish_both(image: Any) -> None:
            out.set_data(image)
            camera.set_data(frame)

        def looped(body: Callable[[Any], object]) -> float:
            threading.Timer(0.05, publish, [None]).start()
            return per_frame(process.loop(shm), body, chunks)

        publish(None)
        for _ in range(ROUNDS):
            alone = per_frame(by_hand(shm), publish, chunks)
            note(found, "get_data alone, us a frame", alone)
            note(found, f"process.loop(shm) adds (target {TARGET_US} us)", looped(publish) - alone)
            alone = per_frame(by_hand(shm), publish_both, chunks)
            note(found, "  with an output and its trace", looped(publish_both) - alone)
            note(found, "process.loop() alone", per_frame(process.loop(), lambda _: None, chunks))
        began = time.perf_counter()
        for _ in range(100):
            list_processes(os.environ["MILK_PROC_DIR"])
        note(found, "list_processes, one entry", (time.perf_counter() - began) / 100 * 1e6)
    for what, values in found.items():
        print(f"{what:<40} {np.median(values):6.2f}   {min(values):.2f} to {max(values):.2f}")


def note(found: dict[str, list[float]], what: str, value: float) -> None:
    """Keep a figure."""
    found.setdefault(what, []).append(value)


if __name__ == "__main__":
    main()
