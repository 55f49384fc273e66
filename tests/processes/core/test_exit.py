"""The exit of an interpreter whose threads still wait."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM
from support.children import Child
from support.timed_calls import PRELUDE

Spawn = Callable[..., Child]
Make = Callable[..., SHM]

EXITS = {
    "relay": 'relay = pymilk.Relay("cam", "cam_ring", 8)',
    "claim": "claim = shm.claim(); claim.__enter__()[:] = 1",
    "claim in a thread": """
def work():
    with shm.claim():
        held.set()
        threading.Event().wait()
held = threading.Event()
threading.Thread(target=work, daemon=True).start()
held.wait()
""",
    "many": 'many = pymilk.capture_many(["cam"], 100, timeout=None, background=True)',
    "collector": "ring = shm.ring_reader(8, wait='spin')",
    "block": "ring = shm.ring_reader(8); shm.set_data(frame(1)); block = next(ring.blocks())",
    "cycle": "shm.itself = shm; ring = shm.ring_reader(8); ring.itself = (ring, shm)",
    "os._exit": "capture = shm.capture(9, timeout=None, background=True); shm.ring_reader(8); os._exit(0)",
    "sys.exit in a claim": "with shm.claim(): sys.exit(0)",
}

#: Calls that a daemon thread is in when the interpreter ends.
WAITS = {
    "get_data": "shm.get_data(check=True, timeout=None)",
    "wait": "pymilk.Stream.attach('cam').wait()",
    "sem_wait": "pymilk.Stream.attach('cam').sem_wait(9)",
    "capture": "shm.capture(9, timeout=None)",
    "capture_many": "pymilk.capture_many(['cam'], 9, timeout=None)",
    "ring": "shm.ring_reader(8).read(1, timeout=None)",
    "wait_any": "pymilk.wait_any([shm, pymilk.Stream.attach('cam'), shm.ring_reader(8)])",
    "set_many": "shm.set_many(np.zeros((1, 4, 6), np.uint32), rate=0.01)",
    "publish_many": "shm._stream.publish_many(np.zeros((1, 4, 6), np.uint32), 10**9, interval_ns=1000)",
}


@pytest.mark.parametrize("what", EXITS)
def test_exit_without_close(cam: SHM, spawn: Spawn, what: str) -> None:
    child = spawn(PRELUDE + 'shm = SHM("cam")\nsay("here")\n' + EXITS[what])
    child.expect("here")
    assert child.finish() == (0, "", "")
    # Whatever it held is available again: the next writer publishes, and all semaphores are free.
    before = cam.get_counter()
    cam.set_data(np.full((4, 6), 3, np.uint32))
    assert (cam.get_counter(), cam.get_data()[0, 0]) == (before + 1, 3)
    assert cam._stream.write == 0
    readers = [cam._stream.reader() for _ in range(cam._stream.nbsem)]
    for reader in readers:
        reader.arm()
    assert sorted(reader.sem_index for reader in readers) == list(range(cam._stream.nbsem))
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("what", WAITS)
def test_exit_with_a_daemon_thread_that_waits(cam: SHM, spawn: Spawn, what: str) -> None:
    code = f"""
def work():
    began.set()
    {WAITS[what]}
shm = SHM("cam")
began = threading.Event()
threading.Thread(target=work, daemon=True).start()
began.wait()
say("here")
sys.stdin.readline()
"""
    child = spawn(PRELUDE + code)
    child.expect("here")
    child.tell()
    assert child.finish() == (0, "", "")
