"""Captures of several streams that an exception of a signal handler ends, wherever it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM, MultiCapture, capture_many, wait_any
from pymilk.errors import MultiCaptureError
from support.interrupts import Interrupt, interrupted

MANY = 1000


def test_captures_are_carried_once_all_are_armed(make: Callable[..., SHM]) -> None:
    streams = [make(name, np.zeros((2, 2), np.uint8)) for name in ("a", "b")]
    carried = 0
    for step in range(1, MANY):
        try:
            with interrupted(step, "/pymilk/multi/captures"):
                capture_many(streams, 2, timeout=0)
        except Interrupt as error:
            many = getattr(error, "captures", None)
            if many is not None:
                carried += 1
                assert isinstance(many, MultiCapture)
                assert many.done
                assert all(capture.done for capture in many.values())
                assert many.report.received == 0
            assert not [each.name for each in threading.enumerate() if each.name.startswith("pymilk-capture")]
        except MultiCaptureError:
            assert carried > 2
            return
    pytest.fail("a capture has more places than that")


def test_wait_any_takes_nothing(make: Callable[..., SHM]) -> None:
    """Whatever is new stays new, for an SHM and a ring."""
    plain = make("plain", np.zeros((2, 2), np.uint8))
    fast = make("fast", np.zeros((2, 2), np.uint8), ring=8)
    with fast.ring_reader() as ring:
        plain.set_data(np.ones((2, 2), np.uint8))
        fast.set_data(np.ones((2, 2), np.uint8))
        for step in range(1, MANY):
            try:
                with interrupted(step, "/pymilk/"):
                    found = wait_any([plain, ring], 0)
            except Interrupt:
                assert (ring.lag, wait_any([plain, ring], 0)) == (1, [0, 1]), step
            else:
                assert found == [0, 1]
                return
    pytest.fail("a wait has more places than that")
