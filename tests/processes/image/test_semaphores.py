"""Semaphores of an `Image` between processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from support.images import OPENED, ramp, sleeps

Make = Callable[..., Any]
Spawn = Callable[..., Any]


def test_posts_of_another_process(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(
        OPENED
        + """
for line in sys.stdin:
    print(eval(line), flush=True)
""",
        "x",
    )
    child.expect("open")
    child.tell("image.sempost(3)")
    assert image.semwait(3) == 0
    child.expect("0")
    assert image.semWritePID[3] == child.pid
    assert image.semWritePID[4] == os.getpid()  # that was create
    child.tell("[image.sempost() for _ in range(12)]")
    assert image.semtimedwait(9, 30) == 0
    assert child.hear() == str([0] * 12)
    assert image.semvalue(4) == 10
    child.tell("image.semtimedwait(2, 60)")  # it has posts
    child.expect("0")
    child.tell("image.semflush(5)")
    child.expect("0")
    assert [image.semvalue(k) for k in range(2, 6)] == [9, 10, 10, 0]
    child.tell("image.semtimedwait(5, 60)")
    image.sempost(5)
    child.expect("0")
    assert image.semvalue(5) == 0
    child.process.stdin.close()
    assert child.process.wait(60) == 0


def test_destroy_wakes_those_who_wait(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(OPENED + "print(image.semwait(4), image.md.cnt0)", "x")
    child.expect("open")
    assert image.destroy() == 0
    child.expect("0 1")
    assert child.finish() == (0, "", "")


def test_interrupt_ends_a_wait(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    child = spawn(
        OPENED
        + """
try:
    print("waiting", flush=True)
    image.semwait(0)
except KeyboardInterrupt:
    print("interrupted", image.md.cnt0)
""",
        "x",
    )
    child.expect("open")
    child.expect("waiting")
    while not sleeps(child.pid, child.pid):
        time.sleep(0)
    child.process.send_signal(signal.SIGINT)
    child.expect("interrupted 1")
    assert child.finish() == (0, "", "")


def test_semaphores_of_the_dead_are_taken(make: Make, spawn: Spawn) -> None:
    image = make("x", ramp(3), NBsem=1)
    child = spawn(OPENED + "print(image.getsemwaitindex(0), flush=True)\ninput()", "x")
    child.expect("open")
    child.expect("0")
    assert image.semReadPID == [child.pid]
    assert image.getsemwaitindex(0) == -1
    child.kill()
    assert image.getsemwaitindex(0) == 0


def test_fork(make: Make, spawn: Spawn) -> None:
    """A child has the image, on the same memory, with a semaphore of its own."""
    child = spawn(
        """
import os, warnings
import numpy as np
from pymilk.ImageStreamIOWrap import Image
warnings.simplefilter("ignore", DeprecationWarning)
image = Image()
assert image.create("x", np.zeros(3, "f4"), NBsem=4) == 0
mine = image.getsemwaitindex(1)
pid = os.fork()
if not pid:
    other = image.getsemwaitindex(1)
    image.write(np.ones(3, "f4"))
    os._exit(other)
other = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(mine, other, image.md.cnt0, image.copy().tolist(), image.getsemwaitindex(3))
assert image.destroy() == 0
"""
    )
    child.expect("1 0 2 [1.0, 1.0, 1.0] 1")
    assert child.finish() == (0, "", "")
