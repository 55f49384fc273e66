"""Every test here runs for seconds or more, alone: it has the mark "stress". But for a model in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent

#: What only computes may share the machine with other tests.
COMPUTES = HERE / "test_ring_model.py"


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """On a disk, as recordings are."""
    return disk_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path != COMPUTES:
            item.add_marker(pytest.mark.stress)
