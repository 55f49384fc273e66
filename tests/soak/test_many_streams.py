"""A thousand streams in one process, and many cycles of open and close."""

from __future__ import annotations

import os

from support.leaks import many_streams, no_leak


def test_1000_streams_in_one_process():
    many_streams(1000)


def test_nothing_leaks_for_long():
    no_leak(int(os.environ.get("PYMILK_LEAK_CYCLES", "300")), 2_000_000)
