"""Unit tests that start a process or sleep fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.paths import TESTS

#: The first test may do what it does; every other one must not.
OFFENCES = """
import contextlib, multiprocessing, os, subprocess, sys, time

def test_short_sleep(): time.sleep(0.004)
def test_sleep(): time.sleep(0.006)
def test_popen(): subprocess.run([sys.executable, "-c", ""])
def test_fork(): os.fork() or os._exit(0)
def test_system(): os.system("true")
def test_spawn(): os.posix_spawn("/bin/true", ["true"], {})
def test_multiprocessing(): multiprocessing.get_context("spawn").Process(target=print).start()
def test_caught():
    with contextlib.suppress(RuntimeError):
        os.fork() or os._exit(0)
"""


def test_offences_fail(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((TESTS / "unit" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(OFFENCES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    names = set(re.findall(r"def (test_\w+)", OFFENCES))
    assert "belongs in tests/processes" in done.stdout
    assert set(re.findall(r"^ERROR test_it.py::(\w+)", done.stdout, re.M)) == names - {"test_short_sleep"}
