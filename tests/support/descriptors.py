"""Descriptors with numbers that `select.select` does not take, as where a process has many files open."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

#: The first number; `select.select` takes those below 1024.
_FIRST = 1100


@contextlib.contextmanager
def many_allowed() -> Iterator[None]:
    """Let this process have such numbers within a block; the test is skipped where it may not."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limits[1] < 2 * _FIRST:
        pytest.skip("no more descriptors are allowed")
    if 0 <= limits[0] < 2 * _FIRST:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * _FIRST, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def moved_up(low: int) -> int:
    """Give a descriptor such a number."""
    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    finally:
        os.close(low)
