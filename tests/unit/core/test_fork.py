"""Errors of objects that belong to another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.errors import StreamChangedError, StreamForkedError

Make = Callable[..., SHM]


def test_forked_error_is_one_of_a_closed_handle() -> None:
    error = StreamForkedError("message", stream="cam", pid=7)
    assert isinstance(error, pymilk.errors.StreamClosedError)
    assert pickle.loads(pickle.dumps(error)).pid == 7


def test_wait_any_tells_what_ended_a_collector(cam: SHM, make: Make) -> None:
    """It looked at the ring again and again, as fast as it could, and never returned."""
    import select

    with cam.ring_reader(8) as ring:
        bell = ring.fileno()
        make("cam", ((2, 2), np.float32))
        assert select.select([bell], [], [], 30)[0]
        for call in (lambda: pymilk.wait_any([ring]), lambda: ring.read(1, timeout=None)):
            with pytest.raises(StreamChangedError):
                call()
        assert select.select([bell], [], [], 30)[0]
