"""Writers and readers of one tag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk.compat.ndsharray import NdShArray


@pytest.fixture
def pair() -> Callable[..., tuple[NdShArray, NdShArray]]:
    """Make a writer with its first array, and a reader."""

    def make(array: Any = None, tag: str = "tag") -> tuple[NdShArray, NdShArray]:
        writer = NdShArray(tag, np.arange(6.0) if array is None else array, "w")
        return writer, NdShArray(tag, r_w="r")

    return make
