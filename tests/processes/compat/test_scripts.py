"""Scripts for the older libraries run unchanged, under the old names, beside a live camera."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.children import Child
from support.paths import TESTS

SCRIPTS = sorted((TESTS / "data" / "scripts").glob("*.py"))

CAMERA = """
import numpy as np
from pymilk import Stream
stream = Stream.create("camera", (120, 160), "u2", nbkw=10)
stream.publish(np.zeros(stream.shape, "u2"))
print("ready", flush=True)
while True:
    n = stream.counter + 1
    block = np.empty((50, *stream.shape), "u2")
    block[:] = np.arange(n, n + 50).astype("u2")[:, None, None]
    stream.publish_many(block, interval_ns=1_000_000)
"""


@pytest.fixture
def camera(spawn) -> Iterator[Child]:
    child = spawn(CAMERA)
    child.expect("ready")
    yield child
    assert child.process.poll() is None, "no script may end the camera"
    child.kill()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_unchanged(camera, script, shm_dir):
    if "fits" in script.read_text():
        pytest.importorskip("astropy")
    before = script.read_text()
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=shm_dir,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDEVMODE": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.stderr == ""
    assert run.returncode == 0
    assert run.stdout.splitlines()[-1] == "done"
    assert script.read_text() == before


def test_there_are_scripts_for_each_library():
    texts = "".join(script.read_text() for script in SCRIPTS)
    for words in ("from pyMilk.interfacing", "import ImageStreamIOWrap", "from xaosim.shmlib import"):
        assert words in texts


def test_familiar_lines_of_monitor_count(camera, shm_dir):
    [script] = [script for script in SCRIPTS if script.stem == "take_frames"]
    command = [sys.executable, str(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=shm_dir)
    lines = run.stdout.splitlines()
    start = lines.index("Irregularities:")
    for line, words in zip(
        lines[start + 1 : start + 4], ("deltas in pre.", "deltas in post.", "pre/post diff."), strict=True
    ):
        assert line.endswith(words)
        assert " < 1, " in line
        assert " > 1 " in line
