"""A small stream that wrong calls must not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk._core import Stream

Make = Callable[..., Stream]


@pytest.fixture
def stream(make_stream: Make) -> Stream:
    """2 x 3 float32 with two frames published, 4 keyword slots, a ring of 2."""
    stream = make_stream("cam0", (2, 3), np.float32, nbkw=4, cb_size=2)
    stream.publish(ramp(1))
    stream.publish(ramp(2))
    stream.write_keywords([("FIRST", 1, "kept"), ("SECOND", "text")])
    return stream


def ramp(k: int) -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3) + 10 * k


def content(stream: Stream) -> bytes:
    return Path(stream.path).read_bytes()


OUT = np.zeros((1, 2, 3), np.float32)
