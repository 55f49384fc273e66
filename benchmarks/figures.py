"""Ratios of what pymilk does to plain copies, measured in one run.

    python benchmarks/figures.py [--quick]

Every figure is the median of interleaved repetitions, pinned to one core (two where two processes or
threads work together). A "copy" is ``numpy.copyto`` of the same frame into a ready array.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pymilk
from pymilk._core import FRAME_ROW, Stream, allocate

#: A second thread that counts the next frame as soon as the last one was received, and the loop that
#: capture is compared with: one memcpy a frame, from the stream into the cube.
C_SOURCE = r"""
#include <stdint.h>
#include <string.h>
#include "ImageStruct.h"

void feed(IMAGE_METADATA *md, volatile int64_t *arrival, long stride, long n)
{
    for (long i = 0; i < n; i++) {
        __atomic_add_fetch(&md->cnt0, 1, __ATOMIC_RELEASE);
        while (*(volatile int64_t *)((volatile char *)arrival + i * stride) == 0)
            __builtin_ia32_pause();
    }
}

void copy_each(char *cube, const char *frame, size_t nbytes, long n)
{
    for (long i = 0; i < n; i++)
        memcpy(cube + i * nbytes, frame, nbytes);
}
"""


def median_of(repeats: int, calls: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Run each call in turn, many times; return the median of what each of them measured."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(call())
    return {name: statistics.median(values) for name, values in seconds.items()}


def timed(call: Callable[[], object], number: int) -> Callable[[], float]:
    """Return a measurement of one call, in seconds, taken over `number` of them."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(number):
            call()
        return (time.perf_counter() - began) / number

    return measure


def access(shape: tuple[int, int], repeats: int) -> None:
    """Measure reads and writes of one frame."""
    frame = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    target = np.zeros_like(frame)
    number = max(5, 20_000_000 // frame.nbytes)
    with pymilk.SHM("figures", frame) as writer, pymilk.SHM("figures") as reader:
        found = median_of(
            repeats,
            {
                "copy": timed(lambda: np.copyto(target, frame), number),
                "get_data()": timed(reader.get_data, number),
                "get_data(copy=False)": timed(lambda: reader.get_data(copy=False), 1000),
                "set_data": timed(lambda: writer.set_data(frame), number),
            },
        )
        writer.destroy()
    plain = found["copy"]
    print(f"\n{shape[0]}x{shape[1]} uint16 ({frame.nbytes} bytes), plain copy {plain * 1e6:.2f} us")
    for name, allowed in (
        ("get_data()", 1.3 * plain + 0.7e-6),
        ("get_data(copy=False)", 0.5e-6),
        ("set_data", 1.2 * plain + 2e-6),
    ):
        value = found[name]
        verdict = "ok" if value <= allowed else "MISSED"
        print(
            f"  {name:22} {value * 1e6:8.2f} us = {value / plain:5.2f} copies"
            f"   limit {allowed * 1e6:8.2f} us  {verdict}"
        )


def library(folder: str) -> ctypes.CDLL:
    """Compile the C part of the benchmark."""
    source = Path(folder, "feed.c")
    source.write_text(C_SOURCE)
    built = Path(folder, "feed.so")
    compiler = os.environ.get("CC", "cc")
    flags = ["-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", f"-I{pymilk.get_include()}"]
    subprocess.run([compiler, *flags, "-o", built, source], check=True)
    loaded = ctypes.CDLL(str(built))
    loaded.feed.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
    loaded.copy_each.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
    return loaded


def drain(shape: tuple[int, int], frames: int, repeats: int, folder: str) -> None:
    """Measure `receive` of frames that are there as soon as they are asked for."""
    import threading

    c = library(folder)
    with Stream.create("figures", shape, np.uint16) as stream:
        cube = allocate((frames, *shape), np.uint16)
        info = allocate((frames,), FRAME_ROW)
        pixels = stream.view(writable=True)
        pixels[:] = 7
        # The metadata are the first bytes of the mapping, 384 bytes in front of the pixels.
        metadata = pixels.ctypes.data - 384
        stride = FRAME_ROW.itemsize
        arrival = info.ctypes.data + FRAME_ROW.fields["arrival_ns"][1]
        reader = stream.reader()

        def receive() -> float:
            info["arrival_ns"] = 0
            feeder = threading.Thread(target=c.feed, args=(metadata, arrival, stride, frames))
            after = reader.arm()
            began = time.perf_counter()
            feeder.start()
            reader.receive(cube, info, after=after, spin_ns=-1)
            seconds = time.perf_counter() - began
            feeder.join()
            assert info["lost"].sum() == 0
            return seconds

        def copy() -> float:
            began = time.perf_counter()
            c.copy_each(cube.ctypes.data, pixels.ctypes.data, stream.nbytes, frames)
            return time.perf_counter() - began

        found = median_of(repeats, {"copy": copy, "receive": receive})
        reader.close()
        stream.destroy()
    share = found["copy"] / found["receive"]
    print(
        f"\nreceive of {frames} frames {shape[0]}x{shape[1]}, published one by one: "
        f"{found['receive'] / frames * 1e6:.2f} us a frame; memcpy loop in C "
        f"{found['copy'] / frames * 1e6:.2f} us; {share:.0%} of its speed"
        f"   limit 85%  {'ok' if share >= 0.85 else 'MISSED'}"
    )


def main() -> None:
    """Print the machine and all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    quick = parser.parse_args().quick
    print(f"{platform.processor() or platform.machine()}, Linux {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, pymilk {pymilk.__version__}")
    cores = sorted(os.sched_getaffinity(0))
    repeats = 3 if quick else 41
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-figures-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        os.sched_setaffinity(0, {cores[-1]})
        access((120, 120), repeats)
        access((2048, 2048), repeats)
        os.sched_setaffinity(0, set(cores))
        if len(cores) < 2 or not shutil.which(os.environ.get("CC", "cc")):
            print("\nreceive: not measured; it needs two cores and a C compiler")
            return
        drain((120, 120), 500 if quick else 5000, 3 if quick else 15, folder)
        drain((2048, 2048), 10 if quick else 50, 3 if quick else 15, folder)


if __name__ == "__main__":
    main()
