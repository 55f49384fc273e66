"""How the cost of a frame grows with its size, with readers, with the depth of a ring, and with streams.

    python benchmarks/scaling.py [--quick] [--plot FILE] [--tolerance 1.5] [--directory DIR] [--without-model]

Times are medians on one core; each repetition goes through all points, so that a change of the machine's
speed reaches all of them. Beside each point a plain copy is measured that does the same to the memory. What
is expected of a point is that copy plus a fixed cost, the median excess of the three smallest points. A
point that takes more than this by the tolerance is flagged. So a step that plain copies have too, as where
frames outgrow a cache, is the machine's and is not flagged; a cost of pymilk's own that grows is.

- Frame size, 1 kB to 64 MB: `set_data` beside `numpy.copyto`, `get_data()` beside `ndarray.copy`, whose new
  arrays cost page faults beyond some size, whoever makes them. A view is expected to cost the same at any
  size.
- Readers, 1 to 32: `set_data` with so many readers attached. Those that the stream has a semaphore for (10
  by default) have one of their own. Expected to be flat.
- Writers, 1 to 8: processes that publish at the same time, each in a ring of its own; processor time of a
  frame, the least of some rounds of each process. Expected to be flat, where there are as many cores.
- Ring depth, 16 to 65536: `set_data` into a ring, beside copies into as many places in turn; and taking one
  frame as a block, which is expected to be flat.
- Streams, 1 to 1000: `set_data` to each in turn and `get_data()` from each in turn, per frame, beside copies
  into as many places in turn.

For readers, writers and streams the command also says whether they are flat: no point above 1.10 of what is
expected.

Then `scaling_model` predicts the cost of a frame from a few constants, and compares; files are written in
DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scaling_model
from figures import median_of, timed

import pymilk
from pymilk._core import allocate

KIB = 1024
SIZES = [KIB << k for k in range(0, 17, 2)]
READERS = [1, 2, 4, 8, 10, 16, 32]
WRITERS = [1, 2, 4, 8]
DEPTHS = [16, 64, 256, 1024, 4096, 16384, 65536]
STREAMS = [1, 2, 4, 8, 16, 32, 64, 250, 1000]

#: What is called flat: the largest share of what is expected.
FLAT = 1.10

#: Bytes of a frame where its size is not what varies.
NBYTES = 8 * KIB


#: Quantities of which the cost should not depend at all.
MEANT_FLAT = ("readers", "writers", "streams")

#: A process that publishes in a ring of its own, as often as it is told to.
RING_WRITER = """
import os, sys, time, numpy as np
from pymilk import SHM
name, rounds = sys.argv[1], int(sys.argv[2])
os.sched_setaffinity(0, set(map(int, sys.argv[3].split(","))))
frame = np.arange(4096, dtype=np.uint16).reshape(-1, 512)
with SHM(name, (frame.shape, frame.dtype), ring=64) as shm:
    for _ in range(200):
        shm.set_data(frame)
    print("ready", flush=True)
    for line in sys.stdin:
        least = 1e9
        for _ in range(rounds):
            began = time.thread_time()
            for _ in range(500):
                shm.set_data(frame)
            least = min(least, (time.thread_time() - began) / 500)
        print(least, flush=True)
    shm.destroy()
