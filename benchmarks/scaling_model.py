"""What a frame costs, predicted from a few constants of the machine, beside what the same run measured.

    python benchmarks/scaling.py --directory DIR
    python benchmarks/scaling_model.py --directory DIR       # this part alone

Constants: the fixed cost of each call, from frames of 64 bytes; the cost of a byte that is copied into shared
memory, out of it, and into many places in turn, from plain copies of five sizes each; the cost of a byte
that is written to a file in DIR, from plain writes. Between the sizes the cost of a byte is interpolated,
both on a logarithmic scale. Then:

    publish     = fixed + copy into shared memory
    into a ring = publish + fixed of a ring + copy into depth places in turn
                  (frames that fit into the first cache: without the copy into the stream)
    s streams   = fixed + copy into s places in turn
    receive     = fixed + copy out of shared memory
    k receivers = publish + k x receive                        processor time of all of them
    record      = fixed + write

The measured points lie at other sizes than those of the constants. Times are the least of all repetitions,
which go through all points in turn; the last lines say how far predictions were off, and what a system of
the next generation would need by these constants.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import timed

import pymilk
from pymilk._core import FRAME_ROW
from pymilk.recording.sinks import sink_of

KIB, MIB = 1 << 10, 1 << 20

#: Sizes of frames, and of all places together, whose copies are constants; and those that are predicted.
FRAMES = (6 * KIB, 24 * KIB, 256 * KIB, 2 * MIB, 8 * MIB, 64 * MIB)
PLACES = (64 * KIB, 512 * KIB, 4 * MIB, 32 * MIB, 256 * MIB)
SIZES = (4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB)
DEPTHS, STREAMS, READERS = (32, 256, 2048, 16384), (2, 8, 32), (1, 2, 4, 8)
LARGE_DEPTH = 128

#: Bytes of the cache next to the core.
FIRST_CACHE = 32 * KIB

#: Slots of the ring whose fixed cost is measured: its records are in no cache, as those of real rings.
TINY_DEPTH = 65536

#: Bytes of the smallest frame, of a frame where its size does not vary, and of one that readers copy.
TINY, SMALL, LARGE = 64, 8 * KIB, MIB

#: Bytes of frames that are recorded at each point, and in one call.
RECORDED, PIECE = 64 * MIB, 4 * MIB

Times = dict[tuple[object, ...], float]
Calls = dict[tuple[object, ...], Callable[[], float]]


@dataclass(frozen=True)
class Machine:
    """The constants.

    Attributes
    ----------
    fixed : dict
        Seconds of each call, without its bytes.
    put, got, spread : dict
        Seconds of a byte that is copied into shared memory, by the bytes of the frame; out of it; and into
        places in turn, by the bytes of all of them.
    written : float
        Seconds of a byte that is written.
    """

    fixed: dict[str, float]
    put: dict[int, float]
    got: dict[int, float]
    spread: dict[int, float]
    written: float

    def publish(self, nbytes: int, depth: int = 0, streams: int = 1) -> float:
        """Return the seconds of `set_data`: into a ring, or to streams in turn."""
        places, put = max(depth, streams), between(self.put, nbytes)
        cost = put if places == 1 else max(put, between(self.spread, nbytes * places))
        if depth and nbytes > FIRST_CACHE:  # below, the copy into the stream hides behind that into the slot
            cost += put
        return self.fixed["publish"] + (self.fixed["ring"] if depth else 0.0) + nbytes * cost

    def receive(self, nbytes: int) -> float:
        """Return the seconds of `get_data(out=)` of a frame that is there."""
        return self.fixed["receive"] + nbytes * between(self.got, nbytes)

    def record(self, nbytes: int) -> float:
        """Return the processor seconds of a frame that is recorded as NPY."""
        return self.fixed["record"] + nbytes * self.written


def between(known: dict[int, float], nbytes: int) -> float:
    """Return the cost of a byte at a size between known ones, on logarithmic scales."""
    sizes = np.log(list(known))
    return float(np.exp(np.interp(math.log(nbytes), sizes, np.log(list(known.values())))))


def least_of(repeats: int, calls: Calls) -> Times:
    """Run each call in turn, many times; return the least of what each of them measured."""
    found = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            found[name] = min(found[name], call())
    return found


def frame_of(nbytes: int) -> np.ndarray:
    """Return a frame of so many bytes."""
    return np.arange(nbytes // 2, dtype=np.uint16).reshape(-1, 32)


def number_of(nbytes: int) -> int:
    """Return how many calls are timed together."""
    return max(2, min(2000, 4_000_000 // nbytes))


class Bench:
    """Streams and what is timed with them; a context manager.

    Parameters
    ----------
    most : int
        Bytes of the largest frame, and of all places.
    memory : Path
        Where shared memory is made.
    directory : Path
        Where files are written.
    """

    def __init__(self, most: int, memory: Path, directory: Path) -> None:
        self.most, self.memory, self.directory = most, memory, directory
        self.calls: Calls = {}
        self.stack = contextlib.ExitStack()
        self._names = itertools.count()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.close()

    def stream(self, frame: np.ndarray, depth: int = 0) -> pymilk.SHM:
        """Make a stream; go once around its ring, so that no page is touched for the first time later."""
        name = f"model{next(self._names)}"
        shm = self.stack.enter_context(pymilk.SHM(name, (frame.shape, frame.dtype), ring=depth or None))
        self.stack.callback(shm.destroy)
        for _ in range(depth + 1):
            shm.set_data(frame)
        return shm

    def shared(self, nbytes: int) -> np.ndarray:
        """Return plain shared memory of so many bytes, every page touched."""
        path = self.memory / f"plain{next(self._names)}"
        memory = np.memmap(path, np.uint16, "w+", shape=(nbytes // 64, 32))
        memory[:] = 1
        return np.asarray(memory)

    def turns(self, count: int, frame: np.ndarray) -> Callable[[], float]:
        """Return a measurement of a copy of a frame into so many places in turn."""
        memory = self.shared(count * frame.nbytes).reshape(count, *frame.shape)
        places = itertools.cycle(list(memory))
        return timed(lambda: np.copyto(next(places), frame), 1000)

    def constants(self) -> None:
        """Add what the constants come from."""
        tiny, small = frame_of(TINY), frame_of(SMALL)
        self.access("tiny", tiny)
        ring = self.stream(tiny, TINY_DEPTH)
        self.calls["tiny", "ring"] = timed(functools.partial(ring.set_data, tiny), 2000)
        self.calls["tiny", "copy"] = timed(functools.partial(np.copyto, self.shared(TINY), tiny), 2000)
        self.calls["tiny", "turns"] = self.turns(8, tiny)
        for nbytes in filter(lambda nbytes: nbytes <= self.most, FRAMES):
            frame, memory = frame_of(nbytes), self.shared(nbytes)
            target, number = np.empty_like(frame), number_of(nbytes)
            self.calls["put", nbytes] = timed(functools.partial(np.copyto, memory, frame), number)
            self.calls["got", nbytes] = timed(functools.partial(np.copyto, target, memory), number)
        for nbytes in filter(lambda nbytes: nbytes <= self.most, PLACES):
            self.calls["spread", nbytes] = self.turns(nbytes // SMALL, small)
        self.calls["tiny", "record"] = self.recording(TINY, PIECE)
        self.calls["write", PIECE] = self.writing()

    def access(self, name: str, frame: np.ndarray) -> None:
        """Add publishing and receiving frames of a kind."""
        shm, target = self.stream(frame), np.empty_like(frame)
        number = number_of(frame.nbytes)
        self.calls[name, "publish", frame.nbytes] = timed(functools.partial(shm.set_data, frame), number)
        self.calls[name, "receive", frame.nbytes] = timed(functools.partial(shm.get_data, out=target), number)

    def points(self) -> None:
        """Add what is predicted."""
        small = frame_of(SMALL)
        for nbytes in filter(lambda nbytes: nbytes <= self.most, SIZES):
            self.access("size", frame_of(nbytes))
        for nbytes, count in itertools.product((SMALL, LARGE), READERS):
            self.calls["readers", nbytes, count] = self.receivers(frame_of(nbytes), count)
        for depth in filter(lambda depth: depth * SMALL <= self.most, DEPTHS):
            shm = self.stream(small, depth)
            self.calls["depth", depth] = timed(functools.partial(shm.set_data, small), 1000)
        if self.most >= LARGE_DEPTH * LARGE:
            large = frame_of(LARGE)
            shm = self.stream(large, LARGE_DEPTH)
            self.calls["large", LARGE_DEPTH] = timed(functools.partial(shm.set_data, large), LARGE_DEPTH)
        for count in STREAMS:
            streams = [self.stream(small) for _ in range(count)]
            writes = itertools.cycle([shm.set_data for shm in streams])
            number = 1000 // count * count
            self.calls["streams", count] = timed(lambda turn=writes: next(turn)(small), number)
        for nbytes in (SMALL, LARGE):
            self.calls["record", nbytes] = self.recording(nbytes, RECORDED)

    def receivers(self, frame: np.ndarray, count: int) -> Callable[[], float]:
        """Return a measurement of a frame that is published and copied by so many readers in turn."""
        shm, target = self.stream(frame), np.empty_like(frame)
        readers = [self.stack.enter_context(pymilk.SHM(shm.FNAME)) for _ in range(count)]
        reads = [functools.partial(reader.get_data, out=target) for reader in readers]

        def call() -> None:
            shm.set_data(frame)
            for read in reads:
                read()

        return timed(call, number_of(frame.nbytes * (1 + count)))

    def writing(self) -> Callable[[], float]:
        """Return a measurement of a plain write of a piece into a new file."""
        piece = memoryview(frame_of(PIECE)).cast("B")
        path = self.directory / "plain"

        def measure() -> float:
            began = time.process_time()
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.posix_fallocate(file, 0, RECORDED)
            for _ in range(RECORDED // PIECE):
                os.write(file, piece)
            os.close(file)
            seconds = time.process_time() - began
            path.unlink()
            return seconds * PIECE / RECORDED

        return measure

    def recording(self, nbytes: int, total: int) -> Callable[[], float]:
        """Return a measurement of a frame in a recording of so many bytes, in processor time."""
        frames = np.stack([frame_of(nbytes)] * (min(PIECE, total) // nbytes))
        rows = np.zeros(len(frames), FRAME_ROW)
        path = str(self.directory / "model.npy")
        kind = sink_of(path)
        header: dict[str, object] = {}

        def measure() -> float:
            began = time.process_time()
            sink = kind(path, frames.shape[1:], frames.dtype, header)
            for _ in range(max(1, total // frames.nbytes)):
                sink.write(frames)
                sink.commit(rows)
            sink.finish(header)
            seconds = time.process_time() - began
            kind.remove(path)
            return seconds / (max(1, total // frames.nbytes) * len(frames))

        return measure


def machine_of(found: Times) -> Machine:
    """Make the constants of what was measured."""
    publish, receive = found["tiny", "publish", TINY], found["tiny", "receive", TINY]
    written = found["write", PIECE] / PIECE
    tiny = {"put": found["tiny", "copy"], "got": found["tiny", "copy"], "spread": found["tiny", "turns"]}

    def costs(kind: str) -> dict[int, float]:
        points = {int(name[1]): seconds for name, seconds in found.items() if name[0] == kind}  # type: ignore[call-overload]
        return {
            size: max(seconds - tiny[kind], seconds / 10) / (SMALL if kind == "spread" else size)
            for size, seconds in points.items()
        }

    return Machine(
        {
            "publish": publish,
            "receive": receive,
            "ring": max(0.0, found["tiny", "ring"] - publish),
            "record": max(0.0, found["tiny", "record"] - TINY * written),
        },
        costs("put"),
        costs("got"),
        costs("spread"),
        written,
    )


def predicted(machine: Machine, name: tuple[object, ...]) -> tuple[str, float] | None:
    """Return what a point is called, and its seconds by the model; None for a constant."""
    match name:
        case ("size", "publish", int(nbytes)):
            return f"set_data, {nbytes} bytes", machine.publish(nbytes)
        case ("size", "receive", int(nbytes)):
            return f"get_data(out=), {nbytes} bytes", machine.receive(nbytes)
        case ("readers", int(nbytes), int(count)):
            return (
                f"{nbytes} bytes, {count} readers that copy",
                machine.publish(nbytes) + count * machine.receive(nbytes),
            )
        case ("depth", int(depth)):
            return f"set_data into a ring of {depth}", machine.publish(SMALL, depth)
        case ("large", int(depth)):
            return f"set_data, {LARGE} bytes, ring of {depth}", machine.publish(LARGE, depth)
        case ("streams", int(count)):
            return f"set_data to {count} streams in turn", machine.publish(SMALL, streams=count)
        case ("record", int(nbytes)):
            return f"recorded as NPY, {nbytes} bytes", machine.record(nbytes)
    return None


def show_points(machine: Machine, found: Times) -> None:
    """Print predictions beside what was measured."""
    print(f"\n{'point':38}{'predicted us':>14}{'measured us':>14}{'off by':>9}")
    errors = []
    for name, seconds in found.items():
        said = predicted(machine, name)
        if said is not None:
            errors.append(said[1] / seconds - 1)
            print(f"{said[0]:38}{said[1] * 1e6:14.3f}{seconds * 1e6:14.3f}{errors[-1]:+9.0%}")
    within = sum(abs(error) <= 0.2 for error in errors)
    middle = statistics.median(map(abs, errors))
    largest = max(map(abs, errors))
    print(f"{within} of {len(errors)} points within 20 %; median {middle:.0%}, largest {largest:.0%}")


def show_machine(machine: Machine) -> None:
    """Print the constants."""
    for name, seconds in machine.fixed.items():
        print(f"{name:10} {seconds * 1e6:8.3f} us without its bytes")
    for what, costs in (("in", machine.put), ("out", machine.got), ("into places of", machine.spread)):
        rates = ", ".join(f"{nbytes // KIB} kB {1e-9 / cost:.1f}" for nbytes, cost in costs.items())
        print(f"GB/s copied {what}: {rates}")
    print(f"GB/s written to a file: {1e-9 / machine.written:.1f}")


#: The system that is asked for: name, streams, bytes of a frame, rate, depth of the ring, readers that copy.
LARGE_SYSTEM = (
    ("cameras 800x800", 8, 800 * 800 * 2, 1000, 1000, 2),
    ("DM 10 000 actuators", 1, 10_000 * 4, 2000, 4096, 3),
)


def show_system(machine: Machine) -> None:
    """Print what a large system needs by these constants."""
    titles = ("GB/s", "publish", "receive", "record", "cores", "bus GB/s")
    print(f"\n{'system':22}" + "".join(f"{title:>9}" for title in titles))
    for name, streams, nbytes, rate, depth, readers in LARGE_SYSTEM:
        publish = streams * rate * machine.publish(nbytes, depth)
        receive = streams * rate * readers * machine.receive(nbytes)
        record = streams * rate * machine.record(nbytes)
        volume = streams * rate * nbytes / 1e9
        print(
            f"{name:22}{volume:9.2f}{publish:9.2f}{receive:9.2f}{record:9.2f}"
            f"{publish + receive + record:9.2f}{volume * bus_passes(readers):9.1f}"
        )
    print("publish, receive, record: cores that are busy all the time. Readers copy; one recorder writes.")


def bus_passes(readers: int) -> int:
    """Return how often each byte of a frame crosses the memory bus, at most.

    A copy reads its source, reads its target in order to overwrite it, and writes it: three passes. There is
    one copy into the ring, one for each reader, and one into the page cache, which the disk reads once more.
    The stream itself stays in a cache, as large as one frame is.
    """
    return 3 * (1 + readers + 1) + 1


def compare(quick: bool, directory: Path | None) -> None:
    """Measure, predict, and print both; files are written in a folder of `directory`."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with (
        tempfile.TemporaryDirectory(prefix="pymilk-model-", dir=memory) as folder,
        tempfile.TemporaryDirectory(prefix="pymilk-model-", dir=directory) as files,
    ):
        os.environ["MILK_SHM_DIR"] = folder
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        with Bench(8 * MIB if quick else 256 * MIB, Path(folder), Path(files)) as bench:
            bench.constants()
            bench.points()
            found = least_of(2 if quick else 25, bench.calls)
    machine = machine_of(found)
    show_machine(machine)
    show_points(machine, found)
    show_system(machine)


def main() -> None:
    """Run this part alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: few and small")
    parser.add_argument("--directory", type=Path, help="where files are written (a temporary folder)")
    chosen = parser.parse_args()
    compare(chosen.quick, chosen.directory)


if __name__ == "__main__":
    main()
