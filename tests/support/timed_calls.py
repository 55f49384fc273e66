"""Second processes that wait: what they begin with, and every call that waits for a time."""

from __future__ import annotations

#: Begins every second process.
PRELUDE = """
import gc, os, signal, sys, threading, time, warnings
import numpy as np
import pymilk
from pymilk import SHM
from pymilk.errors import StreamForkedError, StreamTimeoutError
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons advise against fork beside threads

def say(*words):
    print(*words, flush=True)

def frame(number):
    return np.full((4, 6), number, np.uint32)

def over(call):
    try:
        call()
    except (StreamTimeoutError, pymilk.errors.MultiCaptureError):
        return True
"""

#: Calls that wait for a time, in seconds; true if they say that it is over.
TIMED = {
    "get_data": "shm.get_data(check=True, timeout=SECONDS, return_none_on_timeout=True) is None",
    "wait": "over(lambda: shm._stream.wait(SECONDS))",
    "spin": "over(lambda: shm._stream.wait(SECONDS, spin_ns=-1))",
    "sem_wait": "shm._stream.flush() and not shm._stream.sem_wait(9, SECONDS)",
    "capture": "over(lambda: shm.capture(1, timeout=SECONDS))",
    "collector": "over(lambda: shm.ring_reader(4).read(1, timeout=SECONDS))",
    "ring": "over(lambda: pymilk.RingReader('ring').read(1, timeout=SECONDS))",
    "wait_any": "over(lambda: pymilk.wait_any([shm, SHM('ring')], SECONDS))",
    "set_many": "shm.set_many(np.zeros((2, 4, 6), np.uint32), rate=1 / SECONDS) > 0",
    "threads": "over(lambda: pymilk.capture_many(['cam', 'ring'], 1, timeout=SECONDS))",
}
