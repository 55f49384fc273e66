"""``pymilk completion``, and bash that completes with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(shell: str) -> None:
    said = run("completion", shell)
    assert (said.returncode, said.stderr) == (0, "")
    assert "_PYMILK_COMPLETE" in said.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_the_name_of_a_stream(make_stream, tmp_path: Path) -> None:
    make_stream("wavefront", (4, 4), "u2")
    command = tmp_path / "pymilk"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pymilk "$@"\n')
    command.chmod(0o755)
    script = """
PATH=$1:$PATH
eval "$(pymilk completion bash)"
COMP_WORDS=(pymilk info wav) COMP_CWORD=2
_pymilk_completion pymilk
echo "${COMPREPLY[@]}"
"""
    said = subprocess.run(
        ["bash", "-c", script, "bash", str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert said.stdout == "wavefront\n"
