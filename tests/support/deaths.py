"""What is killed at each step, and what has to be right afterwards. Run by the tests of deaths."""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pymilk import SHM, Recorder, find_stale, list_streams, load, remove_stale, save
from pymilk._core import FLAG_TORN, FLAG_VERIFIED, FRAME_ROW, IMAGETYPES, Stream
from pymilk.errors import (
    StreamError,
    StreamFormatError,
    StreamInUseWarning,
    StreamNotFoundError,
    StreamReplacedError,
    StreamTimeoutError,
)
from pymilk.inspection import remove_stream
from pymilk.recording import job
from pymilk.recording.sinks import Sink, sink_of
from support.killing import count_deaths, kill_at_each_call, kill_at_each_change, kill_at_each_store

FRAME = (2, 2)
#: Frames that were published in peace; they hold their numbers.
BEFORE = 7
#: What is added to the number by the writer that is killed, and by the one that goes on.
KILLED, AFTER = 100, 200
#: A wait of a few milliseconds ends within this, on any machine.
SOON = 20.0

KINDS: dict[str, dict[str, Any]] = {
    "plain": {"shape": FRAME},
    "keywords": {"shape": FRAME, "nbkw": 4},
    "fast": {"shape": FRAME, "cb_size": 3},
    "temporal": {
        "shape": (3, *FRAME),
        "imagetype": IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"],
    },
}


def frame(value: int) -> Any:
    return np.full(FRAME, value, np.uint16)


def claim(stream: Stream) -> None:
    with stream.claim() as pixels:
        pixels[...] = KILLED + BEFORE + 1


WRITES: dict[str, Callable[[Any], Any]] = {
    "publish": lambda given: given[0].publish(given[1][0]),
    "claim": lambda given: claim(given[0]),
    "publish_many": lambda given: given[0].publish_many(given[1]),
}


def prepared_writer() -> tuple[Stream, Any]:
    """Attach as a writer that has its lock already, with its frames ready."""
    return Stream.attach("cam", exclusive=True), np.array([frame(KILLED + BEFORE + k) for k in (1, 2)])


class Peace:
    """A stream as it was before each death: its bytes, put back each time."""

    def __init__(self, published: int = BEFORE, **what: Any) -> None:
        self.stream = Stream.create("cam", dtype=np.uint16, nbsem=2, **{"nbkw": 0, **what})
        for number in range(1, published + 1):
            self.stream.publish(frame(number))
        with open(self.stream.path, "r+b") as file:
            self._file = mmap.mmap(file.fileno(), 0)
        self.keep()

    def contents(self) -> bytes:
        return self._file[:]

    def keep(self) -> None:
        self._bytes = self.contents()

    def restore(self) -> None:
        self._file[:] = self._bytes


def waited(call: Callable[[], Any]) -> Any:
    """Return what a wait returns or raises, if it ended in time."""
    began = time.monotonic()
    try:
        return call()
    except StreamError as error:
        assert str(error), "it says why"
        return error
    finally:
        assert time.monotonic() - began < SOON


def check_frame(pixels: Any, number: int, dead: int) -> None:
    """Check a frame that passes for whole; `dead` is the number that was reached at the death."""
    expected = number if number <= BEFORE else number + (KILLED if number <= dead else AFTER)
    assert (pixels == expected).all(), (pixels, number, expected)


def check_ring(ring: Any, last: int, dead: int) -> int:
    """Read what is in a ring; returns the number of the newest frame that it gave."""
    while (lag := ring.lag) > 0:
        got = ring.read(lag, timeout=1.0)
        for pixels, row in zip(got.frames, got.info, strict=True):
            assert row["cnt0"] == last + 1 + row["lost"]
            last = int(row["cnt0"])
            check_frame(pixels, last, dead)
    return last


