"""Ring readers in asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from pymilk import SHM
from pymilk.errors import StreamClosedError, StreamTimeoutError
from support.rings import Both, account, each_source, is_busy, numbers_of
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]


@each_source
def test_ablocks(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> list[int]:
        seen: list[int] = []
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.001)
                beats += 1
                if beats % 5 == 0 and both.number < 12:
                    both.feed()

        heart = asyncio.create_task(beat())
        async for block in both.ring.ablocks(frames=3, timeout=PATIENCE):
            seen += numbers_of(block)
            if len(seen) == 11:
                break
        heart.cancel()
        # The loop went on while the ring was waited for.
        assert beats >= 55
        return seen

    assert asyncio.run(main()) == list(range(2, 13))
    assert account(both.ring) == (11, 0, 0)


@each_source
def test_ablocks_timeout(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main(timeout: float) -> None:
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError) as caught:
            await anext(both.ring.ablocks(timeout=timeout))
        assert time.monotonic() - began >= timeout
        assert (caught.value.stream, caught.value.timeout) == ("cam", timeout)

    for timeout in (0, 0.15):
        asyncio.run(main(timeout))
    both.feed()
    assert numbers_of(next(both.ring.blocks(timeout=0))) == [2]


@each_source
def test_cancelled_ablocks_leave_the_ring_free(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> None:
        for _ in range(3):
            waiting = asyncio.create_task(anext(both.ring.ablocks(timeout=None)))
            while not is_busy(both.ring):
                await asyncio.sleep(0.001)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            # At once: nobody is waiting any more.
            assert len(both.ring.peek(1)) == 0
            both.feed()
            assert numbers_of(both.ring.read(1, timeout=0)) == [both.number]
        # A wait that is limited by asyncio is the same.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(both.ring.ablocks(timeout=None)), 0.02)
        both.feed()
        assert numbers_of(await anext(both.ring.ablocks(timeout=0))) == [both.number]

    asyncio.run(main())
    assert account(both.ring) == (4, 0, 0)


@each_source
def test_close_ends_ablocks(make: MakeSHM, source: str) -> None:
    both = Both(make, source)

    async def main() -> None:
        waiting = asyncio.create_task(anext(both.ring.ablocks(timeout=None)))
        while not is_busy(both.ring):
            await asyncio.sleep(0.001)
        both.ring.close()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(waiting, PATIENCE)

    asyncio.run(main())
