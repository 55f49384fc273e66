"""Numbers that no machine word holds: an error of ours, wherever they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pymilk.axes import Orientation
from pymilk.errors import StreamArgumentError
from pymilk.times import to_utc

ABSURD = [10**30, -(10**30), 2**64, 1e308, math.inf, -math.inf, math.nan, "x", None]


@pytest.mark.parametrize("found", ABSURD)
def test_times_and_orientations(found: Any) -> None:
    for argument, call in (
        ("tai_ns", lambda: to_utc(found)),
        ("symcode", lambda: Orientation((4, 4), found)),
        ("triDim", lambda: Orientation((4, 4, 4), 4, found)),
    ):
        with pytest.raises(StreamArgumentError) as caught:
            call()
        assert caught.value.argument == argument
