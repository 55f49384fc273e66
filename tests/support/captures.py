"""A stream to be captured, and frames for it."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import Capture
from pymilk._core import Stream
from support.waiting import until

SHAPE = (4, 6)


@pytest.fixture
def stream(make_stream) -> Stream:
    return make_stream("cam", SHAPE, np.uint16)


def publish(stream: Stream, count: int = 1) -> None:
    """Publish frames that hold their own number."""
    for _ in range(count):
        stream.publish(np.full(stream.shape, (stream.counter + 1) % 65536, np.uint16))


def feed(stream: Stream, capture: Capture, count: int) -> None:
    """Publish frames, each one when the one before was received."""
    for _ in range(count):
        received = capture.received
        publish(stream)
        until(lambda received=received: capture.received > received)
