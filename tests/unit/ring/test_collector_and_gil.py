"""A collector takes frames while another thread never lets go of the GIL."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pymilk import SHM

FRAMES = 50


@pytest.fixture
def no_switching() -> Iterator[None]:
    """Threads that ask for the GIL get it only when another one gives it away."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("wait", ["auto", "sleep", "spin"])
def test_frames_are_collected_without_the_gil(no_switching: None, wait: str) -> None:
    held = ctypes.PyDLL(None)  # its calls keep the GIL
    with SHM("cam", ((6, 7), np.uint16)) as writer, SHM("cam") as shm:
        image = np.ones((6, 7), np.uint16)
        with shm.ring_reader(depth=FRAMES, wait=wait, source="collector") as ring:
            deadline = time.monotonic() + 30
            # From here to the end of the loop this thread has the GIL.
            for number in range(1, FRAMES + 1):
                writer.set_data(image)
                while ring.lag < number and time.monotonic() < deadline:
                    held.usleep(20)
            assert ring.lag == FRAMES
            assert ring.lost == 0
