"""A small SHM with keywords."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk import SHM
from support.exclusive import cam as cam
from support.familiar import fits_module as fits_module


@pytest.fixture
def shm(make) -> SHM:
    return make("cam", ((2, 2), np.uint8), nbkw=4)
