"""Notebooks of the documentation leave nothing behind, whatever ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

#: The drawing library is not needed, and takes a second to import.
BEFORE = """
import sys, types
for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = types.SimpleNamespace(rcParams={})
sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
"""

#: A cell that fails beside a camera in a process of its own.
FAILS = """
camera = pymilk.SimulatedCamera("cam0", rate=100, ring=8).__enter__()
print(os.environ["MILK_SHM_DIR"], sorted(os.listdir(folder.name)), flush=True)
raise ZeroDivisionError
"""


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]


@pytest.mark.skipif(not NOTEBOOKS, reason="needs the sources")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda each: each.stem)
def test_a_notebook_that_fails_leaves_no_streams(notebook: Path, tmp_path: Path) -> None:
    first, *_, last = code_of(notebook)
    assert "folder.cleanup()" in last
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + first + FAILS],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "ZeroDivisionError" in done.stderr, done.stderr
    folder, _, found = done.stdout.partition(" ")
    assert "cam0.im.shm" in found
    assert folder.startswith("/dev/shm/pymilk-notebook-")
    assert not os.path.exists(folder)
    assert list(tmp_path.iterdir()) == []
