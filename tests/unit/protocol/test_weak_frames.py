"""Frames of a plain stream in weak memory: the orders that there are suffice, and each of them is needed."""

from __future__ import annotations

import pytest

from support.frame_protocol import ABANDONED, PUBLISHED, SITES, Stream
from support.orders import ORDERS

FATES = {
    "published": [PUBLISHED] * 3,
    "one abandoned": [PUBLISHED, ABANDONED, PUBLISHED],
    "two abandoned": [ABANDONED, ABANDONED, PUBLISHED],
}


def faults(stream: Stream) -> set[str]:
    """What a reader can be told that is wrong."""
    found = set()
    for last, frame in stream.received():
        if frame.number <= last:
            found.add("not newer than the one before")
        if len(set(frame.pixels)) > 1:
            found.add("torn")
        elif not frame.number <= frame.pixels[0] < frame.number + 1:
            found.add("under the number of another")
        if set(frame.stamp) != {frame.number}:
            found.add("with the time of another")
    for stamp in stream.results(stream.steady_stamp):
        if stamp is not None and len(set(stamp)) > 1:
            found.add("a stamp of two frames")
    for counter, pixels in stream.results(stream.count_and_view):
        if min(pixels) < counter:
            found.add("a counter before its pixels")
    return found


@pytest.mark.parametrize("fates", FATES)
def test_nothing_wrong_is_received(fates: str) -> None:
    stream = Stream(FATES[fates], ORDERS)
    assert faults(stream) == set()
    # The check had something to check: every number was received.
    last = FATES[fates].count(PUBLISHED)
    assert {frame.number for _, frame in stream.received()} >= set(range(1, last + 1))


@pytest.mark.parametrize("site", SITES)
def test_each_order_is_needed(site: str) -> None:
    weaker = {name: order for name, order in ORDERS.items() if name != site}
    short = [PUBLISHED, ABANDONED, PUBLISHED] if "abandon" in site else [PUBLISHED] * 2
    assert faults(Stream(short, weaker)) != set()


def test_writers_without_fences_are_not_safe() -> None:
    """As those of the C library, which relies on the order of x86."""
    writer = ("open_frame", "close_frame_by", "abandon_frame")
    orders = {name: order for name, order in ORDERS.items() if not name.startswith(writer)}
    assert "torn" in faults(Stream([PUBLISHED], orders))
