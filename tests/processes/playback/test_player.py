"""A player keeps away from a stream that another process writes."""

from __future__ import annotations

import pytest

from pymilk import Stream, play
from pymilk.errors import StreamInUseError
from support.cubes import cube

#: Creates a stream, publishes a frame, and lives until it is told to end.
WRITER = """
import sys, numpy as np
from pymilk import Stream
stream = Stream.create("cam", (3, 4), "u2")
stream.publish(np.zeros((3, 4), "u2"))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_stream_that_a_living_process_writes_is_kept(spawn):
    child = spawn(WRITER)
    child.expect("ready")
    with pytest.raises(StreamInUseError, match=f"process {child.pid}"):
        play(cube(3), "cam", rate=0)
    child.kill()
    play(cube(3), "cam", rate=0)
    with Stream.attach("cam") as stream:
        assert stream.counter == 4