def writes(kind: str, how: str, every: int, first: int) -> Iterator[int]:
    """Kill a writer in a frame, and look at what readers see, before and after another one goes on."""
    peace = Peace(**KINDS[kind])
    for stores in kill_at_each_store(prepared_writer, WRITES[how], peace.contents, every, first):
        yield stores
        with contextlib.ExitStack() as stack:
            reader = stack.enter_context(Stream.attach("cam"))
            torn = reader.write == 1
            dead = reader.counter
            assert BEFORE <= dead <= BEFORE + 2
            said = waited(partial(reader.wait, 0.002, after=BEFORE))
            assert said == dead if dead > BEFORE else isinstance(said, StreamTimeoutError), said
            pixels, flags, number = reader.read()
            assert flags & (FLAG_VERIFIED | FLAG_TORN)
            # A slice of a ring is whole whatever becomes of its writer.
            assert bool(flags & FLAG_TORN) == (torn and kind != "temporal")
            if flags & FLAG_VERIFIED:
                check_frame(pixels, number, dead)
            ring = None
            if kind != "plain":
                shm = stack.enter_context(SHM("cam"))
                ring = stack.enter_context(shm.ring_reader(start="oldest"))
            # Another writer goes on, exclusively: the lock is gone with its holder.
            inode = reader.inode
            writer = stack.enter_context(Stream.attach("cam", exclusive=True))
            last = dead
            if ring is not None:
                last = check_ring(ring, int(ring.peek(1).info["cnt0"][0]) - 1 if ring.lag else dead, dead)
                assert last == dead
            for number in range(dead + 1, dead + 5):
                assert writer.publish(frame(AFTER + number)) == number
                assert reader.wait(SOON, after=number - 1) == number
                pixels, flags, seen = reader.read()
                assert (seen, flags & FLAG_VERIFIED) == (number, FLAG_VERIFIED)
                check_frame(pixels, number, dead)
                if ring is not None:
                    last = check_ring(ring, last, dead)
                    assert last == number or number == dead + 1
            assert (reader.write, reader.inode, os.stat(reader.path).st_ino) == (0, inode, inode)
            assert max(reader.sem_values()) <= 11
        peace.restore()


def take_semaphore(stream: Stream) -> None:
    assert stream.sem_index is not None
    stream.close()


def wait_for_frame(stream: Stream) -> None:
    with contextlib.suppress(StreamTimeoutError):
        stream.wait(0.0001, after=BEFORE)
    stream.close()


def semaphores(how: str, every: int, first: int) -> Iterator[int]:
    """Kill a reader that takes a semaphore, may wait with it, and gives it back."""
    peace = Peace(**KINDS["plain"])
    act = {"take": take_semaphore, "wait": wait_for_frame}[how]
    for stores in kill_at_each_store(lambda: Stream.attach("cam"), act, peace.contents, every, first):
        yield stores
        with Stream.attach("cam") as one, Stream.attach("cam") as two, Stream.attach("cam") as writer:
            assert {one.sem_index, two.sem_index} == {0, 1}
            writer.publish(frame(AFTER + BEFORE + 1))
            for reader in (one, two):
                assert reader.sem_wait(reader.sem_index, SOON)
        peace.restore()


#: Of one word each, like numbers: a longer value or comment may be found half changed.
OLD = [("A", 1, "old"), ("B", 1.5, "old"), ("C", "old", "old")]
NEW = [("A", 2, "new"), ("B", 2.5, "new"), ("C", "new", "new"), ("D", 4, "new")]


def keywords(every: int, first: int) -> Iterator[int]:
    """Kill a writer of keywords: each of them is the old one or the new one, and frames do not suffer."""
    peace = Peace(**KINDS["keywords"])
    peace.stream.write_keywords(OLD)
    peace.keep()

    def act(stream: Stream) -> None:
        stream.write_keywords(NEW)

    for stores in kill_at_each_store(lambda: Stream.attach("cam"), act, peace.contents, every, first):
        yield stores
        with Stream.attach("cam") as stream:
            there = stream.read_keywords()
            assert len(there) >= len(OLD)
            for number, found in enumerate(there):
                name, value, _ = NEW[number]
                assert found.name == name
                # A new one has a name first, and then a value.
                before = OLD[number][1] if number < len(OLD) else None
                assert found.value in (before, value), (stores, found)
            pixels, flags, number = stream.read()
            assert flags & FLAG_VERIFIED
            check_frame(pixels, number, BEFORE)
            stream.write_keywords(NEW)
            assert [found[:3] for found in stream.read_keywords()] == NEW
            assert stream.publish(frame(AFTER)) == BEFORE + 1
        peace.restore()


HEADER: dict[str, Any] = {
    "pymilk": "1", "stream": "cam", "dtype": "uint16", "shape": [2, 2], "stream_shape": [2, 2],
    "axes": "frames[k, y, x]", "symcode": 4, "tri_dim": 0, "squeeze": True, "clock": "CLOCK_TAI",
    "tai_offset": 0, "started_ns": 1, "first_ns": 1, "frames": 0, "lost": 0, "ended": "running",
    "part": None, "keywords": [], "complete": False,
}  # fmt: skip


