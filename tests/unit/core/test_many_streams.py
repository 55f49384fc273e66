"""Many streams in one process, and nothing is left over."""

from __future__ import annotations

from support.leaks import many_streams, no_leak


def test_100_streams_in_one_process():
    many_streams(100)


def test_nothing_leaks():
    # Pages of the allocator come and go: a leak of one header a cycle would be 10 times that.
    no_leak(10, 1_500_000)
