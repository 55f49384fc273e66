"""Objects of the ImageStreamIOWrap interface, and foreign streams for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support import isio_format as fmt
from support.images import make as make


@pytest.fixture
def foreign(shm_dir: Path) -> Callable[[fmt.StreamFile], None]:
    """Put a stream that pymilk did not make into the directory."""

    def put(stream: fmt.StreamFile) -> None:
        (shm_dir / f"{stream.name}.im.shm").write_bytes(fmt.encode(stream))

    return put