#: Sizes that are made small, so that few frames fill pieces, chunks and batches.
SMALL = {
    "npy": {"_PIECE_NBYTES": 24, "_BATCH_NBYTES": 24, "WRITE_NBYTES": 16},
    "fits": {"_BATCH_NBYTES": 24, "WRITE_NBYTES": 16, "_TURN_NBYTES": 16},
    "fits_file": {"_TABLE_ROWS": 4},
    "fits_packed": {"_PACKED_NBYTES": 24, "_ROWS": 64, "_PIECE_ROWS": 4},
    "hdf5": {"_CHUNK_NBYTES": 24, "_PACKED_NBYTES": 24, "_CHUNK_ROWS": 4, "_RESERVE_NBYTES": 4096},
    "zarr": {"_CHUNK_NBYTES": 24},
}


def made_small(path: str, compress: bool | str = False) -> type[Sink]:
    """Return the class of a format, which writes three frames of ours at a time."""
    sink = sink_of(path, compress)
    for format_name, sizes in SMALL.items():
        if (module := sys.modules.get(f"pymilk.recording.sinks.{format_name}")) is not None:
            for name, value in sizes.items():
                assert hasattr(module, name)
                setattr(module, name, value)
    # Libraries are imported once, and not by each victim.
    sink.check(FRAME, np.dtype(np.uint16), compress)
    return sink


