"""A foreign writer at full speed."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from support.foreign import C_ORDER, SHAPE, WRAPPER_ORDER, captured_free, check_account


@pytest.mark.parametrize("steps", [C_ORDER, WRAPPER_ORDER], ids=["library", "wrapper"])
def test_foreign_writer_at_full_speed(spawn, make_stream, steps):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture, _ = captured_free(spawn, shm, steps, 40_000, 0)
    check_account(capture.frames, capture.info, 0, torn=True, late=int(steps == WRAPPER_ORDER))
    assert capture.report.received + capture.report.lost == 40_000
