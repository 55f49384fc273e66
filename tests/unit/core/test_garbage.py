"""Reference cycles: their memory is unmapped."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream


def mapped(path: str) -> int:
    """Tell how often this process has a file mapped."""
    with open("/proc/self/maps") as lines:
        return sum(line.rstrip().endswith(path) for line in lines)


def test_memory_goes_with_the_last_view(shm_dir: Path) -> None:
    path = str(shm_dir / "cam.im.shm")
    shm = SHM("cam", np.full((4, 6), 7, np.uint32))
    view = shm.get_data(copy=False)[1:, ::2]
    reader = shm._stream.reader()
    assert mapped(path) == 1
    shm.close()
    reader.close()
    del shm, reader
    gc.collect()
    assert mapped(path) == 1
    assert (view == 7).all()
    del view
    assert mapped(path) == 0


@pytest.mark.parametrize("what", ["shm", "ring", "capture", "stream"])
def test_cycle_is_collected_and_its_memory_unmapped(shm_dir: Path, what: str) -> None:
    path = str(shm_dir / "cam.im.shm")
    shm = SHM("cam", np.ones((4, 6), np.uint32))
    item: Any = shm
    if what == "ring":
        item = shm.ring_reader(4)
    elif what == "stream":
        item = Stream.attach("cam")
    elif what == "capture":
        item = shm.capture(1, timeout=30, background=True)
        shm.set_data(np.ones((4, 6), np.uint32))
        item.join()
    if what == "stream":
        cycle: list[Any] = [item]
        cycle.append(cycle)
        del cycle
    else:
        item.itself = item
    dead = weakref.ref(item)
    if what != "shm":
        shm.close()
    else:
        shm._image = object()  # ends without a ResourceWarning, as one whose image is in use does
    del shm, item
    gc.collect()
    assert dead() is None
    assert mapped(path) == 0
    assert threading.active_count() == 1 + sum(thread.daemon for thread in threading.enumerate())
