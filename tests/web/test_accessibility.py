"""The page as axe-core sees it: rules of WCAG 2.1 AA and good practice, in both themes.

axe-core is installed from npm for this test alone, into a temporary folder; left out if that fails.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from support.browsing import Browser, Look, looking

AXE = "axe-core@4.14.1"

RUN = """async () => {
  const kinds = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
  const { violations, passes } = await axe.run(document, { runOnly: kinds });
  const said = ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`;
  return [passes.length, violations.map(said)];
}"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    folder = tmp_path_factory.mktemp("axe")
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--prefix", str(folder)]
    try:
        done = subprocess.run([npm, "install", *options, AXE], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not get axe-core: no answer in 60 s")
    script = Path(folder, "node_modules", "axe-core", "axe.min.js")
    if done.returncode or not script.is_file():
        pytest.skip(f"npm does not get axe-core: {done.stderr.strip()[-200:]}")
    return script.read_text()


def problems(look: Look) -> list[str]:
    passed, found = look.page.evaluate(RUN)
    assert passed > 10  # the rules were tried
    return found


def test_nothing_keeps_anybody_out(browser: Browser, shm_dir: Any, axe: str) -> None:
    image = np.arange(48, dtype="u2").reshape(6, 8)
    with SHM("cam", image), SHM("tel", np.zeros(100)), \
            looking(browser, "cam", ",tool:statistics,regions:box 4 3 4 4") as look:  # fmt: skip
        look.until("document.querySelectorAll('#streams button').length === 2")
        look.page.evaluate(axe)
        try:
            for theme in ("light", "dark"):
                look.page.emulate_media(color_scheme=theme)
                assert problems(look) == [], theme
                look.press("y")  # the history, and its menu
                look.painted()
                assert problems(look) == [], theme
            look.until("document.querySelector('.view').classList.contains('stale')")
            assert problems(look) == []
            look.page.click("#help-button")
            assert problems(look) == []
        finally:
            look.page.emulate_media(color_scheme="null")
