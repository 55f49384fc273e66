"""Ring readers that wait for another process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from pymilk import SHM
from support.rings import Both, account, create, each_source, numbers_of
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]
Spawn = Callable[..., Any]


@each_source
@pytest.mark.parametrize("wait", ["auto", "spin", "sleep"])
def test_blocks_wait_for_another_process(
    make: MakeSHM, spawn: Spawn, source: str, wait: str
) -> None:
    both = Both(make, source, wait=wait)
    child = spawn("""
import sys
import numpy as np
from pymilk import SHM
shm = SHM("cam")
print("ready", flush=True)
for line in sys.stdin:
    shm.set_data(np.full((3, 4), int(line), np.uint32))
""")
    child.expect("ready")
    for number in range(2, 30):
        child.tell(number)
        assert numbers_of(next(both.ring.blocks(timeout=PATIENCE))) == [number]
    assert account(both.ring) == (28, 0, 0)
    child.process.stdin.close()
    assert child.process.wait(60) == 0


CTRL_C = """
import asyncio, sys
from pymilk import SHM, wait_any
shm = SHM("cam")
ring = shm.ring_reader(7)
assert ring.source == sys.argv[1]
async def main():
    # Only now: an event loop that is interrupted while it is made complains.
    print("waiting", flush=True)
    await anext(ring.ablocks(timeout=None))
try:
    if sys.argv[2] == "ablocks":
        asyncio.run(main())
    print("waiting", flush=True)
    if sys.argv[2] == "blocks":
        next(ring.blocks(timeout=None))
    elif sys.argv[2] == "read":
        ring.read(3, timeout=None)
    else:
        wait_any([ring, shm], timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(ring.closed, ring.lag, flush=True)
"""


@each_source
@pytest.mark.parametrize("how", ["blocks", "read", "ablocks", "wait_any"])
def test_ctrl_c_ends_a_wait(make: MakeSHM, spawn: Spawn, source: str, how: str) -> None:
    create(make, source)
    child = spawn(CTRL_C, source, how)
    child.expect("waiting")
    child.process.send_signal(signal.SIGINT)
    assert child.finish() == (0, "interrupted\nFalse 0\n", "")
