"""Crowds: many readers, many writers, many creators, many streams, many times; and nothing is left over."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, list_streams
from pymilk._core import FLAG_VERIFIED, FRAME_ROW, Stream
from pymilk.errors import (
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamLockedError,
    StreamNotFoundError,
    StreamTimeoutError,
)

SHAPE = (16, 16)

PRELUDE = """
import os, sys, time
import numpy as np
from pymilk import SHM
from pymilk._core import FLAG_TORN, FLAG_VERIFIED, FRAME_ROW, Stream
from pymilk.errors import StreamError

def say(*words):
    print(*words, flush=True)

"""

# -- one writer, many readers -------------------------------------------------------------------------

READER = (
    PRELUDE
    + """
last = int(sys.argv[1])
stream = Stream.attach("cam")
reader = stream.reader()
assert reader.arm() == 0
frames, info = np.zeros((1, 16, 16), np.uint32), np.zeros(1, FRAME_ROW)
say("ready")
received = lost = torn = seen = 0
while seen < last:
    reader.receive(frames, info, after=seen, timeout=60)
    (row,) = info
    number = int(row["cnt0"])
    assert number == seen + 1 + row["lost"], (number, seen, row)
    seen = number
    received += 1
    lost += int(row["lost"])
    if row["flags"] & FLAG_TORN:
        torn += 1
    else:
        assert row["flags"] & FLAG_VERIFIED
        assert (frames == number).all(), number
say(received, lost, torn)
"""
)


def one_writer_many_readers(spawn: Any, make_stream: Any, readers: int, frames: int, rate: int) -> None:
    stream = make_stream("cam", SHAPE, np.uint32)
    crowd = [spawn(READER, frames) for _ in range(readers)]
    for child in crowd:
        child.expect("ready")
    cube = np.empty((frames, *SHAPE), np.uint32)
    cube[:] = np.arange(1, frames + 1)[:, None, None]
    stream.publish_many(cube, interval_ns=1_000_000_000 // rate)
    accounts = [[int(word) for word in child.hear().split()] for child in crowd]
    for child in crowd:
        assert child.finish() == (0, "", "")
    for received, lost, torn in accounts:
        assert received + lost == frames
        assert received >= 1
        assert torn <= received
    print(f"\n{readers} readers, {frames} frames at {rate} Hz: lost", sorted(lost for _, lost, _ in accounts))


def test_one_writer_and_some_readers(spawn, make_stream):
    """More readers than semaphores would need more processes than a short test can start."""
    one_writer_many_readers(spawn, make_stream, 4, 400, 2000)


@pytest.mark.stress
def test_one_writer_and_32_readers(spawn, make_stream):
    """10 of them sleep on a semaphore each, 22 watch the counter."""
    one_writer_many_readers(spawn, make_stream, 32, 4000, 1000)


# -- many writers -------------------------------------------------------------------------------------

WRITER = (
    PRELUDE
    + """
number, frames = int(sys.argv[1]), int(sys.argv[2])
stream = Stream.attach("cam")
cube = np.full((1, 64, 64), number, np.uint32)
say("ready")
sys.stdin.readline()
say(stream.publish_many(cube, frames) >= frames)
"""
)


def many_writers(spawn: Any, make_stream: Any, frames: int, **how: Any) -> None:
    stream = make_stream("cam", (64, 64), np.uint32, **how)
    begin = Path(stream.path).read_bytes()[:112]  # version and name, which no frame changes
    size = os.stat(stream.path).st_size
    crowd = [spawn(WRITER, number, frames) for number in range(1, 5)]
    for child in crowd:
        child.expect("ready")
    for child in crowd:
        child.tell()
    last = checked = mixed = 0
    while last < 4 * frames:
        pixels, flags, last = stream.read()
        # A writer that ends its frame says so for another one that is still in its own: a reader cannot see
        # that pixels of two are mixed. They are pixels of writers, and nothing else.
        kinds = set(np.unique(pixels))
        assert kinds <= {0, 1, 2, 3, 4}
        checked += bool(flags & FLAG_VERIFIED)
        mixed += bool(flags & FLAG_VERIFIED) and len(kinds) > 1
    for child in crowd:
        child.expect("True")
        assert child.finish() == (0, "", "")
    assert stream.counter == 4 * frames  # no count is lost
    assert stream.write == 0
    assert Path(stream.path).read_bytes()[:112] == begin
    assert os.stat(stream.path).st_size == size
    assert max(stream.sem_values()) <= 13  # the cap of 10, and one more for each other writer
    assert stream.cb_index < max(1, stream.cb_size)
    with Stream.attach("cam") as again:  # the whole header is checked
        assert again.read()[2] == 4 * frames
    # One writer alone: everything is verified again.
    stream.publish(np.full((64, 64), 9, np.uint32))
    pixels, flags, _ = stream.read()
    assert flags & FLAG_VERIFIED
    assert (pixels == 9).all()
    print(f"\n{checked} of the reads among 4 writers were verified, and {mixed} of these mixed all the same")


@pytest.mark.parametrize("how", [{}, {"cb_size": 5}], ids=["plain", "fast"])
def test_four_writers(spawn, make_stream, how):
    many_writers(spawn, make_stream, 200, **how)


@pytest.mark.stress
@pytest.mark.parametrize("how", [{}, {"cb_size": 5}], ids=["plain", "fast"])
def test_four_writers_for_long(spawn, make_stream, how):
    many_writers(spawn, make_stream, 100_000, **how)


# -- storms -------------------------------------------------------------------------------------------

STORM = (
    PRELUDE
    + """
