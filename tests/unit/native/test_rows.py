"""`Rows`: memory for the rows of frames."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FRAME_ROW, Rows


def test_rows_are_an_array_that_keeps_its_memory() -> None:
    rows = Rows(3)
    array = rows.array
    assert (len(rows), array.shape, array.dtype) == (3, (3,), FRAME_ROW)
    array[:] = 0
    array["cnt0"] = [1, 2, 3]
    part = array[1:]
    del rows, array
    gc.collect()
    np.full(30, 255, np.uint64)  # would take the memory if it were free
    assert part["cnt0"].tolist() == [2, 3]
    assert part.flags.writeable


def test_no_rows() -> None:
    assert len(Rows(0).array) == 0


@pytest.mark.parametrize("count", [-1, 2**60, 2**63 - 1])
def test_rows_without_memory(count: int) -> None:
    with pytest.raises(MemoryError):
        Rows(count)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_copy_stops_at_its_limit_and_at_the_end_of_its_rows(kind: str) -> None:
    with SHM("rows", ((2, 3), np.uint16), ring=8, ring_kind=kind) as shm:
        cursor = shm.live_source()[0].ring_cursor()
        assert cursor is not None
        cursor.begin("next")
        shm.set_many(np.arange(30, dtype=np.uint16).reshape(5, 2, 3))
        cube, rows = np.empty((5, 2, 3), np.uint16), Rows(3)
        assert cursor.copy(cube, rows, 0, limit=1) == 1
        assert cursor.copy(cube, rows, 1, limit=0) == 1
        assert cursor.copy(cube, rows, 1) == 3
        assert cursor.copy(cube, rows, 3) == 3
        assert cube[:3, 0, 0].tolist() == [0, 6, 12]
        assert (cursor.unread(), np.diff(rows.array["cnt0"]).tolist()) == (2, [1, 1])
