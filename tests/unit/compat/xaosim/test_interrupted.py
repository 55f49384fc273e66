"""A post whose frame was not handed over is given back, wherever an exception comes."""

from __future__ import annotations

import numpy as np
import pytest

from support.interrupts import Interrupt, interrupted
from support.xaosims import Make, ramp

MANY = 1000


@pytest.mark.parametrize(
    ("shape", "method"), [((3, 4), "get_latest_data"), ((2, 3, 4), "get_latest_data_slice")]
)
def test_post_is_given_back(make: Make, shape: tuple[int, ...], method: str) -> None:
    cam = make("cam", ramp(shape), nosem=False)
    reader = make("cam", nosem=False)
    reader.catch_up_with_sem(2)
    # Up to the end of `acquire` the post is waited for; after it, the frame is copied.
    given_back = 0
    for step in range(1, MANY):
        cam.set_data(ramp(shape, first=step))
        assert reader.sems[2].value == 1
        try:
            with interrupted(step, "compat/xaosim.py"):
                got = getattr(reader, method)(2)
        except Interrupt as error:
            taken = "acquire" in _names(error)
            given_back += not taken and reader.sems[2].value == 1
            assert taken or reader.sems[2].value == 1, step
            reader.catch_up_with_sem(2)
        else:
            assert given_back > 5
            assert got.max() == ramp(shape, first=step).max()
            assert reader.sems[2].value == 0
            return
    pytest.fail("a read has more places than that")


@pytest.mark.parametrize("module", ["compat/xaosim.py", "/pymilk/streams/waiting"])
def test_object_follows_a_new_file_whole_or_not_at_all(make: Make, module: str) -> None:
    for step in range(1, MANY):
        make("cam", ramp((3, 4)))
        reader = make("cam", nosem=False)
        make("cam", ramp((3, 4), first=5))
        try:
            with interrupted(step, module):
                reader.get_data()
        except Interrupt:
            pass
        else:
            step = MANY
        np.testing.assert_array_equal(reader.get_data(), ramp((3, 4), first=5), str(step))
        assert reader.mtdata["cnt0"] >= 0
        if step == MANY:
            return
    pytest.fail("following has more places than that")


def _names(error: BaseException) -> list[str]:
    """The functions that an exception went through."""
    names, trace = [], error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return names
