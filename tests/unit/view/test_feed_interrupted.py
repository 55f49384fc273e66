"""Frames for a picture: one that was not handed over was not taken, wherever an exception comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pymilk import Stream
from pymilk.view import Feed
from support.interrupts import Interrupt, interrupted

MANY = 1000


@pytest.mark.parametrize(
    ("shape", "options"), [((3, 4), {}), ((4, 3, 2), {}), ((4, 3, 2), {"imagetype": 0x20001})]
)
def test_take(make_stream: Callable[..., Stream], shape: tuple[int, ...], options: dict[str, int]) -> None:
    stream = make_stream("cam", shape, "u2", **options)
    frame = np.zeros(stream.frame_shape, "u2")
    with Feed("cam") as feed:
        feed.take()
        lost = 0
        for step in range(1, MANY):
            stream.publish(frame)
            stream.publish(frame)
            before = (feed.counter, feed.lost, feed.torn, feed.slice, feed.written_ns)
            with interrupted(step, "/pymilk/view/"):
                try:
                    feed.take()
                except Interrupt:
                    pass
                else:
                    step = MANY
            if step == MANY:
                break
            assert (feed.counter, feed.lost, feed.torn, feed.slice, feed.written_ns) == before, step
            assert feed.look()
            feed.take()
            lost += 1
            assert (feed.counter, feed.lost) == (stream.counter, lost), step
        assert 2 < lost < MANY - 2
        assert (feed.counter, feed.lost) == (stream.counter, lost + 1)


@pytest.mark.parametrize("module", ["/pymilk/view/", "/pymilk/streams/waiting"])
def test_new_file(make_stream: Callable[..., Stream], module: str) -> None:
    """After an interrupt the next look goes over to the new file."""
    for step in range(1, MANY):
        make_stream("cam", (3, 4), "u2")
        with Feed("cam") as feed:
            feed.take()
            make_stream("cam", (5, 6), "f4")
            with interrupted(step, module):
                try:
                    feed.look()
                except Interrupt:
                    pass
                else:
                    step = MANY
            feed.look()
            assert (feed.shape, feed.take().shape, feed.dtype) == ((5, 6), (5, 6), np.float32), step
        if step == MANY:
            return
    pytest.fail("a look has more places than that")
