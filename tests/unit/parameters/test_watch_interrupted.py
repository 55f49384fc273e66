"""Changes that a watch had noted when an exception of a signal handler came are given next."""

from __future__ import annotations

import pytest

from pymilk.parameters import FPS
from support.interrupts import Interrupt, interrupted

#: More places than a watch has.
MANY = 400


def test_no_change_is_lost_or_given_twice() -> None:
    for step in range(1, MANY):
        with FPS.create("loop", directories=False) as fps:
            fps.add_param("a", default=1)
            fps.add_param("b", default=1)
            with fps.watch("a", "b", timeout=0) as watch:
                fps["a"] = 2
                fps["b"] = 3
                found = []
                with interrupted(step, "/pymilk/parameters/watching"):
                    try:
                        found.append(next(watch))
                    except Interrupt:
                        pass
                    else:
                        step = MANY
                found += watch
            assert [(each.key, each.value, each.missed) for each in found] == [("a", 2, 0), ("b", 3, 0)], step
            fps.destroy()
        if step == MANY:
            return
    pytest.fail("a watch has more places than that")
