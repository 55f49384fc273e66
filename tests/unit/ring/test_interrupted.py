"""The account stays exact whatever exception comes, wherever it comes."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import numpy as np
import pytest

from pymilk import RingReader, wait_any
from pymilk._core import Turn
from pymilk.errors import StreamBusyError, StreamTimeoutError
from support.interrupts import Interrupt, interrupted
from support.rings import SOURCES, Both, MakeSHM

#: More places than a read has.
MANY = 400


def numbers(found: Any) -> list[int]:
    """Numbers of the frames of a capture or a block; none for None."""
    return [] if found is None else found.info["cnt0"].tolist()


def rest(ring: RingReader) -> list[int]:
    """Numbers of the frames that wait."""
    return numbers(ring.read(ring.lag, timeout=5)) if ring.lag else []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("turned", [False, True])
def test_read_interrupted_anywhere(make: MakeSHM, source: str, turned: bool) -> None:
    """The exception carries the frames read, and the next read begins behind them."""
    for step in range(1, MANY):
        both = Both(make, source)
        both.feed(5)
        expected = list(range(2, 7))
        out = np.empty((3, *both.ring.shape), both.ring.dtype, order="F" if turned else "C")
        got: Any = None
        with interrupted(step):
            try:
                got = both.ring.read(3, out=out)
            except Interrupt as error:
                got = getattr(error, "capture", None)
            else:
                step = MANY
        seen = numbers(got)
        assert got is None or got.frames[:, 0, 0].tolist() == seen
        seen += rest(both.ring)
        assert (seen, both.ring.lost, both.ring.report.received) == (expected, 0, len(expected)), step
        both.ring.close()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


@pytest.mark.parametrize("source", SOURCES)
def test_read_interrupted_while_it_waits(make: MakeSHM, source: str) -> None:
    """What was read before the wait is carried."""
    for step in range(1, MANY):
        both = Both(make, source)
        both.feed(3)
        got: Any = None
        with interrupted(step):
            try:
                both.ring.read(5, timeout=0)
            except (Interrupt, StreamTimeoutError) as error:
                got = getattr(error, "capture", None)
                step = MANY if isinstance(error, StreamTimeoutError) else step
        both.feed(2)
        seen = numbers(got) + rest(both.ring)
        assert (seen, both.ring.lost) == ([2, 3, 4, 5, 6], 0), step
        both.ring.close()
        if step == MANY:
            return
    pytest.fail("a read has more places than that")


@pytest.mark.parametrize("source", SOURCES)
def test_blocks_interrupted_anywhere(make: MakeSHM, source: str) -> None:
    """A block that was not handed over is unread."""
    for step in range(1, MANY):
        both = Both(make, source)
        both.feed(4)
        block: Any = None
        blocks = both.ring.blocks(3)
        with interrupted(step):
            try:
                block = next(blocks)
            except Interrupt:
                pass
            else:
                step = MANY
        seen = numbers(block) + rest(both.ring)
        assert (seen, both.ring.lost) == ([2, 3, 4, 5], 0), step
        both.ring.close()
        if step == MANY:
            return
    pytest.fail("a block has more places than that")


@pytest.mark.parametrize("source", ["fast", "temporal"])
def test_interrupted_while_it_follows(make: MakeSHM, source: str) -> None:
    """The next read goes over to the new file; frames of the old one that are gone are lost."""
    for step in range(1, 2 * MANY):
        both = Both(make, source)
        both.feed(2)
        stamp = np.zeros((3, 4), np.uint32)
        with make("cam", stamp, ring=8, ring_kind=source) as new:
            got: Any = None
            with interrupted(step, "/pymilk/"):
                try:
                    got = both.ring.read(3, timeout=5)
                except Interrupt as error:
                    got = getattr(error, "capture", None)
                else:
                    step = MANY * 2
            new.set_data(stamp)
            seen = numbers(got)
            while len(seen) + both.ring.lost < 4:
                seen += numbers(both.ring.read(1, timeout=5))
            report = both.ring.report
            assert (report.received, report.new_files, report.lag) == (len(seen), 1, 0), step
            assert seen[-2:] == [1, 2], step
        both.ring.close()
        if step == MANY * 2:
            return
    pytest.fail("following has more places than that")


@pytest.mark.parametrize("source", SOURCES)
def test_signal_in_a_wait(make: MakeSHM, source: str) -> None:
    """A signal handler that raises ends a read of frames that do not come; nothing is lost."""

    def handler(number: int, frame: object) -> None:
        raise Interrupt

    both = Both(make, source)
    both.feed(3)
    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupt) as caught:
            both.ring.read(2000, timeout=None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert numbers(caught.value.capture) == [2, 3, 4]  # type: ignore[attr-defined]
    both.feed(2)
    assert rest(both.ring) == [5, 6]
    assert both.ring.lost == 0
    both.ring.close()


def test_capture_is_carried(make: MakeSHM) -> None:
    """Any exception of a signal handler carries the capture that it ended."""
    shm = make("cam", np.zeros((3, 4), np.uint32), ring=8)

    def handler(number: int, frame: object) -> None:
        raise Interrupt

    def feed() -> None:
        for _ in range(3):
            shm.set_data(np.zeros((3, 4), np.uint32))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    old = signal.signal(signal.SIGALRM, handler)
    timer = threading.Timer(0.2, feed)
    timer.start()
    try:
        with pytest.raises(Interrupt) as caught:
            shm.capture(2000, timeout=None)
    finally:
        timer.join()
        signal.signal(signal.SIGALRM, old)
    capture = caught.value.capture  # type: ignore[attr-defined]
    assert capture.done
    assert numbers(capture) == [2, 3, 4]
    assert capture.report.lost == 0


def test_wait_any_leaves_nothing_busy(make: MakeSHM) -> None:
    """Streams and rings can be waited for again after an interrupt."""

    def handler(number: int, frame: object) -> None:
        raise Interrupt

    both = Both(make, "fast")
    other = make("other", np.zeros((3, 4), np.uint32)).ring_reader()
    old = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(Interrupt):
                wait_any([both.ring, other])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    both.feed(1)
    assert wait_any([both.ring, other], 5) == [0]
    assert rest(both.ring) == [2]
    other.close()
    both.ring.close()


def test_an_exception_that_takes_no_attributes(make: MakeSHM) -> None:
    """Frames that an exception cannot carry are unread."""

    class Closed(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    def handler(number: int, frame: object) -> None:
        raise Closed

    both = Both(make, "fast")
    both.feed(2)
    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Closed):
            both.ring.read(3, timeout=None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert rest(both.ring) == [2, 3]
    assert both.ring.lost == 0
    both.ring.close()


def test_two_threads(make: MakeSHM) -> None:
    """Each of two threads gets frames or StreamBusyError; each frame goes to one of them."""
    both = Both(make, "fast", capacity=4096)
    both.feed(2000)
    found: list[list[int]] = [[], []]
    failures: list[BaseException] = []

    def read(mine: list[int]) -> None:
        while both.ring.lag:
            try:
                mine += numbers(both.ring.read(1, timeout=0))
            except (StreamBusyError, StreamTimeoutError):
                pass
            except BaseException as error:
                failures.append(error)
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read, args=(each,)) for each in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert sorted(found[0] + found[1]) == list(range(2, 2002))
    assert both.ring.lost == 0
    both.ring.close()


def test_a_second_thread_is_kept_out_until_the_first_has_left() -> None:
    """A turn is free again after any exception, and busy in between."""
    turn = Turn("cam")
    for error in (KeyboardInterrupt, MemoryError, Interrupt):
        with pytest.raises(error), turn:  # noqa: PT012 (in between it is busy)
            assert turn.locked()
            with pytest.raises(StreamBusyError), turn:
                pass
            assert turn.locked()
            raise error
        assert not turn.locked()
