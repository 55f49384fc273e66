"""What `ProcessInfo.loop` adds to a frame, beside reading it with `get_data` and without waiting.

    python benchmarks/process_loop.py [--quick]

Each frame is published from the loop, so that the next one is there when it is looked for: this measures the
cost of the calls, not of a wake-up. Medians of chunks of 200 frames, 8x8 float32.
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
    chunks = 20 if parser.parse_args().quick else 300
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.environ["MILK_SHM_DIR"] = os.environ["MILK_PROC_DIR"] = folder
        measure(chunks)


def measure(chunks: int) -> None:
    """Measure in a directory of its own."""
    frame = np.zeros(SHAPE, np.float32)
    with SHM("cam", frame) as camera, SHM("cam") as shm, SHM("out", frame) as out:

        def publish(_: Any) -> None:
            camera.set_data(frame)

        def publish_both(image: Any) -> None:
            out.set_data(image)
            camera.set_data(frame)

        publish(None)
        floor = per_frame(by_hand(shm), publish, chunks)
        with ProcessInfo.create("benchmark") as process:
            first = threading.Timer(0.05, publish, [None])
            first.start()
            looped = per_frame(process.loop(shm), publish, chunks)
            first = threading.Timer(0.05, publish, [None])
            first.start()
            traced = per_frame(process.loop(shm), publish_both, chunks)
            publish(None)
            floor_both = per_frame(by_hand(shm), publish_both, chunks)
            bare = per_frame(process.loop(), lambda _: None, chunks)
            began = time.perf_counter()
            for _ in range(100):
                list_processes(os.environ["MILK_PROC_DIR"])
            listed = (time.perf_counter() - began) / 100 * 1e6
    print(f"get_data alone             {floor:6.2f} us a frame")
    added = f"{looped - floor:+.2f} us (target {TARGET_US} us)"
    print(f"process.loop(shm)          {looped:6.2f} us a frame: {added}")
    print(f"  with an output and trace {traced:6.2f} us a frame: {traced - floor_both:+.2f} us")
    print(f"process.loop() alone       {bare:6.2f} us an iteration")
    print(f"list_processes, one entry  {listed:6.1f} us")


if __name__ == "__main__":
    main()
