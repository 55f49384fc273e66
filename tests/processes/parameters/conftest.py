"""A tmux server of a test's own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmux_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is started by tmux belongs to a server that ends with the test."""
    program = shutil.which("tmux") or "tmux"  # a test may hide it
    # The path of its socket has to be short.
    sockets = Path(tempfile.mkdtemp(prefix="tmux-"))
    monkeypatch.setenv("TMUX_TMPDIR", str(sockets))
    monkeypatch.delenv("TMUX", raising=False)
    # tmux starts login shells: those of the user run what the profile says, which may take long.
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    subprocess.run([program, "kill-server"], capture_output=True, check=False)
    # The server removes its socket while we do.
    until = time.monotonic() + 60
    while sockets.exists() and time.monotonic() < until:
        shutil.rmtree(sockets, ignore_errors=True)
    assert not sockets.exists()
