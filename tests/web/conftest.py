"""The browser of the tests here: ended with each file, because its event loop stands in the way of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

for library in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(library)

from support.browsing import Browser, browsing  # noqa: E402


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started
