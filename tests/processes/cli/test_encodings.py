"""Commands on terminals that cannot encode a name or a keyword: replacements, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

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


def said(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    everything = {**plain, "PYTHONSAFEPATH": "1", **environment}
    return subprocess.run([*map(str, arguments)], capture_output=True, timeout=100, env=everything)


@pytest.mark.parametrize("narrow", NARROW)
def test_names_and_keywords_that_cannot_be_encoded(narrow, make_stream):
    stream = make_stream("dm_λ", (2, 2), "u1")
    stream.write_keywords([("ΔT", 2.5, "°C → K"), ("OBJ", "λ Ori", "")])
    stream.publish(np.zeros((2, 2), "u1"))
    for arguments in (
        ("ls",), ("ls", "--json"), ("info", "dm_λ", "--measure", "0"), ("kw", "dm_λ"), ("kw", "dm_λ", "OBJ"),
        ("kw", "dm_λ", "ΔT=hot"), ("kw", "dm_λ", "--json"), ("doctor",), ("graph",), ("ps",),
        ("show", "dm_λ", "--once"), ("--help",),
    ):  # fmt: skip
        found = said(NARROW[narrow], *COMMAND, *arguments)
        assert b"Traceback" not in found.stderr, (arguments, found.stderr)
        assert found.returncode in (0, 1), (arguments, found)
    assert said(NARROW[narrow], *COMMAND, "kw", "dm_λ", "OBJ").stdout.endswith(b" Ori\n")
    missing = said(NARROW[narrow], *COMMAND, "kw", "dm_λ", "Ω")
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b"has no keyword" in missing.stderr


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
