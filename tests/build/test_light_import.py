"""``import pymilk`` brings nothing that takes long to import and that few need."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

#: Libraries of Python that take a millisecond or more, beyond those that NumPy brings. Without `logging`
#: nobody can listen, and nothing is told.
HEAVY = (
    "asyncio", "bz2", "concurrent.futures", "http", "inspect", "logging", "lzma", "queue", "shutil", "socket",
    "tempfile", "tomllib", "zlib",
)  # fmt: skip

CODE = """
import json, sys, numpy
before = set(sys.modules)
import pymilk
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_import_is_light() -> None:
    said = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    brought = json.loads(said.stdout)
    assert "pymilk.ring.reader" in brought
    assert sorted(set(HEAVY) & set(brought)) == [], f"beyond NumPy {np.__version__}"
