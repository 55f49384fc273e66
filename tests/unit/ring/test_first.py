"""``start="first"``: from the first frame of the stream on; those that are gone are lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM
from pymilk.ring import RingReader


@pytest.mark.parametrize(
    ("slots", "source"), [(8, "auto"), (8, "collector"), (0, "auto")], ids=["ring", "collector", "plain"]
)
@pytest.mark.parametrize("published", [1, 5, 30])
def test_first(slots: int, source: str, published: int, make: Callable[..., SHM]) -> None:
    shm = make("cam", ((2, 3), np.uint16), **({"ring": slots} if slots else {}))
    for _ in range(published - 1):  # the first one came with the stream
        shm.set_data(np.zeros((2, 3), np.uint16))
    with RingReader("cam", start="first", source=source) as ring:
        shm.set_data(np.ones((2, 3), np.uint16))
        rows = ring.read(1, timeout=5).info
        while int(rows["cnt0"][-1]) < published + 1:
            rows = np.concatenate([rows, ring.read(1, timeout=5).info])
        assert len(rows) + ring.lost == published + 1
        assert int(rows["lost"].sum()) == ring.lost
        assert int(rows["cnt0"][0]) == 1 + int(rows["lost"][0])
