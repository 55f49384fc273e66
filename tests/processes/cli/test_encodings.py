"""Commands on terminals that cannot encode a name or a keyword: replacements, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from support.commands import COMMAND

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

#: Environments in which Python encodes what it prints in other ways than UTF-8.
NARROW = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "latin-1:strict": {"PYTHONIOENCODING": "latin-1:strict"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


class Said(NamedTuple):
    """What came of a command."""

    command: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes


def said(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    everything = {**plain, "PYTHONSAFEPATH": "1", **environment}
    return subprocess.run([*map(str, arguments)], capture_output=True, timeout=100, env=everything)


#: Runs commands, each in a process of its own, forked from one that did nothing before: they find what
#: Python made of this environment, and pymilk is imported once. A character of their own
#: stands between the words of a command.
COMMANDS = """
import os, sys
import pymilk.cli.app, pymilk.cli.start
for number, words in enumerate(sys.argv[2:]):
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        for stream in (1, 2):
            path = os.path.join(sys.argv[1], f"{number}.{stream}")
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream)
        sys.argv = ["pymilk", *words.split("\\x1e")]
        sys.exit(pymilk.cli.start.main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def all_said(environment: dict[str, str], folder: Path, commands: list[tuple[str, ...]]) -> list[Said]:
    """Return exit code, stdout and stderr of each command."""
    words = ["\x1e".join(command) for command in commands]
    codes = said(environment, sys.executable, "-c", COMMANDS, folder, *words)
    assert codes.stderr == b""
    return [
        Said(command, int(code), *((folder / f"{number}.{stream}").read_bytes() for stream in (1, 2)))
        for number, (command, code) in enumerate(zip(commands, codes.stdout.split(), strict=True))
    ]


@pytest.mark.parametrize("narrow", NARROW)
def test_names_and_keywords_that_cannot_be_encoded(narrow, make_stream, tmp_path):
    stream = make_stream("dm_λ", (2, 2), "u1")
    stream.write_keywords([("ΔT", 2.5, "°C → K"), ("OBJ", "λ Ori", "")])
    stream.publish(np.zeros((2, 2), "u1"))
    commands = [
        ("ls",), ("ls", "--json"), ("info", "dm_λ", "--measure", "0"), ("kw", "dm_λ"),
        ("kw", "dm_λ", "ΔT=hot"), ("kw", "dm_λ", "--json"), ("doctor",), ("graph",), ("ps",),
        ("show", "dm_λ", "--once"), ("--help",), ("kw", "dm_λ", "OBJ"), ("kw", "dm_λ", "Ω"),
    ]  # fmt: skip
    found = all_said(NARROW[narrow], tmp_path, commands)
    for each in found:
        assert b"Traceback" not in each.stderr, each
        assert each.code in (0, 1), each
    *_, known, missing = found
    assert known.stdout.endswith(b" Ori\n")
    assert (missing.code, missing.stdout) == (1, b"")
    assert b"has no keyword" in missing.stderr


@pytest.mark.parametrize("narrow", NARROW)
def test_a_command_of_its_own(narrow, make_stream):
    make_stream("dm_λ", (2, 2), "u1").write_keywords([("ΔT", 2.5, "°C → K")])
    found = said(NARROW[narrow], *COMMAND, "kw", "dm_λ")
    assert (found.returncode, found.stderr) == (0, b"")
    # Where Python would write ASCII, click takes UTF-8 instead.
    assert (b"\n?T" if narrow.startswith("latin") else "\nΔT".encode()) in found.stdout


@pytest.mark.parametrize("narrow", NARROW)
def test_metadata_that_are_printed(narrow, make_stream):
    make_stream("dm_λ", (2, 2), "u1").publish(np.zeros((2, 2), "u1"))
    code = (
        "import sys\n"
        "from pymilk import SHM\n"
        "from pymilk.compat.xaosim import shm\n"
        "cam = SHM(sys.argv[1])\n"
        "cam.print_meta_data()\n"
        "cam.close()\n"
        "old = shm(sys.argv[1])\n"
        "old.print_meta_data()\n"
        "old.close()\n"
    )
    found = said(NARROW[narrow], sys.executable, "-c", code, "dm_λ")
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"Name: dm_?" in found.stdout
