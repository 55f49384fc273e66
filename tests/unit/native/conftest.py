"""Files for the tests of the header."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def store(shm_dir: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = shm_dir / "base.im.shm"
        path.write_bytes(data)
        return path

    return write

