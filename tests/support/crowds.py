"""Crowds of processes: one writer and many readers, many writers, storms of creators."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from pymilk import list_streams
from pymilk._core import FLAG_VERIFIED, Stream
from support.children import REPLACES

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


# -- storms -------------------------------------------------------------------------------------------

STORM = (
    REPLACES
    + PRELUDE
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