from collections import Counter
seconds, number = float(sys.argv[1]), int(sys.argv[2])
say("ready")
sys.stdin.readline()
done, refused = Counter(), Counter()
rng = np.random.default_rng(number)
end = time.monotonic() + seconds
while time.monotonic() < end:
    what = rng.choice(["create", "new", "attach", "destroy", "exclusive"])
    try:
        if what in ("create", "new"):
            stream = Stream.create("cam", (8, 8), np.uint16, nbkw=1, exist_ok=what == "create")
        else:
            stream = Stream.attach("cam", exclusive=what == "exclusive")
        with stream:
            stream.publish(np.full((8, 8), number, np.uint16))
            pixels, flags, _ = stream.read()
            assert set(np.unique(pixels)) <= set(range(9)), pixels
            if what == "destroy":
                stream.destroy()
        done[what] += 1
    except StreamError as error:
        refused[type(error).__name__] += 1
say(sum(done.values()), len(done))
say(*sorted(refused))
"""
)

#: What somebody may be told whose stream others make and delete all the time.
FAIR = {
    "StreamNotFoundError",
    "StreamExistsError",
    "StreamReplacedError",
    "StreamLockedError",
}


def storm(spawn: Any, folder: Path, processes: int, seconds: float) -> None:
    crowd = [spawn(STORM, seconds, number) for number in range(1, processes + 1)]
    for child in crowd:
        child.expect("ready")
    for child in crowd:
        child.tell()
    total = 0
    for child in crowd:
        done = child.hear(seconds + 60).split()[0]
        total += int(done)
        assert set(child.hear().split()) <= FAIR
        assert child.finish() == (0, "", "")
    assert total >= processes
    print(f"\n{total} times by {processes} processes in {seconds} s")
    assert {path.name for path in folder.iterdir()} <= {"cam.im.shm"}
    assert not [entry for entry in list_streams() if "error" in entry]


def test_storm_of_creators(spawn, shm_dir):
    storm(spawn, shm_dir, 4, 0.4)


@pytest.mark.stress
def test_storm_of_8_creators(spawn, shm_dir):
    storm(spawn, shm_dir, 8, float(os.environ.get("PYMILK_STORM_SECONDS", "5")))


# -- many streams, many times -------------------------------------------------------------------------


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def mappings() -> int:
    with open("/proc/self/maps") as lines:
        return sum(".im.shm" in line for line in lines)


def memory() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def many_streams(count: int) -> None:
    gc.collect()  # what other tests have left
    before, mapped = descriptors(), mappings()
    streams = [Stream.create(f"s{number}", (2, 2), np.uint32, nbkw=0, nbsem=1) for number in range(count)]
    # A stream needs its descriptor for a moment only.
    assert descriptors() == before
    readers = [Stream.attach(f"s{number}") for number in range(count)]
    for number, stream in enumerate(streams):
        stream.publish(np.full((2, 2), number, np.uint32))
    for number, reader in enumerate(readers):
        assert reader.wait(30, after=0) == 1
        assert reader.sem_index == 0
        assert (reader.read()[0] == number).all()
    assert descriptors() == before
    assert mappings() == mapped + 2 * count
    for stream in readers:
        stream.close()
    for stream in streams:
        stream.destroy()
    del stream, reader, streams, readers
    gc.collect()
    assert mappings() == mapped


def test_100_streams_in_one_process():
    many_streams(100)


@pytest.mark.stress
def test_1000_streams_in_one_process():
    many_streams(1000)


def cycles() -> list[Callable[[], Any]]:
    """What is done over and over: the ways that work, and those that end in an error."""
    folder = Path(os.environ["MILK_SHM_DIR"])
    Stream.create("good", (8, 8), np.float32, nbkw=2).close()
    (folder / "junk.im.shm").write_bytes(b"x" * 5000)
    held = Stream.create("held", (2, 2), np.uint8, exclusive=True)
    frame = np.zeros((8, 8), np.float32)

    def fails(kind: type[StreamError], call: Any, *args: Any, **options: Any) -> Callable[[], None]:
        def cycle() -> None:
            with pytest.raises(kind):
                call(*args, **options)

        return cycle

    def use() -> None:
        with SHM("good") as shm:
            shm.set_data(frame)
            shm.get_data()
            assert shm.semID is not None

    def wait() -> None:
        with Stream.attach("good") as stream, pytest.raises(StreamTimeoutError):
            stream.wait(0)

    def publish_refused() -> None:
        with Stream.attach("held") as stream, pytest.raises(StreamLockedError):
            stream.publish(np.zeros((2, 2), np.uint8))

    def ring() -> None:
        with SHM("good") as shm, shm.ring_reader(depth=4):
            pass

    return [
        lambda: Stream.create("new", (4, 4), np.uint8).destroy(),
        lambda: Stream.create("good", (8, 8), np.float32, nbkw=2).close(),
        lambda: Stream.attach("good", exclusive=True).close(),
        lambda: Stream.create("own", (4, 4), np.uint8, exclusive=True).close(),
        use,
        wait,
        ring,
        publish_refused,
        fails(StreamNotFoundError, Stream.attach, "absent"),
        fails(StreamFormatError, Stream.attach, "junk"),
        fails(StreamExistsError, Stream.create, "good", (8, 8), np.float32, exist_ok=False),
        fails(StreamLockedError, Stream.attach, "held", exclusive=True),
        fails(StreamLockedError, Stream.create, "held", (2, 2), np.uint8),
        fails(StreamLockedError, Stream.create, "held", (2, 2), np.uint8, exclusive=True),
        lambda: held.exclusive or pytest.fail("the lock was lost"),
    ]


def no_leak(count: int, slack: int) -> None:
    kinds = cycles()
    for cycle in kinds * 2:
        cycle()
    gc.collect()
    before = descriptors(), mappings(), threading.active_count()
    for _ in range(count // 10):
        for cycle in kinds:
            cycle()
    gc.collect()
    start = memory()
    for _ in range(count):
        for cycle in kinds:
            cycle()
    gc.collect()
    assert (descriptors(), mappings(), threading.active_count()) == before
    grown = memory() - start
    print(f"\n{count} cycles of {len(kinds)} kinds: memory grew by {grown} bytes")
    assert grown <= slack
    assert not [path for path in Path(os.environ["MILK_SHM_DIR"]).iterdir() if path.name.startswith(".")]


def test_nothing_leaks():
    # Pages of the allocator come and go: a leak of one header a cycle would be 10 times that.
    no_leak(10, 1_500_000)


@pytest.mark.stress
def test_nothing_leaks_for_long():
    no_leak(int(os.environ.get("PYMILK_LEAK_CYCLES", "300")), 2_000_000)


# -- threads ------------------------------------------------------------------------------------------


def test_threads_of_one_process(make_stream):
    """A writer, captures, reads and handles that come and go, all of one stream, in threads."""
    stream = make_stream("cam", SHAPE, np.uint32)
    end, failed = threading.Event(), []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                while not end.is_set():
                    work()
            except BaseException as error:
                failed.append(error)
                raise

        return run

    def read() -> None:
        pixels, flags, _ = reader.read()
        assert not flags & FLAG_VERIFIED or (pixels == pixels[0, 0]).all()

    def come_and_go() -> None:
        with Stream.attach("cam") as other:
            own = other.reader()
            frames, info = np.zeros((2, *SHAPE), np.uint32), np.zeros(2, FRAME_ROW)
            own.receive(frames, info, timeout=30)
            own.close()
            assert info["cnt0"][1] == info["cnt0"][0] + 1 + info["lost"][1]

    def publish() -> None:
        nonlocal number
        number += 1
        stream.publish(np.full(SHAPE, number, np.uint32))

    number = 0
    reader = Stream.attach("cam")
    threads = [threading.Thread(target=guarded(work)) for work in (read, come_and_go, come_and_go)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.3
    while time.monotonic() < until or number < 20:
        publish()
    end.set()
    while any(thread.is_alive() for thread in threads):
        publish()  # for those who still wait for a frame
        time.sleep(0.001)
    reader.close()
    assert not failed
    assert stream.counter == number
