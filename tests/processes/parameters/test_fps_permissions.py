"""What other users may do: a file that may not be read, not be written, or not be made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymilk.parameters import FPS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")

#: Becomes nobody, and says what it is told.
NOBODY = """
import os, sys
from pymilk.parameters import FPS
import pymilk.parameters.fps
os.setgid(65534)
os.setuid(65534)
def said(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__ + " " + str(isinstance(error, PermissionError))
def attach():
    with FPS("loop") as fps:
        return fps.writable, fps["n"], said(lambda: fps.set("n", 2)), said(fps.destroy)
print(said(attach))
print(said(lambda: FPS("loop", writable=True)))
print(said(lambda: FPS.create("mine", directories=False)))
"""


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o600, ["FPSPermissionError True"] * 3),
        (
            0o644,
            [
                "(False, 1, 'FPSReadOnlyError True', 'FPSPermissionError True')",
                "FPSPermissionError True",
                "FPSPermissionError True",
            ],
        ),
    ],
)
def test_as_somebody_else(mode: int, expected: list[str], shm_dir: Path, spawn: Callable[..., Any]) -> None:
    shm_dir.chmod(0o755)
    with FPS.create("loop", directories=False) as fps:
        os.chmod(fps.path, mode)
        fps.add_param("n", default=1)
        child = spawn(NOBODY)
        assert [child.hear() for _ in expected] == expected
        assert child.finish()[0] == 0
        assert fps["n"] == 1
    assert [path.name for path in shm_dir.iterdir()] == ["loop.fps.shm"]
