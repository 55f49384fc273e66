"""Signal handlers during waits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM
from support.children import Child
from support.foreign import owners
from support.timed_calls import PRELUDE, TIMED
from support.waiting import until

Spawn = Callable[..., Child]
Make = Callable[..., SHM]


@pytest.mark.parametrize("what", TIMED)
def test_storm_of_signals_neither_shortens_nor_lengthens_a_wait(
    cam: SHM, make: Make, spawn: Spawn, what: str
) -> None:
    """A wait that begins its time anew with each signal would never end."""
    make("ring", np.zeros((4, 6), np.uint32), ring=4)
    child = spawn(
        PRELUDE
        + f"""
SECONDS = 0.25
count = 0
def handler(number, stack):
    global count
    count += 1
shm = SHM("cam")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
began = time.monotonic()
ended = {TIMED[what]}
took = time.monotonic() - began
signal.setitimer(signal.ITIMER_REAL, 0)
say(ended, took >= SECONDS, count >= 3)  # `set_many` looks at signals every 50 ms
os._exit(0)
"""
    )
    child.expect("True True True")
    assert child.finish() == (0, "", "")


@pytest.mark.parametrize("what", TIMED)
def test_handler_that_raises_ends_a_wait(cam: SHM, make: Make, spawn: Spawn, what: str) -> None:
    make("ring", np.zeros((4, 6), np.uint32), ring=4)
    call = TIMED[what].replace("over(lambda: ", "(").replace("SECONDS", "100")
    child = spawn(
        PRELUDE
        + f"""
class Enough(Exception):
    pass
def handler(number, stack):
    raise Enough
shm = SHM("cam")
signal.signal(signal.SIGALRM, handler)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    {call}
except Enough:
    say("enough")
shm.set_data(frame(4))
say(shm.get_data()[0, 0], shm._stream.write)
try:
    shm._stream.wait(0)
except StreamTimeoutError:
    say("usable")
"""
    )
    child.expect("enough")
    child.expect("4 0")
    child.expect("usable")
    code, rest, _ = child.finish()
    assert (code, rest) == (0, "")


def test_handler_that_uses_the_stream_it_interrupts(cam: SHM, spawn: Spawn) -> None:
    child = spawn(
        PRELUDE
        + """
shm = SHM("cam")
def handler(number, stack):
    shm.set_data(frame(shm.get_data()[0, 0] + 1))
    say("handled", shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True))
signal.signal(signal.SIGALRM, handler)
say(shm.get_data(check=True, timeout=60)[0, 0])
"""
    )
    until(lambda: child.pid in owners(cam._stream))  # it waits, or is about to
    os.kill(child.pid, signal.SIGALRM)
    child.expect("handled None")
    child.expect("1")
    assert child.finish() == (0, "", "")
