"""Threads of one process that use the same handles."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from pymilk.errors import FrameTornWarning
from support import threads


@pytest.mark.parametrize("shape", [(16, 16), (120, 120)])
def test_threads_on_the_same_handles(shm_dir: Path, shape: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FrameTornWarning)  # on a machine with more to do than cores
        table, wrong = threads.run(0.1, shape, 500)
    assert not wrong, table
