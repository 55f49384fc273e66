"""Cubes of numbered frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A cube of 40 frames."""
    np.save(tmp_path / "cam.npy", cube(40))
    return tmp_path / "cam.npy"


def cube(count: int, shape: tuple[int, ...] = (3, 4), dtype: str = "u2") -> np.ndarray:
    return (np.arange(count * int(np.prod(shape))) % 60000).reshape(count, *shape).astype(dtype)
