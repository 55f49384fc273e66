"""Children that write and read streams, and the accounts that readers must give of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import pymilk
from pymilk import SHM
from pymilk._core import FLAG_TORN, FLAG_VERIFIED, Stream
from support.waiting import until

SHAPE = (32, 32)


#: The library's own order; that of its Python wrapper; and what cameras do.
C_ORDER = "open fill count close post"
WRAPPER_ORDER = "open fill post stamp close count"

PRELUDE = """
from __future__ import annotations
import contextlib, gc, os, signal, sys, threading, time
import numpy as np
import pymilk
from pymilk import SHM
from pymilk._core import Stream
from support import isio_format
from support.foreign_writer import Foreign, create_foreign

def say(*words):
    print(*words, flush=True)

"""


def owners(stream: Stream) -> list[int]:
    """Return the processes that hold a semaphore, by index."""
    return [int(pid) for pid in stream.section("sem_read_pid")]


def check_account(
    frames: np.ndarray, info: np.ndarray, start: int, *, torn: bool = False, late: int = 0
) -> None:
    """Check self-checking frames: whole, in order, once each, and none unaccounted for.

    Next to a writer that leaves no time for a copy there are torn ones, which say so. Some writers
    show a frame before they count it: a reader that is late at just that moment, and then misses
    the count too, has the next frame under a number that is `late` by 1.
    """
    numbers = info["cnt0"].astype(np.int64)
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(np.diff(numbers, prepend=start), info["lost"].astype(np.int64) + 1)
    verified = (info["flags"] & FLAG_VERIFIED) != 0
    np.testing.assert_array_equal(verified, (info["flags"] & FLAG_TORN) == 0)
    assert torn or verified.all()
    stamps = frames.reshape(len(frames), -1)[verified]
    assert (stamps == stamps[:, :1]).all()
    shown = stamps[:, 0].astype(np.int64)
    assert (np.diff(shown) > 0).all()
    assert set(np.unique(shown - numbers[verified])) <= set(range(late + 1))


# -- exact accounts -----------------------------------------------------------------------------------

STAMPED_WRITER = (
    PRELUDE
    + """
interval, total = int(sys.argv[1]), int(sys.argv[2])
frames = np.empty((total, 32, 32), np.uint32)
frames[:] = np.arange(1, total + 1)[:, None, None]
stream = Stream.attach("cam")
say("ready")
input()
say(stream.publish_many(frames, interval_ns=interval))
input()
"""
)


def accounted(spawn: Any, make_stream: Any, rate: int, total: int) -> pymilk.Capture:
    stream = make_stream("cam", SHAPE, np.uint32)
    writer = spawn(STAMPED_WRITER, 1_000_000_000 // rate if rate else 0, total)
    writer.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(total, timeout=None, background=True)
        writer.tell()
        writer.expect(str(total))
        # The newest frame is always had, however many were lost before it.
        until(lambda: capture.received and capture.info["cnt0"][-1] == total)
        capture.stop()
        capture.join()
    writer.tell()
    assert writer.finish() == (0, "", "")
    check_account(capture.frames, capture.info, 0, torn=not rate)
    assert capture.report.received + capture.report.lost == total == stream.counter
    assert capture.report.repeated == 0
    return capture


# -- foreign writers ----------------------------------------------------------------------------------

FREE_WRITER = (
    PRELUDE
    + """
steps, total, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
due, longest = time.monotonic(), 0.0
for number in range(1, total + 1):
    while (began := time.monotonic()) < due:
        pass
    due += interval
    writer.publish(number, steps)
    longest = max(longest, time.monotonic() - began)
say("done")
say(longest)
"""
)

#: Publishes one frame for each line that it is told: the number of the frame.
LED_WRITER = (
    PRELUDE
    + """
steps = sys.argv[1]
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
for line in sys.stdin:
    writer.publish(int(line), steps)
"""
)


def captured_free(
    spawn: Any, shm: SHM, steps: str, total: int, interval: float
) -> tuple[pymilk.Capture, float]:
    """Capture what a writer publishes that waits for nobody; also returns its longest frame in seconds."""
    writer = spawn(FREE_WRITER, steps, total, interval)
    writer.expect("ready")
    capture = shm.capture(total, timeout=None, background=True)
    writer.tell()
    writer.expect("done")
    until(lambda: capture.received and capture.info["cnt0"][-1] == total)
    capture.stop()
    return capture.join(), float(writer.hear())
