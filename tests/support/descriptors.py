"""Processes that have many descriptors, so that `select.select` does not take their numbers, or none left."""

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


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open no more than so many files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(map(int, os.listdir("/proc/self/fd")))
    # The lowest free number is given first: then there is no free one below the last.
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < top:
        opened.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1] + 1 + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in opened:
            os.close(each)
