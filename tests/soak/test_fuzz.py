"""Every file that once was too much, through all parts of the fuzz target."""

from __future__ import annotations

import subprocess
import sys

from support.paths import MALFORMED, TESTS

CASES = sorted(MALFORMED.glob("*.bin"))


def test_found_cases_in_full() -> None:
    """All parts, by the command that others run on files of their own."""
    command = [sys.executable, "-m", "fuzz", "files", *map(str, CASES)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [f"{path}: accepted" for path in CASES]
