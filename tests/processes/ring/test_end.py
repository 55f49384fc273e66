"""Open ring readers at a fork and at the exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pymilk import SHM
from support.children import Child
from support.rings import create, each_source, stamped

MakeSHM = Callable[..., SHM]
Spawn = Callable[..., Any]


@each_source
@pytest.mark.parametrize("how", ["blocks", "read", "idle", "ablocks", "thread"])
def test_exit_with_an_open_ring(
    make: MakeSHM, spawn: Callable[..., Child], source: str, how: str
) -> None:
    shm = create(make, source)
    code = """
import sys, threading
from pymilk import SHM
source, how = sys.argv[1:]
shm = SHM("cam")
ring = shm.ring_reader(7, start="newest")
assert ring.source == source
if how == "blocks":
    blocks = ring.blocks()
    block = next(blocks)
elif how == "read":
    ring.read(1)
elif how == "ablocks":
    import asyncio
    async def main():
        ring.read(1)
        try:
            await asyncio.wait_for(anext(ring.ablocks(timeout=None)), 0.05)
        except asyncio.TimeoutError:
            pass
    asyncio.run(main())
elif how == "thread":
    def wait():
        ring.read(1)
        started.set()
        ring.read(1, timeout=None)
    started = threading.Event()
    threading.Thread(target=wait, daemon=True).start()
    started.wait()
print("done")
"""
    assert spawn(code, source, how).finish() == (0, "done\n", "")
    # Its semaphores are available again.
    shm.set_data(stamped(2))
    assert shm.semID is not None


FORK = """
import os, sys, time, warnings
import numpy as np
from pymilk import SHM
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12
shm = SHM("cam")
ring = shm.ring_reader(7)
assert ring.source == sys.argv[1]
shm.set_data(np.full((3, 4), 2, np.uint32))
assert ring.read(1).frames[0, 0, 0] == 2
child = os.fork()
if child == 0:
    # The thread stays with the parent. Nothing hangs, and a new reader works.
    code = 1
    try:
        ring.close()
        with SHM("cam") as other, other.ring_reader(7) as own:
            shm.set_data(np.full((3, 4), 3, np.uint32))
            code = 0 if own.read(1, timeout=30).frames[0, 0, 0] == 3 else 2
    finally:
        os._exit(code)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert ring.read(1, timeout=30).frames[0, 0, 0] == 3
shm.set_data(np.full((3, 4), 4, np.uint32))
assert ring.read(1, timeout=30).frames[0, 0, 0] == 4
assert ring.lost == 0
ring.close()
print("alive")
"""


@each_source
def test_fork_with_an_open_ring(make: MakeSHM, spawn: Spawn, source: str) -> None:
    create(make, source)
    assert spawn(FORK, source).finish() == (0, "alive\n", "")
