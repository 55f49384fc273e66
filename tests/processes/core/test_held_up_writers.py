"""Writers that are held up in a frame for longer than readers wait, and go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from pymilk import SHM
from pymilk._core import FLAG_TORN, FLAG_VERIFIED
from support.foreign import SHAPE
from support.foreign_writer import Foreign
from support.waiting import until


def test_torn_frames_end_with_the_next_good_one(make_stream):
    """A writer that was held up once may still take a few milliseconds to clear `write`."""
    make_stream("cam", SHAPE, np.uint32)
    foreign = Foreign(Path(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
    with SHM("cam") as shm:
        capture = shm.capture(6, timeout=10, wait="spin", background=True)
        foreign.publish(1, "open fill count")
        until(lambda: capture.received == 1)  # after 50 ms it is taken for dead
        foreign.publish(1, "close post")
        for number in range(2, 7):
            foreign.publish(number, "open fill count")
            time.sleep(0.01)
            foreign.publish(number, "close post")
            until(lambda number=number: capture.received == number)
        capture.join()
    flags = capture.info["flags"]
    assert flags[0] & FLAG_TORN
    assert all(flags[1:] & FLAG_VERIFIED)
    assert capture.frames[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert capture.report.torn == 1
