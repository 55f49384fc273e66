"""Processes in a PID namespace of their own, as in a container. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

from support.paths import TESTS

#: How to begin a process that sees only itself and its children, under numbers of its own.
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@cache
def _possible() -> bool:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def needs_namespaces() -> None:
    """Skip the test where PID namespaces cannot be made."""
    if not _possible():
        pytest.skip("needs root, unshare and PID namespaces")


def begin_inside(*command: str) -> subprocess.Popen[str]:
    """Start a command in a new PID namespace."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(TESTS)}
    environment.pop("PYTHONDEVMODE", None)
    return subprocess.Popen(
        [*UNSHARE, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def run_inside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``pymilk ...`` in a new PID namespace, and wait for its end."""
    process = begin_inside(sys.executable, "-m", "pymilk", *arguments)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)