"""


@dataclass
class Curve:
    """Seconds of a call at each point.

    Attributes
    ----------
    what : str
        The call.
    points : list of int
    seconds : list of float
    plain : list of float
        Of the copy beside it; 0 where the cost is expected to be the same at all points.
    """

    what: str
    points: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    def add(self, point: int, seconds: float, plain: float = 0.0) -> None:
        """Note a point."""
        self.points.append(point)
        self.seconds.append(seconds)
        self.plain.append(plain)

    def ratios(self) -> list[float]:
        """Return how each point compares with what is expected."""
        pairs = list(zip(self.seconds, self.plain, strict=True))
        fixed = max(0.0, statistics.median(seconds - plain for seconds, plain in pairs[:3]))
        return [seconds / (plain + fixed) for seconds, plain in pairs]


def frame_of(nbytes: int) -> np.ndarray:
    """Return a frame of so many bytes, in rows of 1 kB."""
    return np.arange(nbytes // 2, dtype=np.uint16).reshape(-1, 512)


def calls(nbytes: int) -> int:
    """Return how many calls are timed together."""
    return max(2, min(2000, 8_000_000 // nbytes))


def by_size(repeats: int, most: int) -> list[Curve]:
    """Vary the size of a frame."""
    sizes = [size for size in SIZES if size <= most]
    work = {}
    with contextlib.ExitStack() as stack:
        for nbytes in sizes:
            frame = frame_of(nbytes)
            target = allocate(frame.shape, frame.dtype)
            shm = stack.enter_context(pymilk.SHM(f"size{nbytes}", frame))
            stack.callback(shm.destroy)
            number = calls(nbytes)
            work |= {
                ("copy", nbytes): timed(functools.partial(np.copyto, target, frame), number),
                ("new", nbytes): timed(frame.copy, number),
                ("write", nbytes): timed(functools.partial(shm.set_data, frame), number),
                ("read", nbytes): timed(shm.get_data, number),
                ("view", nbytes): timed(functools.partial(shm.get_data, copy=False), 500),
            }
        found = median_of(repeats, work)
    write, read, view = Curve("set_data"), Curve("get_data()"), Curve("get_data(copy=False)")
    for nbytes in sizes:
        write.add(nbytes, found["write", nbytes], found["copy", nbytes])
        read.add(nbytes, found["read", nbytes], found["new", nbytes])
        view.add(nbytes, found["view", nbytes])
    return [write, read, view]


def by_readers(repeats: int) -> list[Curve]:
    """Vary the number of readers that are attached."""
    frame = frame_of(NBYTES)
    work = {}
    with contextlib.ExitStack() as stack:
        for count in READERS:
            shm = stack.enter_context(pymilk.SHM(f"readers{count}", frame))
            stack.callback(shm.destroy)
            for _ in range(count):
                stream = stack.enter_context(pymilk.Stream.attach(shm.FILEPATH))
                stack.callback(stream.reader().close)
            work[count] = timed(functools.partial(shm.set_data, frame), 1000)
        found = median_of(repeats, work)
    write = Curve("set_data")
    for count in READERS:
        write.add(count, found[count])
    return [write]


def by_writers(repeats: int, cores: set[int], most: int) -> list[Curve]:
    """Vary how many processes publish at the same time on these cores, each in a ring of its own."""
    allowed = ",".join(map(str, cores))
    counts = [count for count in WRITERS if count <= most]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RING_WRITER, f"writer{k}", "40", allowed],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        for k in range(counts[-1])
    ]

    def together(count: int) -> float:
        used = processes[:count]
        for each in used:
            assert each.stdin is not None
            print("go", file=each.stdin, flush=True)
        return statistics.median(float(heard(each)) for each in used)

    for each in processes:
        heard(each)
    found = median_of(repeats, {count: functools.partial(together, count) for count in counts})
    for each in processes:
        each.communicate()
    write = Curve("set_data into a ring, processor time")
    for count in counts:
        write.add(count, found[count])
    return [write]


def heard(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def turns(count: int, frame: np.ndarray) -> Callable[[], None]:
    """Return a copy of a frame into so many places in turn."""
    places = itertools.cycle(allocate((count, *frame.shape), frame.dtype))
    return lambda: np.copyto(next(places), frame)


def taking(shm: pymilk.SHM, ring: pymilk.RingReader, frame: np.ndarray) -> Callable[[], float]:
    """Return a measurement of taking one frame as a block, in seconds."""
    blocks = ring.blocks(1)

    def measure() -> float:
        seconds = 0.0
        for _ in range(500):
            shm.set_data(frame)
            ring.skip(ring.lag - 1)
            began = time.perf_counter()
            block = next(blocks)
            seconds += time.perf_counter() - began
        assert np.array_equal(block.frames[0], frame)
        return seconds / 500

    return measure


def by_depth(repeats: int, most: int) -> list[Curve]:
    """Vary the depth of a ring."""
    depths = [depth for depth in DEPTHS if depth <= most]
    frame = frame_of(NBYTES)
    work = {}
    with contextlib.ExitStack() as stack:
        for depth in depths:
            shm = stack.enter_context(pymilk.SHM(f"depth{depth}", (frame.shape, frame.dtype), ring=depth))
            stack.callback(shm.destroy)
            ring = stack.enter_context(shm.ring_reader())
            plain = turns(depth, frame)
            # Once around both, so that no page is touched for the first time while it is timed.
            for _ in range(depth + 1):
                shm.set_data(frame)
                plain()
            work |= {
                ("plain", depth): timed(plain, 1000),
                ("write", depth): timed(functools.partial(shm.set_data, frame), 1000),
                ("take", depth): taking(shm, ring, frame),
            }
        found = median_of(repeats, work)
    write, take = Curve("set_data into a ring"), Curve("one frame as a block")
    for depth in depths:
        write.add(depth, found["write", depth], found["plain", depth])
        take.add(depth, found["take", depth])
    return [write, take]


def by_streams(repeats: int, most: int) -> list[Curve]:
    """Vary the number of streams that one process writes and reads in turn."""
    counts = [count for count in STREAMS if count <= most]
    frame = frame_of(NBYTES)
    work = {}
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(pymilk.SHM(f"many{k}", frame)) for k in range(counts[-1])]
        for shm in streams:
            stack.callback(shm.destroy)
        for count in counts:
            used, number = streams[:count], max(1, 1000 // count) * count
            writes = itertools.cycle([shm.set_data for shm in used])
            reads = itertools.cycle([shm.get_data for shm in used])
            work |= {
                ("plain", count): timed(turns(count, frame), number),
                ("write", count): timed(lambda turn=writes: next(turn)(frame), number),
                ("read", count): timed(lambda turn=reads: next(turn)(), number),
            }
        found = median_of(repeats, work)
    write, read = Curve("set_data to each in turn"), Curve("get_data() from each in turn")
    for count in counts:
        write.add(count, found["write", count], found["plain", count])
        read.add(count, found["read", count], found["plain", count])
    return [write, read]


def show(title: str, curves: list[Curve], tolerance: float) -> int:
    """Print the curves of one quantity; returns how many points are flagged."""
    flagged = 0
    print(f"\n{title}")
    for curve in curves:
        print(f"  {curve.what}")
        for point, seconds, ratio in zip(curve.points, curve.seconds, curve.ratios(), strict=True):
            steep = ratio > tolerance
            flagged += steep
            mark = f"  NOT AS EXPECTED: more than {tolerance:g}" if steep else ""
            print(f"    {point:9d}  {seconds * 1e6:11.3f} us   {ratio:5.2f} of what is expected{mark}")
        if title in MEANT_FLAT:
            most = max(curve.ratios())
            print(f"    flat within 10 %: {'' if most <= FLAT else 'not '}reached (largest {most:.2f})")
    return flagged


def draw(path: Path, found: dict[str, list[Curve]]) -> None:
    """Draw all curves into one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    _, panels = pyplot.subplots(2, 3, figsize=(16, 8))
    panels.flat[-1].axis("off")
    for axes, (title, curves) in zip(panels.flat, found.items(), strict=False):
        for curve in curves:
            axes.plot(curve.points, np.array(curve.seconds) * 1e6, "o-", label=curve.what, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel=title, ylabel="us a frame")
        low, high = axes.get_ylim()
        if high < 4 * low:  # what is flat has to look flat
            axes.set_ylim(low / 2, high * 2)
        axes.legend(fontsize="small")
    pyplot.tight_layout()
    pyplot.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: few and small")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves into a picture")
    parser.add_argument("--tolerance", type=float, default=1.5)
    parser.add_argument("--directory", type=Path, help="where files are written (a temporary folder)")
    parser.add_argument("--without-model", action="store_true", help="the curves alone")
    chosen = parser.parse_args()
    repeats = 3 if chosen.quick else 21
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="pymilk-scaling-", dir=memory) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
        found = {
            "bytes of a frame": by_size(repeats, SIZES[5] if chosen.quick else SIZES[-1]),
            "readers": by_readers(repeats),
            "writers": by_writers(repeats, cores, 2 if chosen.quick else WRITERS[-1]),
            "depth of the ring": by_depth(repeats, 1024 if chosen.quick else DEPTHS[-1]),
            "streams": by_streams(repeats, 8 if chosen.quick else STREAMS[-1]),
        }
    flagged = sum(show(title, curves, chosen.tolerance) for title, curves in found.items())
    print(f"\n{flagged} points are not as expected" if flagged else "\nall points are as expected")
    if chosen.plot:
        draw(chosen.plot, found)
    if not chosen.without_model:
        print("\nthe model")
        scaling_model.compare(chosen.quick, chosen.directory)


if __name__ == "__main__":
    main()
