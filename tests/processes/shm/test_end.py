"""The exit of a process with an open SHM."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.camera import numbers


@pytest.mark.parametrize("options", [[], ["-W", "error"], ["-X", "dev"]])
def test_exit_with_an_open_object(make, options):
    make("cam", numbers((2, 2)))
    run = subprocess.run(
        [sys.executable, *options, "-c", "from pymilk import SHM; shm = SHM('cam'); shm.get_data()"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDEVMODE": ""},
    )
    assert run.returncode == 0
    if not options:
        assert (run.stdout, run.stderr) == ("", "")
    else:
        assert "ImportError" not in run.stderr
        assert "Traceback" not in run.stderr or "ResourceWarning" in run.stderr
