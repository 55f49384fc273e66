"""Recording: is every frame of a fast camera on the disk, and how fast is each format beside a plain write?

    python benchmarks/recording.py [--directory DIR] [--rate 5000] [--seconds 20] [--formats npy,fits,h5,zarr]

1. *Camera*: a second process publishes 120x120 uint16 at the rate given, into a stream with a ring, or a
   plain one (``--plain``, read through a collector). Each frame carries its number all over. Frames lost
   have to be 0, and each frame on the disk has to be whole, and the one that its row says. ``dirty`` is how
   many MB more than before waited for the disk at worst, of the whole machine (/proc/meminfo: Dirty and
   Writeback).
2. *Sustained*: frames that are in a ring already are recorded as fast as the format takes them, against a
   plain sequential write of the same bytes, in pieces of 4 MiB, in the same run. The median of the ratios
   of all repeats; and the ratio of the processor times, the smallest of each, which other work on the
   machine changes less. Which of the two comes first alternates, and before each of them the same bytes
   are written once and removed, unmeasured: now and then such a write takes up to ten times as much
   processor time of the kernel, in plain writes as in recordings, the first one of a run above all. The
   line ``plain`` is the plain write beside itself: its spread is that of the machine.
3. *Compression* (``--compress``, alone): see ``compressed.py`` beside this file.

Neither waits for the disk itself (fsync): both measure what a program has to wait for. Exit code 1 if a
frame is missing, torn or another one.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pymilk
from pymilk import SHM, Recorder
from pymilk.bench.frames import SelfCheckingFrame, check_frames
from pymilk.recording.sinks import sink_of
from pymilk.system.latch import Latch
from pymilk.system.machine import file_system_of, in_memory

SHAPE = (120, 120)
FRAME_NBYTES = 120 * 120 * 2

CAMERA = """
import sys
import numpy as np
from pymilk import SHM
from pymilk.bench.frames import SelfCheckingFrame
rate, count, depth = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with SHM("recorded", ((120, 120), np.uint16), **({"ring": depth} if depth else {})) as shm:
    frame = SelfCheckingFrame((120, 120), np.dtype(np.uint16))
    # The numbers go round; the stream begins at frame 1, all zero.
    period = 8192
    cube = np.stack([frame.number((n - 1) % period).copy() for n in range(2, period + 2)])
    print("ready", flush=True)
    sys.stdin.readline()
    done = 0
    while done < count:
        part = cube[: min(period, count - done)]
        shm.set_many(part, rate=rate)
        done += len(part)
    print("done", flush=True)
    sys.stdin.readline()
    shm.destroy()
"""
PERIOD = 8192


class DirtyPages:
    """Looks every 20 ms how much waits for the disk, in a thread; `peak` is in bytes, above the beginning."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = Latch()
        self._thread = threading.Thread(target=self._watch, args=(self._now(),))

    @staticmethod
    def _now() -> int:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return sum(int(lines[name].split()[0]) for name in ("Dirty", "Writeback")) << 10

    def _watch(self, before: int) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self._now() - before)

    def __enter__(self) -> DirtyPages:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._over.set()
        self._thread.join()


