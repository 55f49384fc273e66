"""A frame that comes while a cube is copied is new for the next read."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from pymilk.shm import shm as room


@pytest.mark.parametrize("turned", [False, True])
def test_frame_that_comes_behind_the_copy_of_a_cube(monkeypatch: pytest.MonkeyPatch, turned: bool) -> None:
    with SHM("cam", ((3, 4), np.uint16), ring=4, ring_kind="temporal") as writer, SHM("cam") as shm:
        writer.set_data(np.full((3, 4), 1, np.uint16))
        target = np.zeros((4, 3, 4), np.uint16, order="F" if turned else "C")
        if turned:
            copy = room.turn_copy

            def late(*given: object) -> None:
                copy(*given)
                writer.set_data(np.full((3, 4), 2, np.uint16))

            monkeypatch.setattr(room, "turn_copy", late)
        shm.get_data(cube=True, out=target)
        if not turned:
            writer.set_data(np.full((3, 4), 2, np.uint16))
        frame = shm.get_data(True, timeout=0.5, checkSemAndFlush=False, on_timeout="raise")
        assert (frame == 2).all()
        writer.destroy()
