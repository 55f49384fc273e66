"""Temporary files of a number that another process has now."""

from __future__ import annotations

import os
import time

from pymilk.streams.directory import find_stale, remove_stale
from support.dying import left_over


def test_file_of_a_number_that_another_process_has_now(shm_dir, monkeypatch):
    path = left_over(shm_dir, os.getpid())
    assert find_stale() == []
    now = time.time()
    monkeypatch.setattr("pymilk.system.temporary.time.time", lambda: now + 61)
    assert remove_stale() == [str(path)]
