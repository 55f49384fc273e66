"""The golden files, decoded."""

from __future__ import annotations

from typing import Any

import pytest

from support import golden
from support import isio_format as fmt
from support.codec import NAMES
from support.isio_format import StreamFile


@pytest.fixture(params=NAMES)
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    return golden.entry(request.param)


@pytest.fixture
def raw(entry: dict[str, Any]) -> bytes:
    return golden.path(entry["name"]).read_bytes()


@pytest.fixture
def stream(raw: bytes) -> StreamFile:
    return fmt.decode(raw)

