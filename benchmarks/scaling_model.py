"""What a frame costs, predicted from a few constants of the machine, beside what the same run measured.

    python benchmarks/scaling.py --directory DIR
    python benchmarks/scaling_model.py --directory DIR       # this part alone

Constants are measured at other sizes and numbers than the points that are predicted, and interpolated
between them, both on a logarithmic scale:

- the fixed cost of each call, from frames of 64 bytes; what a ring adds, by its depth; of one of many
  streams, by their number, as their metadata lie in farther caches; of publishing to readers and of taking
  frames that are new, which is another path than taking the same one again;
- the cost of a byte that memcpy copies into shared memory, out of it, and from one place into many in turn;
  by the bytes that are in use, which decide in which cache they lie: of a copy of n bytes, 2 n;
- the cost of a byte that pymilk copies past the caches, with streaming stores: out of a stream from 4 MiB
  on, and into the slot of a ring from 1 MiB on; by the bytes of the source, which alone lies in caches;
- the cost of a byte that is written to a file in DIR, from plain writes; of a recording, of a frame in it,
  and of a commit, which each piece of frames has, from recordings of other frames.

Then, for a frame of n bytes:

    publish     = fixed + n x in(2 n)
    into a ring = fixed + ring(depth) + n x in(3 n) + n x places((depth + 2) n)
    from 1 MiB  = fixed + ring(depth) + n x in(2 n) + n x slots past the caches(n)
    s streams   = fixed(s) + n x places((s + 1) n)                  each, in turn
    receive     = fixed + n x out(2 n)
    from 4 MiB  = fixed + n x out past the caches(n)
    k receivers = fixed + k x fixed of a new frame + n x (in(3 n) + out(3 n) + (k - 1) x out(2 n))
    record      = fixed + n x (written + commit / piece + recording / total)

Processor time of one thread on one core. Each measurement begins with calls that are not counted, at least
once around all places: what is predicted are calls that follow each other, and find in the caches what those
before left there. All of them take turns, nine times, and the least of each counts; this is done three times
with new memory, and the median of these counts: where the bytes in use just fit into a cache, the pages that
the kernel happens to give decide. The last lines say how far predictions were off, and what a system of the
next generation would need if nothing were left in the caches between two frames.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import itertools
import math
import os
import statistics
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import pymilk
from pymilk._core import FRAME_ROW
from pymilk.recording.sinks import sink_of

KIB, MIB = 1 << 10, 1 << 20


def thirds(first: int, last: int) -> tuple[int, ...]:
    """Return three numbers to a doubling, as far as can be from the powers of two, which are predicted."""
    return tuple(round(2 ** (step / 3 + 1 / 6)) for step in range(3 * first, 3 * last))


#: Bytes of frames, and numbers of places of 8 kB, whose plain copies are constants.
FRAMES = (*(nbytes // 64 * 64 for nbytes in thirds(11, 23)), 14 * MIB, 18 * MIB, 64 * MIB)
PLACES = (1, *thirds(2, 10), 1448, 2896, 5793, 11585, 23170)

#: Bytes of frames whose copies past the caches are constants: out of a stream, and into slots; of all slots.
PAST_OUT = (9 * MIB // 2, 7 * MIB, 14 * MIB, 18 * MIB, 64 * MIB)
PAST_SLOTS = (9 * MIB // 8, 3 * MIB // 2, 3 * MIB, 6 * MIB, 24 * MIB)
SLOTS = 48 * MIB

#: Depths of rings, and numbers of streams and readers, whose fixed costs are constants.
TINY_DEPTHS, TINY_STREAMS, TINY_READERS = (16, 128, 1024, 8192, 65536), (1, 4, 16, 64), (3, 12)

#: From so many bytes on pymilk copies past the caches: STREAMING_READ_NBYTES in protocol/copying.pxd, and
#: STREAMING_NBYTES in protocol/frame.pxd.
READ_PAST, SLOT_PAST = 4 * MIB, MIB

#: Bytes of frames that are predicted; depths of rings, streams and readers.
SIZES = (4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB)
DEPTHS, STREAMS, READERS = (32, 256, 2048, 16384), (2, 8, 32), (1, 2, 4, 8)
LARGE_DEPTH = 128

#: Bytes of the smallest frame, of a frame where its size does not vary, and of one that readers copy.
TINY, SMALL, LARGE = 64, 8 * KIB, MIB

#: Bytes of frames that are recorded at each point, and in one call.
RECORDED, PIECE = 64 * MIB, 4 * MIB

#: Recordings whose costs are constants: bytes of a frame, bytes of a piece, pieces. The first costs little
#: but its begin and end, the second its frames; the third has commits, each behind a piece that fills caches.
RECORDINGS = ((TINY, 4 * KIB, 1), (TINY, PIECE, 1), (128 * KIB, PIECE, 9))

#: Bytes of a page; where the pixels of a stream begin in theirs decides how copies are aligned.
PAGE = 4 * KIB

#: The copy that pymilk makes too; NumPy's is another loop. Called so, it uses some memory of the interpreter
#: besides that of the frame, as pymilk's calls do, which counts where a frame just fits into a cache.
memcpy = ctypes.PyDLL(None).memcpy
memcpy.argtypes, memcpy.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t), None

Times = dict[tuple[object, ...], float]
Calls = dict[tuple[object, ...], Callable[[], float]]
Curve = dict[int, float]


@dataclass(frozen=True)
class Machine:
    """The constants.

    Attributes
    ----------
    fixed : dict
        Seconds of each call, without its bytes.
    rings, streams : dict
        Seconds without the bytes: that a ring adds to a call, by its depth; of publishing in streams in
        turn, by their number.
    put, got, spread : dict
        Seconds of a byte that is copied into shared memory; out of it; into many places in turn. By the
        bytes that are in use.
    past_out, past_slots : dict
        Seconds of a byte that is copied past the caches: out of a stream; into slots. By the bytes of the
        source.
    written : float
        Seconds of a byte that is written.
    """

    fixed: dict[str, float]
    rings: Curve
    streams: Curve
    put: Curve
    got: Curve
    spread: Curve
    past_out: Curve
    past_slots: Curve
    written: float

    def publish(self, nbytes: int, depth: int = 0) -> float:
        """Return the seconds of `set_data`, into a ring of this depth if it is not 0."""
        seconds = self.fixed["publish"]
        if not depth:
            return seconds + nbytes * between(self.put, 2 * nbytes)
        seconds += between(self.rings, depth)
        if nbytes >= SLOT_PAST:  # the slot takes no room in the caches
            return seconds + nbytes * (between(self.put, 2 * nbytes) + between(self.past_slots, nbytes))
        return seconds + nbytes * (between(self.put, 3 * nbytes) + between(self.spread, (depth + 2) * nbytes))

    def publish_in_turn(self, nbytes: int, streams: int) -> float:
        """Return the seconds of `set_data` to one of so many streams, to each in turn."""
        return between(self.streams, streams) + nbytes * between(self.spread, (streams + 1) * nbytes)

    def receive(self, nbytes: int) -> float:
        """Return the seconds of `get_data(out=)` of a frame that is there."""
        return self.fixed["receive"] + nbytes * self.out(nbytes, 2)

    def out(self, nbytes: int, arrays: int) -> float:
        """Return the seconds of a byte that a reader copies, if so many arrays of this size are in use."""
        return between(self.past_out, nbytes) if nbytes >= READ_PAST else between(self.got, arrays * nbytes)

    def shared(self, nbytes: int, readers: int) -> float:
        """Return the seconds of a frame that is published, and copied by readers to the same place."""
        fixed = self.fixed["publish to readers"] + readers * self.fixed["receive a new frame"]
        first = between(self.put, 3 * nbytes) + self.out(nbytes, 3)
        return fixed + nbytes * (first + (readers - 1) * self.out(nbytes, 2))

    def record(self, nbytes: int, total: float = math.inf) -> float:
        """Return the processor seconds of a frame in a recording as NPY of so many bytes."""
        shares = self.fixed["commit a piece"] / PIECE + self.fixed["a recording"] / total
        return self.fixed["record a frame"] + nbytes * (self.written + shares)

    def cold(self) -> Machine:
        """Return the constants of a machine in whose caches other work leaves nothing between two frames."""
        curves = ("put", "got", "spread", "past_out", "past_slots")
        return replace(self, **{name: last_of(getattr(self, name)) for name in curves})


def last_of(known: Curve) -> Curve:
    """Return the largest point of a curve alone."""
    return {max(known): known[max(known)]}


def between(known: Curve, at: int) -> float:
    """Return the seconds at a point between known ones, on logarithmic scales."""
    places = np.log(list(known))
    return float(np.exp(np.interp(math.log(at), places, np.log(list(known.values())))))


def smooth(known: Curve) -> Curve:
    """Return each point of a curve as the median of itself and its neighbours; the ends as they are.

    This leaves a curve that rises alone, however steep. A point that is off from both its neighbours has
    pages that happen to lie badly, or well, in a cache.
    """
    values = list(known.values())
    middle = [statistics.median(values[at - 1 : at + 2]) for at in range(1, len(values) - 1)]
    return dict(zip(known, [values[0], *middle, values[-1]], strict=True)) if len(values) > 2 else known


def least_of(repeats: int, calls: Calls) -> Times:
    """Run each call in turn, many times; return the least of what each of them measured."""
    found = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            found[name] = min(found[name], call())
    return found


def looped(calls: Sequence[Callable[[], object]], number: int, before: int = 2) -> Callable[[], float]:
    """Return a measurement of calls that are made in turn: processor seconds of one of them.

    `number` of them are counted; `before` of them, and each of them once, are made before and not counted.
    """
    turn = itertools.cycle(calls)

    def measure() -> float:
        for call in itertools.islice(turn, max(before, len(calls))):
            call()
        began = time.thread_time()
        for call in itertools.islice(turn, number):
            call()
        return (time.thread_time() - began) / number

    return measure


def second_of(measure: Callable[[], float]) -> Callable[[], float]:
    """Return a measurement that is made twice; the first, which finds nothing in caches, does not count."""

    def twice() -> float:
        measure()
        return measure()

    return twice


def frame_of(nbytes: int) -> np.ndarray:
    """Return a frame of so many bytes."""
    return np.arange(nbytes // 2, dtype=np.uint16).reshape(-1, 16)


def number_of(nbytes: int) -> int:
    """Return how many calls are timed together."""
    return max(2, min(2000, 4 * MIB // nbytes))


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
        self._kept: list[np.ndarray] = []
        self._names = itertools.count()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.close()

    def stream(self, frame: np.ndarray, depth: int = 0, kind: str = "fast") -> pymilk.SHM:
        """Make a stream; go once around its ring, so that no page is touched for the first time later."""
        name = f"model{next(self._names)}"
        shm = pymilk.SHM(name, (frame.shape, frame.dtype), ring=depth or None, ring_kind=kind)
        self.stack.enter_context(shm)
        self.stack.callback(shm.destroy)
        for _ in range(depth + 1):
            shm.set_data(frame)
        return shm

    @functools.cached_property
    def begin(self) -> int:
        """How far behind the begin of a page the pixels of a stream lie."""
        return self.stream(frame_of(TINY)).get_data(copy=False).ctypes.data % PAGE

    def shared(self, nbytes: int) -> np.ndarray:
        """Return plain shared memory of so many bytes, aligned as pixels are, every page touched."""
        path = self.memory / f"plain{next(self._names)}"
        memory = np.memmap(path, np.uint8, "w+", shape=(self.begin + nbytes,))
        path.unlink()  # it goes with its last array
        memory[:] = 1
        return np.asarray(memory)[self.begin :]

    def plain(self, target: np.ndarray, source: np.ndarray) -> Callable[[], object]:
        """Return a plain copy of a whole array."""
        self._kept += [target, source]
        return functools.partial(memcpy, target.ctypes.data, source.ctypes.data, source.nbytes)

    def fits(self, sizes: tuple[int, ...], each: int = 1) -> list[int]:
        """Return those of the sizes that are not too large."""
        return [size for size in sizes if size * each <= self.most]

    def constants(self) -> None:
        """Add what the constants come from."""
        tiny = frame_of(TINY)
        self.access("tiny", tiny)
        self.calls["tiny", "copy"] = looped([self.plain(self.shared(TINY), tiny)], 2000)
        self.calls["tiny", "turns"] = self.turns(8, tiny)
        for depth in self.fits(TINY_DEPTHS, SMALL // 16):
            ring = self.stream(tiny, depth)
            self.calls["rings", depth] = looped([functools.partial(ring.set_data, tiny)], 2000, depth)
        for count in TINY_STREAMS:
            self.calls["streams", count] = self.streams(count, tiny)
        for count in TINY_READERS:
            self.calls["tiny", "readers", count] = self.receivers(tiny, count)
        for nbytes in self.fits(FRAMES):
            self.copies(frame_of(nbytes))
        for count in self.fits(PLACES, SMALL):
            self.calls["spread", (count + 1) * SMALL] = self.turns(count, frame_of(SMALL))
        for nbytes in self.fits(PAST_OUT):
            shm, target = self.stream(frame_of(nbytes)), np.empty_like(frame_of(nbytes))
            self.calls["past_out", nbytes] = looped([functools.partial(shm.get_data, out=target)], 2)
        for nbytes in self.fits(PAST_SLOTS):
            self.calls["past_slots", nbytes] = self.slots(frame_of(nbytes))
        for kind in RECORDINGS:
            self.calls["recording", kind] = self.recording(*kind)
        self.calls["write", PIECE] = self.writing()

    def copies(self, frame: np.ndarray) -> None:
        """Add plain copies of a frame into shared memory and out of it."""
        memory, target = self.shared(frame.nbytes), np.empty_like(frame)
        number = number_of(frame.nbytes)
        self.calls["put", 2 * frame.nbytes] = looped([self.plain(memory, frame)], number)
        self.calls["got", 2 * frame.nbytes] = looped([self.plain(target, memory)], number)

    def turns(self, count: int, frame: np.ndarray) -> Callable[[], float]:
        """Return a measurement of a plain copy of a frame into so many places in turn."""
        memory, nbytes = self.shared(count * frame.nbytes), frame.nbytes
        self._kept += [memory, frame]
        first, source = memory.ctypes.data, frame.ctypes.data
        # No list of places: the objects of Python would take as many cache lines as some of the bytes.
        places = itertools.chain.from_iterable(
            itertools.repeat(range(first, first + count * nbytes, nbytes))
        )

        def copies(number: int) -> None:
            for place in itertools.islice(places, number):
                memcpy(place, source, nbytes)

        def measure() -> float:
            copies(max(2, count))
            began = time.thread_time()
            copies(1000)
            return (time.thread_time() - began) / 1000

        return measure

    def slots(self, frame: np.ndarray) -> Callable[[], float]:
        """Return a measurement of copies past the caches: straight into the slots of a temporal ring."""
        depth = max(2, min(SLOTS, self.most) // frame.nbytes)
        shm = self.stream(frame, depth, "temporal")
        return looped([functools.partial(shm.set_data, frame)], number_of(frame.nbytes))

    def access(self, name: str, frame: np.ndarray) -> None:
        """Add publishing and receiving frames of a kind."""
        shm, target = self.stream(frame), np.empty_like(frame)
        number = number_of(frame.nbytes)
        publish, receive = functools.partial(shm.set_data, frame), functools.partial(shm.get_data, out=target)
        self.calls[name, "publish", frame.nbytes] = looped([publish], number)
        self.calls[name, "receive", frame.nbytes] = looped([receive], number)

    def streams(self, count: int, frame: np.ndarray) -> Callable[[], float]:
        """Return a measurement of a frame that is published in one of so many streams, in each in turn."""
        return looped([functools.partial(self.stream(frame).set_data, frame) for _ in range(count)], 1000)

    def points(self) -> None:
        """Add what is predicted."""
        small = frame_of(SMALL)
        for nbytes in self.fits(SIZES):
            self.access("size", frame_of(nbytes))
        for nbytes, count in itertools.product((SMALL, LARGE), READERS):
            self.calls["readers", nbytes, count] = self.receivers(frame_of(nbytes), count)
        for depth in self.fits(DEPTHS, SMALL):
            shm = self.stream(small, depth)
            self.calls["depth", depth] = looped([functools.partial(shm.set_data, small)], 1000, depth)
        for depth in self.fits((LARGE_DEPTH,), LARGE):
            large = frame_of(LARGE)
            shm = self.stream(large, depth)
            self.calls["large", depth] = looped([functools.partial(shm.set_data, large)], number_of(LARGE))
        for count in STREAMS:
            self.calls["many", count] = self.streams(count, small)
        for nbytes in (SMALL, LARGE):
            whole, frames = self.recording(nbytes, PIECE, RECORDED // PIECE), RECORDED // nbytes
            self.calls["record", nbytes] = lambda whole=whole, frames=frames: whole() / frames

    def receivers(self, frame: np.ndarray, count: int) -> Callable[[], float]:
        """Return a measurement of a frame that is published and copied by so many readers in turn."""
        shm, target = self.stream(frame), np.empty_like(frame)
        readers = [self.stack.enter_context(pymilk.SHM(shm.FNAME)) for _ in range(count)]
        calls = [functools.partial(shm.set_data, frame)]
        calls += [functools.partial(reader.get_data, out=target) for reader in readers]
        one = looped(calls, number_of(frame.nbytes * len(calls)) * len(calls))
        return lambda: one() * len(calls)

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

        return second_of(measure)

    def recording(self, nbytes: int, piece: int, pieces: int) -> Callable[[], float]:
        """Return a measurement of recording so many pieces of so many bytes, in processor time."""
        frames = np.stack([frame_of(nbytes)] * (piece // nbytes))
        rows = np.zeros(len(frames), FRAME_ROW)
        path = str(self.directory / "model.npy")
        kind = sink_of(path)
        header: dict[str, object] = {}

        def measure() -> float:
            began = time.process_time()
            sink = kind(path, frames.shape[1:], frames.dtype, header)
            for _ in range(pieces):
                sink.write(frames)
                sink.commit(rows)
            sink.finish(header)
            seconds = time.process_time() - began
            kind.remove(path)
            return seconds

        return second_of(measure)


def measured(most: int, memory: Path, directory: Path, repeats: int) -> Times:
    """Return the least of so many repetitions, all with the same streams and memory."""
    with Bench(most, memory, directory) as bench:
        bench.constants()
        bench.points()
        return least_of(repeats, bench.calls)


def machine_of(found: Times) -> Machine:
    """Make the constants of what was measured."""
    publish, receive = found["tiny", "publish", TINY], found["tiny", "receive", TINY]
    written = found["write", PIECE] / PIECE
    few, more = TINY_READERS
    each = (found["tiny", "readers", more] - found["tiny", "readers", few]) / (more - few)
    empty, frames, pieces = (found["recording", kind] for kind in RECORDINGS)

    def curve(kind: str, fixed: float = 0.0, nbytes: Callable[[int], int] = lambda _: 1) -> Curve:
        """Return seconds without the fixed ones, for each of so many bytes; a tenth at least."""
        points = {name[1]: seconds for name, seconds in found.items() if name[0] == kind}
        return smooth(
            {
                point: max(seconds - fixed, seconds / 10) / nbytes(point)
                for point, seconds in points.items()
                if isinstance(point, int)
            }
        )

    return Machine(
        {
            "publish": publish,
            "receive": receive,
            "publish to readers": found["tiny", "readers", few] - few * each,
            "receive a new frame": each,
            "a recording": empty,
            "commit a piece": max(0.0, (pieces - empty) / RECORDINGS[2][2] - PIECE * written),
            "record a frame": max(0.0, (frames - empty - PIECE * written) / (PIECE // TINY)),
        },
        curve("rings", publish),
        curve("streams"),
        curve("put", found["tiny", "copy"], lambda used: used // 2),
        curve("got", found["tiny", "copy"], lambda used: used // 2),
        curve("spread", found["tiny", "turns"], lambda _: SMALL),
        curve("past_out", receive, lambda nbytes: nbytes),
        curve("past_slots", publish, lambda nbytes: nbytes),
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
            return f"{nbytes} bytes, {count} readers that copy", machine.shared(nbytes, count)
        case ("depth", int(depth)):
            return f"set_data into a ring of {depth}", machine.publish(SMALL, depth)
        case ("large", int(depth)):
            return f"set_data, {LARGE} bytes, ring of {depth}", machine.publish(LARGE, depth)
        case ("many", int(count)):
            return f"set_data to {count} streams in turn", machine.publish_in_turn(SMALL, count)
        case ("record", int(nbytes)):
            return f"recorded as NPY, {nbytes} bytes", machine.record(nbytes, RECORDED)
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
        print(f"{name:22}{seconds * 1e6:8.3f} us without its bytes")
    for what, costs in (
        ("added by a ring of", machine.rings),
        ("to publish in turn in streams:", machine.streams),
    ):
        print(f"us {what} " + ", ".join(f"{at} {cost * 1e6:.3f}" for at, cost in costs.items()))
    print("GB/s copied, by the bytes in use:")
    for what, costs in (
        ("in", machine.put),
        ("out", machine.got),
        ("into places in turn", machine.spread),
        ("out past the caches", machine.past_out),
        ("into slots past the caches", machine.past_slots),
    ):
        rates = ", ".join(f"{used // KIB} kB {1e-9 / cost:.1f}" for used, cost in costs.items())
        print(textwrap.fill(f"{what}: {rates}", 110, initial_indent="  ", subsequent_indent="    "))
    print(f"GB/s written to a file: {1e-9 / machine.written:.1f}")


#: The system that is asked for: name, streams, bytes of a frame, rate, depth of the ring, readers that copy.
LARGE_SYSTEM = (
    ("cameras 800x800", 8, 800 * 800 * 2, 1000, 1000, 2),
    ("DM 10 000 actuators", 1, 10_000 * 4, 2000, 4096, 3),
)


def show_system(machine: Machine) -> None:
    """Print what a large system needs by these constants, if caches keep nothing between two frames."""
    machine = machine.cold()
    titles = ("GB/s", "publish", "receive", "record", "cores", "bus GB/s")
    print(f"\n{'system':22}" + "".join(f"{title:>9}" for title in titles))
    for name, streams, nbytes, rate, depth, readers in LARGE_SYSTEM:
        publish = streams * rate * machine.publish(nbytes, depth)
        receive = streams * rate * readers * machine.receive(nbytes)
        record = streams * rate * machine.record(nbytes)
        volume = streams * rate * nbytes / 1e9
        print(
            f"{name:22}{volume:9.2f}{publish:9.2f}{receive:9.2f}{record:9.2f}"
            f"{publish + receive + record:9.2f}{volume * bus_passes(nbytes, readers):9.1f}"
        )
    print("publish, receive, record: cores that are busy all the time. Readers copy; one recorder writes.")


def bus_passes(nbytes: int, readers: int) -> int:
    """Return how often each byte of a frame crosses the memory bus, at most.

    A copy reads its source, reads its target in order to overwrite it, and writes it: three passes; past the
    caches the target is not read. There is one copy into the ring, one for each reader, and one into the page
    cache, which the disk reads once more. The stream itself stays in a cache, as large as one frame is.
    """
    ring = 2 if nbytes >= SLOT_PAST else 3
    read = 2 if nbytes >= READ_PAST else 3
    return ring + read * readers + 3 + 1


def compare(quick: bool, directory: Path | None) -> None:
    """Measure, predict, and print both; files are written in a folder of `directory`."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with (
        tempfile.TemporaryDirectory(prefix="pymilk-model-", dir=memory) as folder,
        tempfile.TemporaryDirectory(prefix="pymilk-model-", dir=directory) as files,
    ):
        os.environ["MILK_SHM_DIR"] = folder
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        rounds = [
            measured(8 * MIB if quick else 256 * MIB, Path(folder), Path(files), 2 if quick else 9)
            for _ in range(1 if quick else 3)
        ]
    found = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
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
