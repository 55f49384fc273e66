"""A stream with a ring to be recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=4096)