def camera(path: Path, rate: float, count: int, depth: int, **options: Any) -> tuple[str, bool]:
    """Record one camera, verify the file; returns a line of the table, and whether all is well."""
    child = subprocess.Popen(
        [sys.executable, "-c", CAMERA, str(rate), str(count), str(depth)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    recorder = Recorder("recorded", path, depth=None if depth else 8192, **options)
    with DirtyPages() as dirty, recorder:
        child.stdin.write("go\n")
        child.stdin.flush()
        child.stdout.readline()
        while recorder.running:  # frames that were lost at the very end are told by no later one
            sofar = recorder.report.streams["recorded"]
            if sofar.recorded + sofar.lost >= count or (sofar.last_age or 0) > 2:
                break
            time.sleep(0.01)
    child.communicate("end\n")
    report = recorder.report.streams["recorded"]
    wrong = missing = 0
    with pymilk.load(path) as loaded:
        assert loaded.info is not None
        numbers = loaded.info["cnt0"].astype(np.int64)
        missing = int((np.diff(numbers) - 1).sum())
        for first in range(0, len(loaded), 1024):
            part = np.ascontiguousarray(loaded.frames[first : first + 1024])
            found, whole = check_frames(part)
            right = found == ((numbers[first : first + 1024] - 1) % PERIOD).astype(np.uint64)
            wrong += int(np.count_nonzero(~(whole & right)))
    good = wrong == 0 and missing == report.lost == 0 and report.recorded == count
    line = (
        f"{path.suffix:6} {report.recorded:>8} {report.lost:>6} {wrong:>6} {report.rate:>9.0f} "
        f"{report.ring_peak:>9.1%} {dirty.peak / 1e6:>6.0f}  {'ok' if good else 'NOT ok'}"
    )
    return line, good


def way_of(path: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return how this file gets to the disk: what was asked for, as far as the format takes it."""
    kind = sink_of(str(path))
    sync = chosen.sync if chosen.sync != "second" or kind.holds else "end"
    return {"direct": chosen.direct and kind.takes_direct, "sync": sync}


def sustained(path: Path, shm: SHM, count: int, **options: Any) -> tuple[float, float]:
    """Record frames that are there already; returns bytes per second, and seconds of processor time."""
    recorder = Recorder(shm, path, frames=count, start="oldest", **options)
    began, worked = time.perf_counter(), time.process_time()
    report = recorder.start().wait()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    assert (report.recorded, report.lost) == (count, 0)
    return count * FRAME_NBYTES / took, worked


def plain_write(path: Path, frames: np.ndarray) -> tuple[float, float]:
    """Write the same bytes one after the other; returns bytes per second, and seconds of processor time."""
    content = memoryview(frames).cast("B")
    began, worked = time.perf_counter(), time.process_time()
    with open(path, "wb", buffering=0) as file:
        for first in range(0, len(content), 4 << 20):
            file.write(content[first : first + (4 << 20)])
    took, worked = time.perf_counter() - began, time.process_time() - worked
    return len(content) / took, worked


def clear(path: Path) -> None:
    """Remove what was written, and have the disk finish with it."""
    if path.is_dir():
        shutil.rmtree(path)
    for each in path.parent.glob(f"{path.stem}.*"):
        if each.is_file():
            each.unlink()
    if not in_memory(file_system_of(str(path.parent))):
        os.sync()
    gc.collect()


def compare(
    label: str, path: Path, frames: np.ndarray, record: Callable[[], tuple[float, float]], repeats: int
) -> str:
    """Write frames plainly and in another way in turns; returns a line of the table."""
    raw = path.parent / "plain.raw"

    def written() -> tuple[float, float]:
        return plain_write(raw, frames)

    found: dict[Callable[[], tuple[float, float]], list[tuple[float, float]]] = {written: [], record: []}
    for repeat in range(repeats):
        for measure in (written, record) if repeat % 2 else (record, written):
            plain_write(raw, frames)
            clear(raw)
            found[measure].append(measure())
            clear(path)
            clear(raw)
    speeds, writes = found[record], found[written]
    ratios = sorted(a[0] / b[0] for a, b in zip(speeds, writes, strict=True))
    fastest = min(each[1] for each in writes) / min(each[1] for each in speeds)
    return (
        f"{label} {statistics.median(each[0] for each in speeds) / 1e6:>6.0f} "
        f"{statistics.median(each[0] for each in writes) / 1e6:>17.0f}  "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})".ljust(62 + len(label))
        + f"{fastest:.2f}"
    )


@contextlib.contextmanager
def stock(count: int) -> Iterator[tuple[SHM, np.ndarray]]:
    """Make a stream whose ring has `count` numbered frames behind the first one; gives both."""
    frame = SelfCheckingFrame(SHAPE, np.dtype(np.uint16))
    with SHM("stock", (SHAPE, np.uint16), ring=count + 1) as shm:
        frames = np.stack([frame.number(n).copy() for n in range(count)])
        shm.set_many(frames)
        yield shm, frames
        shm.destroy()


def main() -> None:
    """Run both parts, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", help="where to record; default: a temporary directory")
    parser.add_argument("--rate", type=float, default=5000.0, help="frames per second of the camera")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--formats", default="npy,fits,h5,zarr", help="with commas")
    parser.add_argument("--compress", action="store_true", help="the part about compression alone")
    parser.add_argument("--direct", action="store_true", help="past the page cache, where the format can")
    parser.add_argument("--sync", choices=["end", "second"], help="second: of h5 at the end")
    parser.add_argument("--plain", action="store_true", help="a stream without a ring: a collector")
    parser.add_argument("--repeats", type=int, default=9, help="of the second part; 0: without it")
    parser.add_argument("--frames", type=int, default=8000, help="of the second part")
    parser.add_argument("--quick", action="store_true", help="a look whether it works")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rate, chosen.seconds, chosen.repeats, chosen.frames = 1000.0, 0.5, 1, 1000
    if chosen.compress:
        from compressed import compressed

        sys.exit(compressed(chosen.directory, 0.1 if chosen.quick else chosen.seconds, chosen.quick))
    kinds = chosen.formats.split(",")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    good = True
    with (
        tempfile.TemporaryDirectory(prefix="pymilk-recording-", dir=memory) as streams,
        tempfile.TemporaryDirectory(prefix="pymilk-recording-", dir=chosen.directory) as folder,
    ):
        os.environ["MILK_SHM_DIR"] = streams
        count = int(chosen.rate * chosen.seconds)
        source = "a plain stream, collector of 8192 frames" if chosen.plain else "a ring of 8192 slots"
        print(f"120x120 uint16 at {chosen.rate:g}/s for {chosen.seconds:g} s from {source}, in {folder}")
        print("format recorded   lost  wrong   reached  ring peak  dirty")
        for suffix in kinds:
            path = Path(folder) / f"camera.{suffix}"
            options = way_of(path, chosen)
            line, well = camera(path, chosen.rate, count, 0 if chosen.plain else 8192, **options)
            print(line, flush=True)
            good &= well
            clear(path)
        if not chosen.repeats:
            sys.exit(0 if good else 1)
        print(f"\n{chosen.frames} frames, {chosen.frames * FRAME_NBYTES / 1e6:.0f} MB, as fast as it goes")
        print("format   MB/s  plain write MB/s  ratio (median, smallest to largest)  of processor times")
        with stock(chosen.frames) as (shm, frames):
            raw = Path(folder) / "sustained.raw"
            print(
                compare("plain ", raw, frames, partial(plain_write, raw, frames), chosen.repeats), flush=True
            )
            for suffix in kinds:
                path = Path(folder) / f"sustained.{suffix}"
                options = way_of(path, chosen)
                record = partial(sustained, path, shm, chosen.frames, **options)
                line = compare(f"{suffix:6}", path, frames, record, chosen.repeats)
                print(line, flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
