"""Recordings of a process that has forked another one: the child ends as any interpreter does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import load
from support.children import Child
from support.recordings import EACH_FORMAT
from support.timed_calls import PRELUDE

#: The child ends "before" the rest of the frames is recorded, or "after" the file is finished.
RECORDER = """
path, when = sys.argv[1:]
shm = SHM("cam", ((16, 16), np.uint16), ring=1024)
recorder = pymilk.Recorder(shm, path, frames=600).start()

def publish(first, last):
    for number in range(first, last):
        shm.set_data(np.full((16, 16), number, np.uint16))
        time.sleep(0.0005)

publish(1, 300)
while recorder.report.streams["cam"].recorded < 200:
    time.sleep(0.01)
here, there = os.pipe()
pid = os.fork()
if not pid:
    os.close(there)
    os.read(here, 1)
    sys.exit(0)

def end_child():
    os.close(there)
    assert os.waitpid(pid, 0)[1] == 0

if when == "before":
    end_child()
publish(300, 601)
recorder.wait(60)
if when == "after":
    end_child()
shm.close()
say("recorded")
"""


@EACH_FORMAT
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_child_that_ends_leaves_the_file_alone(
    when: str, suffix: str, tmp_path: Path, spawn: Callable[..., Child]
) -> None:
    path = tmp_path / f"cam.{suffix}"
    child = spawn(PRELUDE + RECORDER, path, when)
    child.expect("recorded")
    assert child.finish() == (0, "", "")
    with load(path, strict=True) as found:
        np.testing.assert_array_equal(np.asarray(found.frames)[:, 0, 0], np.arange(1, 601))
