"""A name for segments, and the lock that all processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.segments import CountingLock, new_name


@pytest.fixture
def name() -> Iterator[str]:
    with new_name() as name:
        yield name


@pytest.fixture
def lock() -> CountingLock:
    return CountingLock()
