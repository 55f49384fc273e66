"""Rings: draining, the cost of a block, what writing costs, and the collector's share of a core.

    python benchmarks/ring.py [--quick]

Ratios to plain copies of the same bytes, measured in the same run; medians of interleaved repetitions,
pinned to one core where only one process works.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import os
import platform
import statistics
import tempfile
import time

import numpy as np
from figures import median_of, timed

import pymilk
from pymilk._core import allocate
from pymilk.simulate import SimulatedCamera

SHAPE = (120, 120)


def verdict(right: bool) -> str:
    """Tell whether a figure is within its limit."""
    return "ok" if right else "MISSED"


def drain(frames: int, repeats: int) -> None:
    """Read a backlog into a pre-faulted cube, beside one memcpy of the same bytes."""
    memcpy = ctypes.CDLL(None).memcpy
    memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    source = allocate((frames, *SHAPE), np.uint16)
    source[:] = np.arange(frames, dtype=np.uint16)[:, None, None]
    cube = allocate((frames, *SHAPE), np.uint16)
    copy = allocate((frames, *SHAPE), np.uint16)
    print(f"\nbacklog of {frames} frames {SHAPE[0]}x{SHAPE[1]} uint16, {cube.nbytes / 1e6:.0f} MB")
    for kind in ("fast", "temporal"):
        shm = pymilk.SHM("drain", (SHAPE, np.uint16), ring=frames + 2, ring_kind=kind)
        with shm, shm.ring_reader() as ring:
            # Once around both memories: their first use costs page-table work that is no part of this.
            shm.set_many(source)
            ring.read(frames, out=cube)

            def read(ring: pymilk.RingReader = ring, shm: pymilk.SHM = shm) -> float:
                shm.set_many(source)
                began = time.perf_counter()
                capture = ring.read(frames, out=cube)
                seconds = time.perf_counter() - began
                assert capture.report.lost == 0
                return seconds

            def plain() -> float:
                began = time.perf_counter()
                memcpy(copy.ctypes.data, source.ctypes.data, copy.nbytes)
                return time.perf_counter() - began

            found = median_of(repeats, {"read": read, "memcpy": plain})
            assert np.array_equal(cube, source)
            share = found["memcpy"] / found["read"]
            print(
                f"  {kind:9} ring.read {found['read'] * 1e3:.1f} ms, one "
                f"memcpy {found['memcpy'] * 1e3:.1f} ms: {share:.0%} of its speed   limit 90%  "
                f"{verdict(share >= 0.9)}"
            )
            if kind == "fast":
                blocks(ring, frames, repeats)
            shm.destroy()


def blocks(ring: pymilk.RingReader, frames: int, repeats: int) -> None:
    """Iterate over a backlog again and again, with intact() for each block."""
    for most in (1, 10, 100, 512):
        spent = []
        for _ in range(repeats):
            ring.rewind(frames)
            giver = ring.blocks(most)
            count = done = 0
            began = time.perf_counter()
            while done < frames - 1024:
                block = next(giver)
                done += len(block)
                count += block.intact()
            spent.append((time.perf_counter() - began) / count)
        cost = statistics.median(spent) * 1e6
        limit = 2 + 0.05 * most
        print(
            f"  blocks of up to {most:3}, each with frames, info and intact(): {cost:.2f} us a block"
            f"   limit {limit:.2f} us  {verdict(cost <= limit)}"
        )


def singles(shape: tuple[int, int], frames: int, repeats: int) -> None:
    """Read frames that wait one at a time, from each source, beside a Python call that copies one of them.

    Processor time of this thread: other work on the core is not in it.
    """
    print(f"\nread(1) of a frame that waits, {shape[0]}x{shape[1]} uint16")
    for kind, source in (("fast", "auto"), ("temporal", "auto"), ("fast", "collector")):
        shm = pymilk.SHM("single", (shape, np.uint16), ring=frames + 2, ring_kind=kind)
        with shm, shm.ring_reader(depth=frames + 1, source=source) as ring:
            shm.set_many(np.zeros((frames, *shape), np.uint16))
            while ring.lag < frames:
                time.sleep(0.001)
            slots = list(ring.peek(frames).frames)

            def read(ring: pymilk.RingReader = ring) -> float:
                ring.rewind(frames)
                began = time.thread_time()
                for _ in range(frames):
                    ring.read(1)
                return (time.thread_time() - began) / frames

            def copy(frame: np.ndarray) -> np.ndarray:
                return frame.copy()

            def peer(slots: list[np.ndarray] = slots) -> float:
                began = time.thread_time()
                for slot in slots:
                    copy(slot)
                return (time.thread_time() - began) / len(slots)

            found = median_of(repeats, {"read": read, "peer": peer})
            assert ring.lost == 0
            more = found["read"] - found["peer"]
            print(
                f"  {ring.source:9} {found['read'] * 1e6:.2f} us; a call that copies this frame "
                f"{found['peer'] * 1e6:.2f} us, {found['read'] / found['peer']:.1f} times as much; more: "
                f"{more * 1e6:.2f} us   limit 3 us  {verdict(more <= 3e-6)}"
            )
            shm.destroy()


def writing(shape: tuple[int, int], repeats: int) -> None:
    """Publish into a plain stream and into both rings."""
    frame = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    target = np.zeros_like(frame)
    # What a ring costs a cache, whoever fills it: the same copy, to eight places in turn.
    targets = itertools.cycle(allocate((8, *shape), np.uint16))
    number = max(8, 20_000_000 // frame.nbytes)
    data = (shape, np.uint16)
    plain = pymilk.SHM("plain", data)
    fast = pymilk.SHM("fast", data, ring=8)
    temporal = pymilk.SHM("temporal", data, ring=8, ring_kind="temporal")
    found = median_of(
        repeats,
        {
            "copy": timed(lambda: np.copyto(target, frame), number),
            "turns": timed(lambda: np.copyto(next(targets), frame), number),
            "plain": timed(lambda: plain.set_data(frame), number),
            "fast": timed(lambda: fast.set_data(frame), number),
            "temporal": timed(lambda: temporal.set_data(frame), number),
        },
    )
    print(f"\nset_data, {shape[0]}x{shape[1]} uint16, plain copy {found['copy'] * 1e6:.2f} us, "
          f"to 8 places in turn {found['turns'] * 1e6:.2f} us, plain stream {found['plain'] * 1e6:.2f} us")
    elsewhere = max(0.0, found["turns"] - found["copy"])
    for kind, allowed in (("fast", found["turns"] + 0.2e-6), ("temporal", elsewhere + 0.2e-6)):
        extra = found[kind] - found["plain"]
        print(
            f"  {kind:9} ring of 8: {extra * 1e6:+.2f} us   limit {allowed * 1e6:+.2f} us  "
            f"{verdict(extra <= allowed)}"
        )
    for shm in (plain, fast, temporal):
        shm.destroy()


def collector(rate: float, wait: str, seconds: float) -> None:
    """Let a collector run beside an idle Python, and ask for its processor time."""
    with (
        SimulatedCamera("collect", SHAPE, np.uint16, rate),
        pymilk.SHM("collect") as shm,
        shm.ring_reader(depth=int(2 * rate * seconds), wait=wait) as ring,
    ):
        time.sleep(seconds)
        ring.skip(10**9)
        report = ring.report
    allowed = 0.15 if rate <= 1000 and wait == "sleep" else 1.02
    print(
        f"  collector at {rate:5.0f} Hz, wait={wait!r}: {report.cpu_share:.1%} of a core, "
        f"{report.skipped + report.received} frames, {report.lost} lost   limit {allowed:.0%}  "
        f"{verdict(report.cpu_share <= allowed)}"
    )


def main() -> None:
    """Print the machine and all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    quick = parser.parse_args().quick
    print(f"{platform.processor() or platform.machine()}, Linux {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, pymilk {pymilk.__version__}")
    cores = sorted(os.sched_getaffinity(0))
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-ring-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        os.sched_setaffinity(0, {cores[-1]})
        drain(1500 if quick else 10_000, 3 if quick else 15)
        for shape in ((8, 8), SHAPE):
            singles(shape, 500, 3 if quick else 31)
        for shape in (SHAPE, (2048, 2048)):
            writing(shape, 3 if quick else 31)
        os.sched_setaffinity(0, set(cores))
        print("\n120x120 uint16")
        for rate, wait in ((1000, "sleep"), (1000, "auto"), (5000, "sleep"), (5000, "auto")):
            collector(rate, wait, 0.5 if quick else 4)


if __name__ == "__main__":
    main()
