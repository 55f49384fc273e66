"""A token that a file keeps: servers that are started at once, and one after the other by the command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from support.children import ended


def test_many_that_make_it_at_once_have_one(tmp_path: Path) -> None:
    program = f"from pymilk.web import kept_token; print(kept_token({str(tmp_path / 'token')!r}))"
    children = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({child.communicate(timeout=120)[0] for child in children}) == 1
    assert os.listdir(tmp_path) == ["token"]


def test_the_command_has_the_same_address_again(start_command: Any, shm_dir: Any, tmp_path: Path) -> None:
    tokens = set()
    for _ in range(2):
        server = start_command("web", "--port", "0", "--token-file", tmp_path / "token")
        (token,) = re.findall("#token=(.*)", server.stdout.readline())
        tokens.add(token)
        server.send_signal(signal.SIGTERM)
        ended(server)
    assert tokens == {(tmp_path / "token").read_text().strip()}
    (tmp_path / "token").chmod(0o644)
    code, _, said = ended(start_command("web", "--port", "0", "--token-file", tmp_path / "token"))
    assert code == 1
    assert "chmod 600" in said
