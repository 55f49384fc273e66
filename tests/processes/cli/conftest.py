"""Writers for the commands."""

from __future__ import annotations

import pytest

from support.children import Child
from support.commands import WRITER
from support.cubes import recorded as recorded


@pytest.fixture
def writer(spawn) -> Child:
    child = spawn(WRITER, "cam", 8, 2000)
    child.expect("ready")
    return child


@pytest.fixture
def plain_writer(spawn) -> Child:
    child = spawn(WRITER, "cam", 0, 2000)
    child.expect("ready")
    return child
