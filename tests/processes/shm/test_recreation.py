"""Waiting for darks and matrices, which are published by making their stream again, once, with a frame."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.camera import numbers
from support.waiting import until

# It makes the stream again with its first frame: as pymilk, or as a program that deletes the file first.
MAKER = """
import os, sys
import numpy as np
from pymilk import SHM
from support.foreign_writer import Foreign, create_foreign

print("ready", flush=True)
input()
if sys.argv[1] == "pymilk":
    SHM("dark", np.full((2, 2), 7, np.float32)).close()
else:
    path = os.path.join(os.environ["MILK_SHM_DIR"], "dark.im.shm")
    create_foreign(path, (2, 2), code=9)
    Foreign(path, (2, 2)).publish(1, "fill count post")
print("made", flush=True)
input()
"""

WAITS = {
    "semaphore": lambda shm: shm.non_block_wait_semaphore(0.01) == 0,
    "recreation": lambda shm: shm.non_block_wait_until_recreation(0.01) is shm,
    "timedwait": lambda shm: shm.check_sem_timedwait(20.0),
    "timedwait without limit": lambda shm: shm.check_sem_timedwait(None),
    "get_data": lambda shm: shm.get_data(True, timeout=20.0) is not None,
    "get_data without flush": lambda shm: (
        shm.get_data(True, timeout=20.0, checkSemAndFlush=False) is not None
    ),
    "multi_recv_data": lambda shm: len(shm.multi_recv_data(1, timeout=20.0)) == 1,
    "capture": lambda shm: shm.capture(1, timeout=20.0).report.received == 1,
}


@pytest.mark.parametrize("maker", ["pymilk", "other"])
@pytest.mark.parametrize("how", WAITS)
def test_one_recreation_ends_the_wait(make, spawn, how, maker):
    make("dark", numbers((2, 2)).astype(np.float32))
    shm: SHM = make("dark")
    process = spawn(MAKER, maker)
    process.expect("ready")
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(WAITS[how](shm)))
    thread.start()
    thread.join(0.1)
    assert results == []
    process.tell()
    process.expect("made")
    until(lambda: not thread.is_alive())
    assert results == [True]
    assert (shm.get_data() == (7 if maker == "pymilk" else 1)).all()


def test_wait_that_ends_in_time_although_the_new_file_has_no_frame(make, spawn):
    make("dark", numbers((2, 2)).astype(np.float32))
    shm = make("dark")
    process = spawn(
        "from pymilk import Stream\nprint('ready', flush=True)\ninput()\n"
        "Stream.create('dark', (2, 2), 'f4')\nprint('made', flush=True)\ninput()\n"
    )
    process.expect("ready")
    process.tell()
    process.expect("made")
    assert shm.check_sem_timedwait(0.05) is False
