"""The work, done by each peer in turn within each repetition."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np

from pymilk._core import allocate

from . import reference
from .peer import DTYPE, Array, Peer, Reader, Writer, offers
from .second import STAMPS, Second, unique

#: The frame of all two-process work.
SHAPE = (120, 120)

#: Slots of rings and places of queues in two-process work.
DEPTH = 4096

#: Latencies of the first frames are left out: memory is mapped and code is loaded then.
WARM_UP = 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    access_repeats, drain_repeats, repeats : int
        Repetitions of single calls, of drains, and of everything with two processes.
    shapes : tuple
        Of frames for single calls and drains.
    drain_nbytes : int
        Backlog.
    latency_frames, busy_frames : int
        Frames of a repetition, at 1 kHz.
    live : dict
        Frames of a repetition for each rate.
    all_ways : bool
        Measure all ways to wait, not only the first one.
    """

    access_repeats: int
    drain_repeats: int
    repeats: int
    shapes: tuple[tuple[int, int], ...]
    drain_nbytes: int
    latency_frames: int
    busy_frames: int
    live: dict[float, int]
    all_ways: bool = True

    def ways(self, peer: Peer) -> list[str]:
        """Return the ways to wait that are measured."""
        ways = list(dict.fromkeys(peer.waits + peer.live_waits))
        return ways if self.all_ways else ways[:1]


SHAPES = ((120, 120), (512, 512), (2048, 2048))
FULL = Plan(
    access_repeats=21,
    drain_repeats=5,
    repeats=5,
    shapes=SHAPES,
    drain_nbytes=96 << 20,
    latency_frames=1000,
    busy_frames=800,
    live={1e3: 1500, 5e3: 5000, 1e4: 8000, 2e4: 10_000, 4e4: 10_000, 1e5: 10_000},
)
QUICK = Plan(
    access_repeats=3,
    drain_repeats=2,
    repeats=1,
    shapes=SHAPES[:2],
    drain_nbytes=4 << 20,
    latency_frames=50,
    busy_frames=60,
    live={1e3: 50, 4e4: 1000, 1e5: 1000},
    all_ways=False,
)


@dataclass
class Live:
    """What one live capture brought.

    Attributes
    ----------
    received, lost, repeated, torn : int
        Frames delivered; never delivered; delivered again; not all of one frame.
    unflagged : int or None
        Torn frames that the peer itself does not call torn; None if it never says.
    told : int or None
        Frames that the peer itself found missing; None if it never says.
    cpu : float
        Processor time of the reader's process, as a share of the time that it took.
    rate : float
        Frames a second that the writer reached.
    other : float
        Speed of the busy thread beside it, as a share of its speed alone before and after; 0 if there was
        none.
    """

    received: int
    lost: int
    repeated: int
    torn: int
    unflagged: int | None
    told: int | None
    cpu: float
    rate: float
    other: float = 0.0

    @property
    def lost_share(self) -> float:
        """Frames lost, of those that were published for it."""
        return self.lost / max(1, self.received - self.repeated + self.lost)


