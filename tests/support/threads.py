"""Everything at once in the threads of one process, on the same handles.

    python -m support.threads --seconds 60 --shape 120x120

Writers, readers, captures, rings, collectors, a recorder, a player, waits and handles that come and go, each
in a thread of its own. Threads of one stream share a handle, and so a mapping: ThreadSanitizer tells memory
by its address (docs/reliability.md says how to run this under it). Frames carry their numbers, so that what
is said of them can be checked. Printed at the end: what each thread did. Exit code 1 if a frame was wrong, a
thread failed, or one did nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pymilk
from pymilk import SHM
from pymilk._core import FLAG_TORN, FLAG_VERIFIED, FRAME_ROW, Stream
from pymilk.bench.frames import SelfCheckingFrame, check_frames
from pymilk.errors import StreamBusyError, StreamClosedError, StreamTimeoutError
from support.paths import SHM_ROOT

DTYPE = np.dtype(np.uint16)
DEPTH = 16
#: Frames that are published at once by a writer that has them ready.
BURST = 8
#: A wait ends by a frame; this long a wait is a failure.
LONG = 60.0

COUNTS = ["rounds", "frames", "lost", "torn", "busy", "wrong"]


class Stage:
    """The streams, and what the threads have in common."""

    def __init__(self, shape: tuple[int, ...], rate: float, folder: Path) -> None:
        self.shape, self.rate, self.folder = shape, rate, folder
        self.end = threading.Event()
        self.errors: list[str] = []
        self.counts: dict[str, Counter[str]] = {}
        first = SelfCheckingFrame(shape, DTYPE).number(1)
        self.plain = SHM("plain", first)
        self.plain.set_keywords({"COUNT": 0})
        self.fast = SHM("fast", first, ring=DEPTH)
        self.temporal = SHM("temporal", first, ring=DEPTH, ring_kind="temporal")

    def close(self) -> None:
        """Let go of the streams."""
        for shm in (self.plain, self.fast, self.temporal):
            shm.destroy()
            shm.close()

    def thread(self, name: str, work: Callable[[Stage, Counter[str]], None]) -> threading.Thread:
        """Make a thread that repeats `work` until the end."""
        counts = self.counts[name] = Counter()

        def run() -> None:
            try:
                while not self.end.is_set():
                    work(self, counts)
                    counts["rounds"] += 1
            except BaseException:
                self.errors.append(f"{name}: {traceback.format_exc()}")
                self.end.set()

        return threading.Thread(target=run, name=name, daemon=True)

    def judge(self, counts: Counter[str], frames: Any, info: Any) -> None:
        """Check frames that follow one another, and their rows."""
        numbers, whole = check_frames(np.ascontiguousarray(frames))
        torn = (info["flags"] & FLAG_TORN) != 0
        counts["frames"] += len(frames)
        counts["lost"] += int(info["lost"].sum())
        counts["torn"] += int(torn.sum())
        counts["wrong"] += int((~torn & ~(whole & (numbers == info["cnt0"]))).sum())
        # What was lost between two frames is told by their numbers.
        counts["wrong"] += int((np.diff(info["cnt0"]) != 1 + info["lost"][1:]).sum())


# -- writers ------------------------------------------------------------------------------------------


def write_one(stage: Stage, shm: SHM, counts: Counter[str]) -> None:
    """Publish frames by each of the ways that there are, at the rate."""
    stream = shm._stream
    frame = SelfCheckingFrame(stage.shape, DTYPE)
    stream.publish(frame.number(stream.counter + 1))
    with shm.claim() as pixels:
        pixels[...] = frame.number(stream.counter + 1)
    shm.set_data(frame.number(stream.counter + 1))
    burst = np.stack([frame.number(stream.counter + 1 + step).copy() for step in range(BURST)])
    stream.publish_many(burst, interval_ns=int(1e9 / stage.rate))
    counts["frames"] += 3 + BURST


def write_plain(stage: Stage, counts: Counter[str]) -> None:
    write_one(stage, stage.plain, counts)


def write_fast(stage: Stage, counts: Counter[str]) -> None:
    write_one(stage, stage.fast, counts)


def write_temporal(stage: Stage, counts: Counter[str]) -> None:
    write_one(stage, stage.temporal, counts)


def play(stage: Stage, counts: Counter[str]) -> None:
    """Play a cube: one thread reads ahead, one publishes."""
    frame = SelfCheckingFrame(stage.shape, DTYPE)
    cube = np.stack([frame.number(number).copy() for number in range(1, 4 * BURST + 1)])
    with pymilk.Player(cube, "played", rate=stage.rate, loop=True, remove=True, force=True) as player:
        with SHM("played") as shm:
            taken = shm.capture(2 * BURST, timeout=LONG)
        published = player.published
    numbers, whole = check_frames(taken.frames)
    torn = (taken.info["flags"] & FLAG_TORN) != 0
    expected = (taken.info["cnt0"] - np.uint64(1)) % np.uint64(len(cube)) + np.uint64(1)
    counts["frames"] += len(numbers)
    counts["wrong"] += int((~torn & ~(whole & (numbers == expected))).sum())
    # A frame is out before the player counts it.
    counts["wrong"] += player.report.published < published or published + 1 < len(numbers)


# -- readers of the handle that everybody uses ----------------------------------------------------------


def read(stage: Stage, counts: Counter[str]) -> None:
    """Copy whatever is there, into new memory and into memory of ours."""
    for shm in (stage.plain, stage.fast):
        pixels, flags, number = shm._stream.read()
        numbers, whole = check_frames(pixels[np.newaxis])
        counts["frames"] += 1
        if flags & FLAG_VERIFIED:
            counts["wrong"] += not (whole[0] and numbers[0] == number)
        out = np.empty(stage.shape, DTYPE)
        shm.get_data(out=out)
        shm.get_data(copy=False)


def wait_for_frames(stage: Stage, counts: Counter[str]) -> None:
    """Wait as two threads do: one of them is told that the other one waits."""
    try:
        pixels = stage.plain.get_data(check=True, timeout=LONG)
        counts["frames"] += 1
        assert pixels.shape == stage.shape
    except StreamBusyError:
        counts["busy"] += 1
        time.sleep(0.001)


def wait_any(stage: Stage, counts: Counter[str]) -> None:
    with stage.fast.ring_reader() as ring, stage.plain.ring_reader(DEPTH) as collector:
        for _ in range(4):
            ready = pymilk.wait_any([ring, collector, stage.temporal._stream], LONG)
            counts["wrong"] += not ready
            for each, index in ((ring, 0), (collector, 1)):
                if index in ready:
                    taken = each.read(1, timeout=LONG)
                    stage.judge(counts, taken.frames, taken.info)


def capture(stage: Stage, counts: Counter[str]) -> None:
    """Capture beside one that is stopped in the middle."""
    for shm in (stage.plain, stage.fast, stage.temporal):
        other = shm.capture(1_000_000 // shm._stream.nbytes + 2, timeout=LONG, background=True)
        taken = shm.capture(BURST, timeout=LONG)
        other.stop()
        stage.judge(counts, taken.frames, taken.info)
        with contextlib.suppress(StreamClosedError):
            other.join()
        stage.judge(counts, other.frames, other.info)


def capture_many(stage: Stage, counts: Counter[str]) -> None:
    taken = pymilk.capture_many(
        [stage.plain, stage.fast, stage.temporal], BURST, timeout=LONG, background=True
    )
    while not taken.done and not stage.end.is_set():
        counts["asked"] += len(str(taken.report)) > 0
        time.sleep(0.001)
    for each in taken.join().values():
        stage.judge(counts, each.frames, each.info)


def collect(stage: Stage, counts: Counter[str]) -> None:
    """Read a collector that never waits for its reader: some of the time it is overrun."""
    with stage.plain.ring_reader(4) as ring:
        for _ in range(BURST):
            taken = ring.read(3, timeout=LONG)
            stage.judge(counts, taken.frames, taken.info)
        newest = ring.latest()
        counts["wrong"] += newest is not None and newest.shape != stage.shape
        dump = ring.dump(frames=2)
        stage.judge(counts, dump.frames, dump.info)
        counts["wrong"] += ring.report.received < 3 * BURST


def blocks(stage: Stage, counts: Counter[str]) -> None:
    """Look at frames in place in each kind of ring."""
    for shm, source in ((stage.fast, "auto"), (stage.temporal, "auto"), (stage.plain, "collector")):
        with shm.ring_reader(DEPTH, source=source) as ring:
            for number, block in enumerate(ring.blocks(4, timeout=LONG)):
                frames = np.array(block.frames)
                rows = block.info.copy()
                rows["flags"][: block.overwritten] |= FLAG_TORN
                stage.judge(counts, frames, rows)
                if number == BURST:
                    break


def record(stage: Stage, counts: Counter[str]) -> None:
    path = stage.folder / "recorded.npy"
    recorder = pymilk.Recorder(stage.plain, path, frames=4 * BURST, force=True, depth=64).start()
    while recorder.running and not stage.end.is_set():
        counts["asked"] += len(str(recorder.report)) > 0
        time.sleep(0.001)
    recorder.stop()
    taken = pymilk.load(path)
    stage.judge(counts, np.asarray(taken.frames), taken.info)


# -- handles that come and go ---------------------------------------------------------------------------


def come_and_go(stage: Stage, counts: Counter[str]) -> None:
    for name in ("plain", "fast", "temporal"):
        with Stream.attach(name) as stream:
            reader = stream.reader()
            receive(stage, counts, reader)
            reader.close()
        # A reader of the handle that everybody uses.
        shared = getattr(stage, name)._stream.reader()
        receive(stage, counts, shared)
        shared.close()


def receive(stage: Stage, counts: Counter[str], reader: Any) -> None:
    frames, info = np.zeros((2, *stage.shape), DTYPE), np.zeros(2, FRAME_ROW)
    reader.receive(frames, info, timeout=LONG)
    stage.judge(counts, frames, info)


def close_under(stage: Stage, counts: Counter[str]) -> None:
    """Close a handle, and a reader, under threads that wait on them."""
    shm = SHM("idle", ((4, 4), DTYPE))
    reader = shm._stream.reader()
    ring = shm.ring_reader(4)
    waits: list[Callable[[], object]] = [
        lambda: shm.get_data(check=True, timeout=LONG),
        lambda: reader.wait(LONG),
        lambda: ring.read(1, timeout=LONG),
        lambda: shm.capture(2, timeout=LONG),
    ]
    ended: list[BaseException] = []

    def wait(call: Callable[[], object]) -> None:
        try:
            call()
        except (StreamClosedError, StreamTimeoutError) as error:
            ended.append(error)

    threads = [threading.Thread(target=wait, args=(call,)) for call in waits]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    reader.stop()
    ring.close()
    shm.close()
    for thread in threads:
        thread.join(LONG)
    counts["wrong"] += any(thread.is_alive() for thread in threads)
    counts["wrong"] += any(isinstance(error, StreamTimeoutError) for error in ended)
    with contextlib.suppress(StreamBusyError):
        reader.close()


def make_and_remove(stage: Stage, counts: Counter[str]) -> None:
    with SHM("short", (stage.shape, DTYPE), ring=DEPTH) as shm:
        view = shm.get_data(copy=False)
        shm.set_data(np.ones(stage.shape, DTYPE))
        shm.destroy()
    counts["wrong"] += not (view == 1).all()


# -- what is not frames -----------------------------------------------------------------------------------


def keywords(stage: Stage, counts: Counter[str]) -> None:
    number = counts["rounds"]
    stage.plain.update_keyword("COUNT", number, "of rounds")
    (found,) = stage.plain._stream.read_keywords()
    counts["wrong"] += (found.name, found.value, found.comment) != ("COUNT", number, "of rounds")
    time.sleep(0.001)


def describe(stage: Stage, counts: Counter[str]) -> None:
    for shm in (stage.plain, stage.fast, stage.temporal):
        before = shm.get_counter()
        _ = shm.mtdata, shm._stream.sem_values(), shm._stream.write, repr(shm), shm._stream.damaged
        counts["wrong"] += shm.get_counter() < before
    counts["wrong"] += len(pymilk.list_streams()) < 3


#: Two of a kind share the handle, the reader of it, or the ring of memory blocks that are kept.
ACTORS: list[Callable[[Stage, Counter[str]], None]] = [
    write_plain, write_fast, write_temporal, play, read, read, wait_for_frames, wait_for_frames, wait_any,
    capture, capture_many, collect, blocks, record, come_and_go, come_and_go, close_under, make_and_remove,
    keywords, describe,
]


def run(seconds: float, shape: tuple[int, ...], rate: float, least: int = 1) -> tuple[str, list[str]]:
    """Run all threads for a time, and until each has done `least` rounds.

    Streams and files go to MILK_SHM_DIR. Returns a table of what was done, and what is wrong.
    """
    folder = Path(os.environ["MILK_SHM_DIR"])
    stage = Stage(shape, rate, folder)
    try:
        names = [f"{work.__name__}-{number}" for number, work in enumerate(ACTORS)]
        threads = [stage.thread(name, work) for name, work in zip(names, ACTORS, strict=True)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until + LONG and not stage.end.is_set():
            stage.end.wait(0.02)
            if time.monotonic() >= until and all(each["rounds"] >= least for each in stage.counts.values()):
                break
        stage.end.set()
        last = SelfCheckingFrame(shape, DTYPE)
        writers, others = threads[:3], threads[3:]
        for thread in writers:
            thread.join(LONG)
        while any(thread.is_alive() for thread in others) and time.monotonic() < until + 2 * LONG:
            # For those that still wait for a frame.
            for shm in (stage.plain, stage.fast, stage.temporal):
                shm.set_data(last.number(shm.get_counter() + 1))
            time.sleep(1 / rate)
        wrong = list(stage.errors)
        wrong += [f"{thread.name} did not end" for thread in threads if thread.is_alive()]
    finally:
        stage.close()
    for name, counts in stage.counts.items():
        if counts["wrong"]:
            wrong.append(f"{name}: {counts['wrong']} times something else than it should be")
        if counts["rounds"] < least and not stage.errors:
            wrong.append(f"{name}: {counts['rounds']} rounds")
    return table(stage.counts), wrong


def table(counts: dict[str, Counter[str]]) -> str:
    lines = ["thread".ljust(20) + "".join(name.rjust(10) for name in COUNTS)]
    for name, each in counts.items():
        lines.append(name.ljust(20) + "".join(str(each[count]).rjust(10) for count in COUNTS))
    return "\n".join(lines)


def main() -> int:
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--shape", default="120x120", help="of a frame of uint16 (default %(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="frames per second (default %(default)s)")
    options = parser.parse_args()
    shape = tuple(int(n) for n in options.shape.split("x"))
    with tempfile.TemporaryDirectory(prefix="pymilk-threads-", dir=SHM_ROOT) as folder:
        os.environ["MILK_SHM_DIR"] = folder
        said, wrong = run(options.seconds, shape, options.rate)
    print(said)
    for each in wrong:
        print(f"WRONG: {each}")
    print("nothing wrong" if not wrong else f"{len(wrong)} threads")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
