"""The scripts of the recipes run, and print what their pages say but for the numbers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "examples").exists(), reason="needs the sources")

#: Arguments that make a script short.
SHORT = {
    "dark": ["100"],
    "running_mean": ["200"],
    "closed_loop": ["60"],
    "record_night": ["0.6", "100"],
    "compare_cameras": ["100"],
    "from_pymilk": [],
    "lost_frames": ["300"],
    "in_browser": ["0.1"],
    "dask_mean": ["200"],
    "archive_analysis": ["--frames", "256", "--segment", "32", "--workers", "1"],
    "gpu_frame": [],
    "napari_live": ["1"],
    "pyrtc_bridge": [],
    "bluesky_device": ["2"],
}

#: Libraries that a script cannot do without. Of `gpu_frame` one is enough.
NEEDS = {
    "dask_mean": ["h5py", "dask"],
    "archive_analysis": ["h5py", "distributed"],
    "in_browser": ["starlette", "uvicorn", "websockets", "astropy"],
    "napari_live": ["napari"],
    "pyrtc_bridge": ["pyrtc"],
    "bluesky_device": ["bluesky", "ophyd"],
}

PAGES = sorted(path for path in (ROOT / "docs" / "recipes").glob("*.md") if path.name != "README.md")


def without_numbers(text: str) -> list[str]:
    """Return lines as patterns, each once if it comes several times in a row."""
    lines = [re.sub(r"\d[\d.:T-]*", "#", line) for line in text.strip().splitlines()]
    return [line for line, _ in groupby(lines)]


def test_each_script_has_a_page() -> None:
    scripts = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert scripts == set(SHORT) == {page.stem.replace("-", "_") for page in PAGES}
    listed = (ROOT / "docs" / "recipes" / "README.md").read_text()
    assert all(f"({page.name})" in listed and f"\n{page.stem}\n" in listed for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_recipe_prints_what_its_page_says(page: Path, shm_dir: Path, tmp_path: Path) -> None:
    name = page.stem.replace("-", "_")
    missing = [each for each in NEEDS.get(name, []) if find_spec(each) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    if name == "napari_live" and not os.environ.get("DISPLAY"):
        pytest.skip("needs a screen")
    text = page.read_text()
    assert f"({os.path.relpath(ROOT / 'examples' / f'{name}.py', page.parent)})" in text
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py", *SHORT[name]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "not run: neither" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    printed = re.search(r"^prints\n\n```\n(.*?)^```", text, re.M | re.S)
    assert printed, "the page has no output"
    assert without_numbers(done.stdout) == without_numbers(printed[1])
    assert not list(shm_dir.iterdir()), "streams were left"