@dataclass
class Results:
    """Everything that a run measured.

    Attributes
    ----------
    access : dict
        (nbytes, key, call) to seconds of a call, one a repetition. Keys "numpy" and "memcpy" are the copy.
    drain : dict
        (nbytes, key) to seconds of a frame, one a repetition.
    latency : dict
        (key, wait) to arrays of `Reader.latencies`, in nanoseconds of delay: columns since the call of
        `write`, since publication.
    live : dict
        (key, wait, rate) to `Live`, one a repetition.
    busy : dict
        (key, wait) to `Live`, one a repetition.
    failed : dict
        Key to what went wrong.
    """

    access: dict[tuple[int, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    drain: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    latency: dict[tuple[str, str], list[Array]] = field(default_factory=lambda: defaultdict(list))
    live: dict[tuple[str, str, float], list[Live]] = field(default_factory=lambda: defaultdict(list))
    busy: dict[tuple[str, str], list[Live]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, str] = field(default_factory=dict)
    import_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Cores:
    """Where the processes run."""

    writer: int
    reader: int
    busy: frozenset[int]


def choose_cores() -> Cores:
    """Give the writer and the reader a core each, the busy thread what is left beside the reader's."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("the comparison needs two cores: a writer and a reader that do not share one")
    return Cores(allowed[-2], allowed[-1], frozenset(allowed) - {allowed[-2]})


@contextmanager
def on(cores: set[int] | frozenset[int]) -> Iterator[None]:
    """Run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Run:
    """One run: all tasks, for the peers that are there."""

    def __init__(self, peers: list[Peer], plan: Plan, say: Say) -> None:
        self.peers = {peer.key: peer for peer in peers}
        self.plan = plan
        self.cores = choose_cores()
        self.results = Results()
        self._say = say
        most = max(max(plan.live.values()), plan.busy_frames)
        self._cube = allocate((most, *SHAPE), DTYPE)

    def all(self) -> Results:
        """Measure everything."""
        with on({self.cores.reader}):
            for shape in self.plan.shapes:
                self.access(shape)
            for shape in self.plan.shapes:
                self.drain(shape)
        for repetition in range(self.plan.repeats):
            for peer in list(self.peers.values()):
                self._say(f"two processes, {repetition + 1} of {self.plan.repeats}: {peer.title}")
                for wait in self.plan.ways(peer):
                    try:
                        self.together(peer, wait)
                    except Exception as error:  # a peer must not end the comparison; it is named
                        self._fail(peer, error)
                        break
        return self.results

    def _fail(self, peer: Peer, error: Exception) -> None:
        self.results.failed[peer.key] = f"{type(error).__name__}: {error}"
        self.peers.pop(peer.key, None)
        self._say(f"{peer.title} failed: {error!r}")

    # -- single calls --------------------------------------------------------------------------

    def access(self, shape: tuple[int, int]) -> None:
        """Time single calls of writers and readers in one process."""
        nbytes = math.prod(shape) * DTYPE.itemsize
        frame = np.arange(math.prod(shape), dtype=DTYPE).reshape(shape)
        target = allocate(shape, DTYPE)
        number = max(3, int(3e-3 / (nbytes / 10e9 + 3e-6)))
        queued = max(1, min(16, (64 << 20) // nbytes))
        times = self.results.access
        with ExitStack() as stack:
            timers: list[tuple[Peer | None, Callable[[], dict[str, float]]]] = [
                (None, lambda: {"copy": loop(lambda: np.copyto(target, frame), number)})
            ]
            if not reference.missing():
                copies = reference.library().reference_copies

                def memcpy() -> dict[str, float]:
                    began = time.perf_counter()
                    copies(target.ctypes.data, frame.ctypes.data, nbytes, number)
                    return {"copy": (time.perf_counter() - began) / number}

                timers.append((None, memcpy))
            for peer in list(self.peers.values()):
                if "access" not in peer.tasks:
                    continue
                try:
                    writer, reader = connected(stack, peer, shape, 2 * queued)
                except Exception as error:
                    self._fail(peer, error)
                    continue
                timers.append(
                    (peer, queue_timer(writer, reader, frame, min(queued, peer.access_depth), number))
                    if peer.queue
                    else (peer, state_timer(writer, reader, frame, target, number))
                )
            # The first round maps the memory of all, which is no part of this.
            for repetition in range(-1, self.plan.access_repeats):
                if repetition % 10 == 0:
                    self._say(f"single calls, {nbytes} bytes, {repetition + 1} of {self.plan.access_repeats}")
                for place, (peer, timer) in enumerate(timers):
                    key = peer.key if peer else ("numpy", "memcpy")[place]
                    if peer and peer.key in self.results.failed:
                        continue
                    try:
                        found = timer()
                    except Exception as error:
                        assert peer is not None
                        self._fail(peer, error)
                        continue
                    for call, seconds in found.items() if repetition >= 0 else ():
                        times[nbytes, key, call].append(seconds)

    def drain(self, shape: tuple[int, int]) -> None:
        """Time the reading of a backlog into a pre-faulted cube."""
        nbytes = math.prod(shape) * DTYPE.itemsize
        count = max(2, self.plan.drain_nbytes // nbytes)
        source = allocate((count, *shape), DTYPE)
        source[:] = np.arange(count, dtype=DTYPE)[:, None, None]
        cube = allocate((count, *shape), DTYPE)
        times = self.results.drain
        with ExitStack() as stack:
            sides = {}
            for peer in list(self.peers.values()):
                if "drain" in peer.tasks:
                    try:
                        sides[peer.key] = connected(stack, peer, shape, count + 2)
                    except Exception as error:
                        self._fail(peer, error)
            # The first round maps the memory of all, which is no part of this.
            for repetition in range(-1, self.plan.drain_repeats):
                self._say(f"drain, {count} frames of {nbytes} bytes, {max(0, repetition + 1)}")
                began = time.perf_counter()
                if reference.missing():
                    np.copyto(cube, source)
                else:
                    reference.library().reference_copies(
                        cube.ctypes.data, source.ctypes.data, source.nbytes, 1
                    )
                if repetition >= 0:
                    times[nbytes, "memcpy"].append((time.perf_counter() - began) / count)
                for key, (writer, reader) in sides.items():
                    if key in self.results.failed:
                        continue
                    try:
                        for frame in source:
                            writer.write(frame)
                        cube[:] = 0
                        began = time.perf_counter()
                        got = reader.drain(cube)
                        seconds = time.perf_counter() - began
                        if got != count or not np.array_equal(cube, source):
                            raise RuntimeError(f"{got} of {count} frames, or wrong ones")
                    except Exception as error:
                        self._fail(self.peers[key], error)
                        continue
                    if repetition >= 0:
                        times[nbytes, key].append(seconds / count)

    # -- two processes -------------------------------------------------------------------------

    def together(self, peer: Peer, wait: str) -> None:
        """Run the writer in a second process, and measure latency, live capture, and beside a busy thread."""
        with ExitStack() as stack:
            stack.enter_context(on({self.cores.reader}))
            second = stack.enter_context(Second(peer, SHAPE, DEPTH, wait, self.cores.writer))
            if peer.ring:
                second.tell("lap", DEPTH + 1)
            reader = stack.enter_context(peer.reader(second.channel, SHAPE, DEPTH, wait))
            second.tell("listen")
            if "latency" in peer.tasks and wait in peer.waits:
                delays = self._latencies(second, reader)
                self.results.latency[peer.key, wait].append(delays)
            if wait not in peer.live_waits:
                return
            for rate, count in self.plan.live.items():
                if "live" in peer.tasks and rate <= peer.top_rate:
                    found = self._capture(peer, second, reader, rate, count)
                    self.results.live[peer.key, wait, rate].append(found)
            if "busy" in peer.tasks:
                with on(self.cores.busy), BusyThread() as busy:
                    alone = busy.speed(0.25)
                    found = self._capture(peer, second, reader, 1000.0, self.plan.busy_frames, busy)
                    found.other /= (alone + busy.speed(0.25)) / 2
                self.results.busy[peer.key, wait].append(found)

    def _latencies(self, second: Second, reader: Reader) -> Array:
        """Measure from the call of `write` to the frame in the reader, at 1 kHz."""
        wanted = self.plan.latency_frames + WARM_UP
        second.tell("stamps", wanted + 100, 1000.0)
        rows = reader.latencies(wanted, 0.5)
        second.hear()
        # A reader that misses frames has fewer.
        if len(rows) < 2 * WARM_UP:
            raise RuntimeError(f"only {len(rows)} of {wanted} frames came")
        since = np.where(rows[:, 1:] > 0, rows[:, :1] - rows[:, 1:], 0)
        # Where a reader was so late that the next frame was published before it could look at the stamp.
        overtaken = since[:, 1] < 0
        since[overtaken, 1] = since[overtaken, 0]
        return since[WARM_UP:]

    def _capture(
        self,
        peer: Peer,
        second: Second,
        reader: Reader,
        rate: float,
        count: int,
        busy: BusyThread | None = None,
    ) -> Live:
        """Receive `count` frames, and look at each of them."""
        out = self._cube[:count]
        published = int(count * peer.margin) + 50
        reader.prepare(out)
        second.tell("series", published, rate)
        began, cpu = time.perf_counter(), time.process_time()
        turns = busy.turns if busy else 0
        received = reader.receive(0.5)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        turns = busy.turns - turns if busy else 0
        took = second.hear()
        if busy:
            busy.pause()
        found = account(out[:received], published if received < count else 0, reader.flags())
        found.told = reader.told()
        found.cpu = cpu / seconds
        found.rate = published / took
        found.other = turns / seconds
        return found


def account(frames: Array, published: int, flags: Array | None) -> Live:
    """Find out which frames were delivered, from their pixels.

    Parameters
    ----------
    frames : ndarray, shape (n, *SHAPE)
        Every pixel of frame k is k modulo `STAMPS`; so a gap of more frames than that is taken for a
        smaller one.
    published : int
        Frames that could be received; 0 if that is up to the last one delivered.
    flags : ndarray of bool, shape (n,), optional
        Which of them the peer calls torn.
    """
    if not len(frames):
        return Live(0, published, 0, 0, None if flags is None else 0, None, 0.0, 0.0)
    pixels = frames.reshape(len(frames), -1)
    stamps = pixels[:, 0].astype(np.int64)
    torn = (pixels != pixels[:, :1]).any(axis=1)
    steps = np.diff(stamps, prepend=-1) % STAMPS
    # A few frames back is an old one delivered again, not a gap of nearly all.
    steps[steps > STAMPS - 16] -= STAMPS
    numbers = np.cumsum(steps)
    distinct = len(np.unique(numbers))
    total = published or int(numbers.max())
    return Live(
        received=len(frames),
        lost=total - distinct,
        repeated=len(frames) - distinct,
        torn=int(torn.sum()),
        unflagged=None if flags is None else int((torn & ~flags).sum()),
        told=None,
        cpu=0.0,
        rate=0.0,
    )


class BusyThread:
    """A thread that computes in Python, for the time of a ``with`` block."""

    def __init__(self) -> None:
        self.turns = 0
        self._go = threading.Event()
        self._end = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._end:
            self._go.wait()
            sum(i * i for i in range(500))
            self.turns += 1

    def speed(self, seconds: float) -> float:
        """Let it go, and return its turns a second while nothing else is to be done."""
        self._go.set()
        turns, began = self.turns, time.perf_counter()
        time.sleep(seconds)
        return (self.turns - turns) / (time.perf_counter() - began)

    def pause(self) -> None:
        """Let it rest."""
        self._go.clear()

    def __enter__(self) -> BusyThread:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end = True
        self._go.set()
        self._thread.join()


def connected(
    stack: ExitStack, peer: Peer, shape: tuple[int, int], depth: int
) -> tuple[Writer, Reader]:
    """Open both sides in this process, for as long as the stack lives."""
    wait = peer.waits[0]
    channel = peer.channel(unique(), shape, depth)
    stack.callback(peer.discard, channel)
    writer = stack.enter_context(peer.writer(channel, shape, depth, wait, single=True))
    reader = stack.enter_context(peer.reader(channel, shape, depth, wait))
    writer.listen()
    return writer, reader


def loop(call: Callable[[], object], number: int) -> float:
    """Return the seconds of a call, over `number` of them."""
    began = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - began) / number


def check(found: Array, frame: Array) -> None:
    """Raise if a peer did not deliver what was written."""
    if not np.array_equal(found, frame):
        raise RuntimeError("another frame than the one written")


def state_timer(
    writer: Writer, reader: Reader, frame: Array, target: Array, number: int
) -> Callable[[], dict[str, float]]:
    """Return a measurement of a peer whose newest frame can be read any number of times."""
    kind = type(reader)

    def measure() -> dict[str, float]:
        write, copy, view, into = writer.write, reader.copy, reader.view, reader.into
        found = {"write": loop(lambda: write(frame), number)}
        if offers(kind, "copy") or "copy" in vars(reader):
            found["copy"] = loop(copy, number)
            check(copy(), frame)
        if offers(kind, "view"):
            found["view"] = loop(view, max(number, 300))
            check(view(), frame)
        if offers(kind, "into"):
            target[:] = 0
            found["into"] = loop(lambda: into(target), number)
            check(target, frame)
        return found

    return measure


def queue_timer(
    writer: Writer, reader: Reader, frame: Array, queued: int, number: int
) -> Callable[[], dict[str, float]]:
    """Return a measurement of a peer that hands out each frame once: some are written, then read."""
    calls = {"copy": reader.copy}
    if offers(type(reader), "view"):
        calls["view"] = reader.view
    rounds = max(1, number // queued // len(calls))

    def measure() -> dict[str, float]:
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for name, call in calls.items():
                found["write"].append(loop(lambda: writer.write(frame), queued))
                began = time.perf_counter()
                for _ in range(queued):
                    got = call()
                found[name].append((time.perf_counter() - began) / queued)
                check(got, frame)
        return {name: float(np.mean(values)) for name, values in found.items()}

    return measure
