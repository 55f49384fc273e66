"""The browser of all tests here."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

for library in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(library)

from support.browsing import Browser, browsing  # noqa: E402

_FOLDER = Path(__file__).parent
_opened = contextlib.ExitStack()
_browsers: list[Browser] = []


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Return the browser, which the first of the files starts."""
    if not _browsers:
        _browsers.append(_opened.enter_context(browsing()))
    return _browsers[0]


def _end() -> None:
    _browsers.clear()
    _opened.close()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the browser before tests elsewhere: its event loop keeps others out of this thread."""
    if nextitem is None or _FOLDER not in nextitem.path.parents:
        _end()


def pytest_sessionfinish() -> None:
    """End it also if the tests were stopped."""
    _end()
