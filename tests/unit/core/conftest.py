"""A small stream that wrong calls must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pymilk._core import Stream
from support.refusals import content
from support.refusals import stream as stream

Make = Callable[..., Stream]


@pytest.fixture
def unchanged(stream: Stream) -> Iterator[None]:
    """The stream file has the same bytes after the test."""
    assert stream.sem_index == 0  # taken now; a call that fails may take it before it fails
    before = content(stream)
    yield
    assert content(stream) == before
