"""Waits beside other threads, and the end of a process with open streams."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamTimeoutError
from support.foreign import PRELUDE, SHAPE, STAMPED_WRITER
from support.waiting import PATIENCE


class Ticker(threading.Thread):
    """Counts, as often as other threads let it."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0
        self.ended = threading.Event()

    def __enter__(self) -> Ticker:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        while not self.ended.wait(0.005):
            self.ticks += 1


@pytest.mark.parametrize("call", ["wait", "capture", "spin", "busy capture"])
def test_other_threads_run_during_a_wait(spawn, make_stream, call):
    make_stream("cam", SHAPE, np.uint32)
    writer = None
    if call == "busy capture":
        writer = spawn(STAMPED_WRITER, 0, 100_000)
        writer.expect("ready")
    with SHM("cam") as shm, Ticker() as ticker:
        began, before = time.monotonic(), ticker.ticks
        if call == "wait":
            assert shm.get_data(check=True, timeout=1.0, return_none_on_timeout=True) is None
        elif writer is not None:
            capture = shm.capture(1, timeout=PATIENCE, background=True)  # it has begun
            writer.tell()
            capture.join()
            with contextlib.suppress(StreamTimeoutError):
                shm.capture(1_000_000_000 // 4096 // 8, timeout=0.2)
            writer.hear()
            writer.tell()
        else:
            with pytest.raises(StreamTimeoutError):
                shm.capture(1, timeout=1.0, wait="spin" if call == "spin" else "auto")
        took = time.monotonic() - began
        # 200 a second if nothing is in the way, fewer where others want the cores, and a wait that holds the
        # GIL leaves next to none.
        assert ticker.ticks - before >= 2 * took


@pytest.mark.parametrize("options", ["timeout=None", "timeout=None, wait='spin'"])
def test_exit_without_closing_anything_is_silent(spawn, make_stream, options):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + f"""
shm = SHM("cam")
view = shm.get_data(copy=False)
capture = shm.capture(1000, {options}, background=True)
shm.semID
say("bye")
"""
    )
    child.expect("bye")
    assert child.finish() == (0, "", "")


def test_exit_while_frames_come_is_silent(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
shm = SHM("cam")
capture = shm.capture(100000, timeout=None, background=True)
say("bye")
"""
    )
    child.expect("bye")
    while child.process.poll() is None:
        stream.publish_many(np.ones((1, *SHAPE), np.uint32), 100, interval_ns=20_000)
    assert child.finish() == (0, "", "")


def test_no_file_is_left_behind(spawn, shm_dir: Path):
    child = spawn(PRELUDE + 'shm = SHM("cam", ((32, 32), np.uint32)); say(1); input(); shm.destroy()')
    child.expect("1")
    assert [path.name for path in shm_dir.iterdir()] == ["cam.im.shm"]
    child.tell()
    assert child.finish() == (0, "", "")
    assert list(shm_dir.iterdir()) == []


FORKED = """
import os, sys, threading, warnings
import numpy as np
from pymilk import Stream
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons advise against fork beside threads
stream = Stream.attach(sys.argv[1])
reader = stream.reader()
with stream.claim():
    pid = os.fork()
    if pid == 0:
        # Neither the frame that the parent is in nor its waiting thread are in the child's way.
        stream.publish(np.full(stream.shape, 7, stream.dtype))
        os._exit(0 if stream.counter == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
thread = threading.Thread(target=lambda: reader.wait(5, after=stream.counter), daemon=True)
thread.start()
while reader.sem_index is None:
    pass
pid = os.fork()
if pid == 0:
    try:
        reader.wait(0, after=stream.counter)
    except TimeoutError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
stream.publish(np.zeros(stream.shape, stream.dtype))
thread.join()
print("done")
"""


def test_child_of_a_parent_that_writes_and_waits(make_stream, spawn):
    make_stream("forked", (2, 2), "f4")
    child = spawn(FORKED, "forked")
    code, out, err = child.finish(60)
    assert (code, out, err) == (0, "done\n", "")