def alone(check: Callable[[], None]) -> None:
    """Do something in a child: libraries have threads and open files, which no victim is to inherit."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def hidden_in(folder: str) -> list[str]:
    """Find what was not finished, in a folder and those in it."""
    found = []
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            if name.startswith(".pymilk."):
                found.append(os.path.join(place, name))
        folders[:] = [name for name in folders if not name.startswith(".pymilk.")]
    return found


def numbers_of(path: str, committed: int) -> list[int]:
    """Read a recording as a death has left it; returns the numbers of its frames.

    Each frame has its row, and is the one that the row says. None that was committed is missing; where none
    was, the file may be refused.
    """
    try:
        with load(path) as found:
            frames, numbers = np.asarray(found.frames), found.info["cnt0"].tolist()
            complete = found.complete
            assert len(found.info) == len(frames)
            assert found.header["stream"] == "cam"
            assert not complete or found.header["frames"] == len(frames)
    except (StreamNotFoundError, StreamFormatError):
        assert committed == 0
        return []
    assert (frames == np.array(numbers).reshape(-1, 1, 1)).all(), (frames, numbers)
    assert numbers == list(range(1, len(frames) + 1))
    assert len(frames) >= committed, (len(frames), committed)
    assert len(frames) == BEFORE or not complete
    return numbers


def packing_of(kind: str) -> tuple[str, bool | str]:
    """Split ``h5``, or ``h5+fast``, into the suffix and how frames are compressed.

    With ``+hurried`` chunks that are full are not, since there is no time.
    """
    suffix, _, packed = kind.partition("+")
    if packed and suffix != "fits":
        # Once, and not by each victim: it makes a semaphore, and a victim that dies there leaves it.
        importlib.import_module("numcodecs").Blosc().encode(bytes(64))
    return suffix, {"": False, "compress": True, "hurried": "fast"}.get(packed, packed)


def recordings(kind: str, which: str, every: int, first: int) -> Iterator[int]:
    """Kill one who writes a file of frames: what was committed can be read, with its rows."""
    folder = os.environ["MILK_SHM_DIR"]
    suffix, compress = packing_of(kind)
    path = os.path.join(folder, f"cam.{suffix}")
    sink = made_small(path, compress)
    committed = mmap.mmap(-1, mmap.PAGESIZE)

    def act(given: Any) -> None:
        file = sink(path, FRAME, np.dtype(np.uint16), HEADER, compress=compress)
        file.hurried = kind.endswith("+hurried")
        for number in range(1, BEFORE + 1):
            file.room(1)[0] = frame(number)
            row = np.zeros(1, FRAME_ROW)
            row["cnt0"] = row["arrival_ns"] = number
            file.commit(row)
            file.flush()
            committed[0] = number
        file.finish({**HEADER, "frames": BEFORE, "ended": "frames", "complete": True})

    def check() -> None:
        numbers_of(path, committed[0])
        # At most one file under a name of its own; whoever records there next removes it.
        left = hidden_in(folder)
        assert len(left) <= 1, left
        for each in left:
            os.utime(each, (0, 0))
        sink.remove(path)
        sink(path, FRAME, np.dtype(np.uint16), HEADER).close()
        assert not hidden_in(folder)
        sink.remove(path)

    kill = kill_at_each_call if which == "calls" else kill_at_each_change
    for stops in kill(lambda: None, act, every, first):
        yield stops if isinstance(stops, int) else stops[0]
        alone(check)
        committed[0] = 0


def saves(kind: str, every: int, first: int) -> Iterator[int]:
    """Kill one who saves a capture: the file has the first of its frames, or is not there."""
    folder = os.environ["MILK_SHM_DIR"]
    suffix, compress = packing_of(kind)
    path = os.path.join(folder, f"cam.{suffix}")
    sink = made_small(path, compress)
    peace = Peace(BEFORE, shape=FRAME, cb_size=8)
    with SHM("cam") as shm, shm.ring_reader(start="oldest") as ring:
        capture = ring.read(BEFORE, timeout=SOON)

    def check() -> None:
        numbers_of(path, 0)
        assert len(hidden_in(folder)) <= 1
        for each in hidden_in(folder):
            os.utime(each, (0, 0))
        save(capture, path, force=True, compress=compress)
        assert len(numbers_of(path, BEFORE)) == BEFORE
        assert not hidden_in(folder)
        sink.remove(path)
        assert os.listdir(folder) == ["cam.im.shm"]

    def act(given: Any) -> None:
        save(capture, path, compress=compress)

    for stops, _ in kill_at_each_change(lambda: None, act, every, first):
        yield stops
        alone(check)
    peace.stream.close()


def counted(sink: type[Sink], committed: Any, synced: bool = False) -> None:
    """Have a format say how many frames were promised to outlive the process."""
    flushes = sink.flush is not Sink.flush
    name = "flush" if flushes else "commit"
    method = getattr(sink, name)

    def noted(self: Sink, *args: Any) -> None:
        before = self.written
        method(self, *args)
        committed[0] += self.written - before

    def reached(self: Sink) -> None:
        sync(self)
        committed[0] = self.written

    if synced:
        sync = sink.sync
        sink.sync = reached  # type: ignore[method-assign]
    else:
        setattr(sink, name, noted)


#: How a recorder is used: a stream with a ring or one that needs a collector, options, and whether it is
#: stopped rather than ending by itself. Of the collector's thread, which writes no file, any call counts.
RECORDERS: dict[str, tuple[int, dict[str, Any], bool]] = {
    "ring": (8, {"start": "oldest", "frames": BEFORE}, False),
    "series": (8, {"start": "oldest", "frames": BEFORE, "max_frames_per_file": 3}, False),
    "stopped": (8, {"start": "oldest"}, True),
    "collector": (0, {"depth": 8}, True),
    "direct and synced": (8, {"start": "oldest", "frames": BEFORE, "direct": True, "sync": "second"}, False),
}


def recorders(kind: str, how: str, every: int, first: int) -> Iterator[int]:
    """Kill a recorder, with all of its threads: its file, its semaphore, and the next recorder."""
    folder = os.environ["MILK_SHM_DIR"]
    suffix, compress = packing_of(kind)
    path = os.path.join(folder, f"cam.{suffix}")
    slots, options, stopped = RECORDERS[how]
    sink = made_small(path, compress)
    sink.flush_seconds = 0.0
    job._BATCH_NBYTES = 16  # two frames
    committed = mmap.mmap(-1, mmap.PAGESIZE)

    def prepare() -> Any:
        counted(sink, committed, "sync" in options)
        return Stream.attach("cam") if how == "collector" else None

    def act(writer: Stream | None) -> None:
        with Recorder("cam", path, compress=compress, **options) as recording:
            if writer is not None:
                for number in range(1, BEFORE + 1):
                    writer.publish(frame(number))
                    while recording.report.recorded < number:
                        time.sleep(0.0005)
            while stopped and recording.report.recorded < BEFORE:
                time.sleep(0.0005)
            if not stopped:
                recording.wait()
        assert recording.report.complete

    def check() -> None:
        numbers_of(path, committed[0])
        assert len(hidden_in(folder)) <= 1
        for each in hidden_in(folder):
            os.utime(each, (0, 0))
        # What it held comes back, and nothing of it is in the way of the next one.
        with Stream.attach("cam") as one, Stream.attach("cam") as two:
            assert {one.sem_index, two.sem_index} == {0, 1}
        with Recorder("cam", path, force=True, frames=1) as recording, Stream.attach("cam") as writer:
            number = writer.publish(frame(AFTER))
            recording.wait(SOON)
        with load(path) as found:
            assert (np.asarray(found.frames) == AFTER).all()
            assert found.info["cnt0"].tolist() == [number]
            assert found.complete
        assert not hidden_in(folder)
        sink.remove(path)
        left = [each for each in os.listdir(folder) if each != "cam.im.shm"]
        assert not left, left

    peace = Peace(BEFORE if slots else 0, shape=FRAME, cb_size=slots)
    others = 0
    for stops, stop in kill_at_each_change(prepare, act, every, first, any_call=how == "collector"):
        yield stops
        alone(check)
        committed[0] = 0
        peace.restore()
        others += not stop.main
    assert others or every > 50, "threads were not followed"


def make_again(exist_ok: bool = True) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StreamInUseWarning)  # it belongs to the process that looks on
        Stream.create("cam", FRAME, np.uint16, nbkw=0, nbsem=2, exist_ok=exist_ok)


def calls(how: str, every: int, first: int) -> Iterator[int]:
    """Kill a process that makes, replaces or deletes a stream, at each system call."""
    act: Callable[[Any], Any]
    act = {
        "create": lambda given: make_again(),
        "create_new": lambda given: make_again(exist_ok=False),
        "replace": lambda given: make_again(),
        "close": lambda given: given.close(),
        "destroy": lambda given: given.destroy(),
        "rm": lambda given: remove_stream("cam", force=True),
    }[how]
    there = not how.startswith("create")

    def prepare() -> Stream | None:
        if not there:
            return None
        stream = Stream.attach("cam")
        assert stream.sem_index is not None
        return stream

    def peace() -> tuple[Stream | None, int]:
        if not there:
            with contextlib.suppress(StreamNotFoundError):
                Stream.attach("cam").destroy()
            return None, 0
        old = Stream.create("cam", FRAME, np.uint16, nbkw=0, nbsem=2)
        old.publish(frame(1))
        return old, old.inode

    old, inode = peace()
    for stops in kill_at_each_call(prepare, act, every, first):
        yield stops
        streams = list_streams()
        # All of it is there, or nothing.
        assert not [entry for entry in streams if "error" in entry], streams
        assert how not in ("replace", "close") or len(streams) == 1
        if streams:
            with Stream.attach("cam") as found:
                assert found.shape == FRAME
        left = [entry for entry in os.listdir(os.environ["MILK_SHM_DIR"]) if entry.startswith(".")]
        assert len(left) <= 1
        if old is not None:
            said = waited(partial(old.wait, 0.002, after=1))
            if streams and streams[0]["inode"] != inode:
                assert isinstance(said, StreamReplacedError), said
            else:
                assert isinstance(said, StreamTimeoutError), said
                assert ("deleted" in str(said)) == (not streams)
            pixels, flags, _ = old.read()
            assert flags & FLAG_VERIFIED
            assert (pixels == 1).all()
            old.close()
        assert len(find_stale()) == len(left)
        if stops % 2:
            remove_stale()
        else:
            make_again()  # removes what was left, too
            with Stream.attach("cam") as found:
                assert found.sem_index is not None
                assert found.publish(frame(9)) == found.counter
        assert not [entry for entry in os.listdir(os.environ["MILK_SHM_DIR"]) if entry.startswith(".")]
        old, inode = peace()


def main() -> None:
    """Do what the arguments say, and count the deaths."""
    what, *rest = sys.argv[1:]
    how, (every, first) = rest[:-2], (int(number) for number in rest[-2:])
    kinds: dict[str, Callable[..., Iterator[int]]] = {
        "writes": writes,
        "semaphores": semaphores,
        "keywords": keywords,
        "calls": calls,
        "recordings": recordings,
        "recorders": recorders,
        "saves": saves,
    }
    count_deaths(lambda: kinds[what](*how, every, first))
