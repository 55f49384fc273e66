"""A source of frames, and who waits for the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")

from pymilk import SHM
from pymilk.web.sources import Source, path_of


def test_who_wants_something_else_does_not_wait_for_the_next_frame(shm_dir: Any) -> None:
    async def look() -> None:
        source = Source(path_of("cam"))
        shown = await source.frame(None, None, 0.0, lambda: False)
        assert shown is not None
        last = (shown.counter, shown.file)
        assert await asyncio.wait_for(source.frame(last, None, 1e6, lambda: True), 30) is None
        assert shown.said["file"] == str(shown.file)
        source.close()

    with SHM("cam", np.zeros((2, 2), "u1")):
        asyncio.run(look())
