"""Facade of magscope.datatypes: names of segments that Python's resource tracker cannot be told of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import MatrixBuffer
from support.segments import CountingLock, new_name, segments


@pytest.fixture
def name() -> Iterator[str]:
    with new_name() as name:
        yield name


MAKER = """
import os, sys, threading
from pymilk.compat.magscope import MatrixBuffer
matrix = MatrixBuffer(create=True, locks={sys.argv[1]: threading.Lock()}, name=sys.argv[1], shape=(2, 2))
assert len([each for each in os.listdir("/dev/shm") if each.startswith(sys.argv[1])]) == 3
"""


@pytest.mark.parametrize("ending", [" é", " a:b", " new\nline", " plain"])
def test_any_name_is_made_attached_and_removed(name: str, ending: str) -> None:
    name += ending
    locks: dict[str, Any] = {name: CountingLock()}
    matrix = MatrixBuffer(create=True, locks=locks, name=name, shape=(2, 2))
    matrix.write(np.ones((1, 2)))
    assert MatrixBuffer(create=False, locks=locks, name=name).read().tolist() == [[1.0, 1.0]]
    with pytest.raises(FileExistsError):
        MatrixBuffer(create=True, locks=locks, name=name, shape=(2, 2))
    assert len(segments(name)) == 3
    for segment in (matrix._shm, matrix._idx_shm, matrix._shm_info):
        segment.unlink()
    assert segments(name) == {}
    made = subprocess.run([sys.executable, "-c", MAKER, name], capture_output=True, text=True, timeout=120)
    assert (made.returncode, made.stderr) == (0, "")
    assert segments(name) == {}
