"""A reader learns when the frames of a stream come."""

from __future__ import annotations

import numpy as np

RHYTHM = """
import sys, numpy as np
from pymilk import Stream
stream = Stream.attach("cam")
print("ready", flush=True)
sys.stdin.readline()
stream.publish_many(np.zeros((1, *stream.shape), stream.dtype), 300, interval_ns=2_000_000)
sys.stdin.readline()
"""


def test_rhythm_of_a_stream_is_learned(stream, spawn):
    reader = stream.reader()
    out = np.zeros((40, *stream.shape), stream.dtype)
    assert reader.interval_ns is None
    writer = spawn(RHYTHM)  # a frame every 2 ms
    writer.expect("ready")
    after = reader.arm()
    writer.tell("go")
    reader.receive(out, after=after, spin_ns=-2)
    assert 500_000 < reader.interval_ns < 20_000_000
    reader.receive(out, after=reader.last, spin_ns=-2)
    writer.tell("end")
    assert writer.finish()[0] == 0
    reader.close()


def test_a_frame_that_was_there_does_not_unlearn_the_rhythm(stream, spawn):
    reader = stream.reader()
    writer = spawn(RHYTHM)
    writer.expect("ready")
    out = np.zeros((40, *stream.shape), stream.dtype)
    after = reader.arm()
    writer.tell("go")
    reader.receive(out, after=after, spin_ns=-2)
    known = reader.interval_ns
    assert known is not None
    reader.wait(1, after=0, spin_ns=-2)  # ends at once
    reader.wait(1, spin_ns=-2)
    assert reader.interval_ns is not None
    writer.tell("end")
    assert writer.finish()[0] == 0
    reader.close()
