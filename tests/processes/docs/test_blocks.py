"""The Python in README and in the first ten minutes runs as it is printed, beside a live camera."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymilk import SimulatedCamera
from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")

#: A block of Python, and what is printed beside it, if that is stable.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.M | re.S)


def blocks_of(page: str) -> Iterator[tuple[int, str, str | None]]:
    """Give the line of each block, its code, and what it prints."""
    text = (ROOT / page).read_text()
    for found in BLOCK.finditer(text):
        yield text[: found.start()].count("\n") + 2, found[1], found[2]


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_page_runs_as_printed(
    page: str, shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    count = 0
    with SimulatedCamera("cam0", rate=1000), contextlib.ExitStack() as closing:
        for line, code, wanted in blocks_of(page):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                # Tracebacks name the line of the page.
                exec(compile("\n" * (line - 1) + code, str(ROOT / page), "exec"), names)
            if wanted is not None:
                assert said.getvalue() == wanted, f"{page}:{line}"
            count += 1
        for value in names.values():
            if hasattr(value, "close") and hasattr(value, "__exit__") and not isinstance(value, type):
                closing.callback(value.close)
    assert count >= 4
