"""The browser of all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

for library in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(library)

from support.browsing import Browser, browsing  # noqa: E402


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started
