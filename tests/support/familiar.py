"""Frames and optional modules for the older spellings of `SHM`."""

from __future__ import annotations

import numpy as np
import pytest


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


@pytest.fixture
def fits_module():
    return pytest.importorskip("astropy.io.fits")
