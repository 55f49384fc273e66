"""Wrong calls of ring readers and ring writers."""

from __future__ import annotations

import asyncio
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, RingReader, Stream, wait_any
from pymilk.errors import (
    CaptureMemoryError,
    FrameLostError,
    SchedulingWarning,
    StreamArgumentError,
    StreamClosedError,
    StreamFormatError,
    StreamNotFoundError,
)
from support.rings import DTYPE, SHAPE, Both, account, create, each_source, numbers_of, receivers, stamped
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]


def refused(argument: str, found: Any, call: Callable[[], object]) -> StreamArgumentError:
    with pytest.raises(StreamArgumentError) as caught:
        call()
    error = caught.value
    assert type(error) is StreamArgumentError
    assert isinstance(error, ValueError)
    assert error.argument == argument
    assert error.found is found or error.found == found
    assert argument in str(error)
    return error


@each_source
@pytest.mark.parametrize("depth", [0, -1, 1.5, "x", 2**62, math.nan, [4]])
def test_bad_depth(make: MakeSHM, source: str, depth: Any) -> None:
    shm = create(make, source)
    error = refused("depth", depth, lambda: shm.ring_reader(depth))
    assert repr(depth) in str(error)
    assert receivers() == []


@pytest.mark.parametrize("depth", [2**40, 2**61, 2**62 - 1])
def test_depth_too_large_for_memory(make: MakeSHM, depth: int) -> None:
    shm = create(make, "collector")
    for call in (lambda: shm.ring_reader(depth), lambda: RingReader("cam", depth=depth)):
        with pytest.raises(CaptureMemoryError, match="'cam'") as caught:
            call()
        error = caught.value
        assert isinstance(error, MemoryError)
        assert error.stream == "cam"
        assert error.needed >= depth * 48
        assert 0 < error.available < error.needed
        for number in (depth, error.needed, error.available, error.available // 96):
            assert str(number) in str(error)
    assert receivers() == []


@each_source
@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (argument, found)
        for argument in ("policy", "start", "on_lost", "source", "wait")
        for found in ("", "all", "EVERY", None, 1, ["every"])
    ],
)
def test_bad_choice(make: MakeSHM, source: str, argument: str, found: Any) -> None:
    shm = create(make, source)
    error = refused(argument, found, lambda: shm.ring_reader(**{argument: found}))
    assert repr(found) in str(error)
    refused(argument, found, lambda: RingReader("cam", **{argument: found}))
    assert receivers() == []


@each_source
@pytest.mark.parametrize("cpu", [-1, 4096, "0", 1.5])
def test_bad_cpu(make: MakeSHM, source: str, cpu: Any) -> None:
    shm = create(make, source)
    error = refused("cpu", cpu, lambda: shm.ring_reader(4, source="collector", cpu=cpu))
    assert str(sorted(os.sched_getaffinity(0))) in str(error)
    assert receivers() == []


@each_source
@pytest.mark.parametrize("priority", [0, -1, 100, "high", 1.5])
def test_bad_priority(make: MakeSHM, source: str, priority: Any) -> None:
    shm = create(make, source)
    refused("priority", priority, lambda: shm.ring_reader(4, source="collector", priority=priority))
    assert receivers() == []


def test_cpu_of_the_collector(make: MakeSHM) -> None:
    shm = create(make, "collector")
    cpu = max(os.sched_getaffinity(0))
    with shm.ring_reader(4, cpu=cpu):
        (thread,) = receivers()
        assert os.sched_getaffinity(thread.native_id) == {cpu}
    assert cpu in os.sched_getaffinity(0)


def test_priority_that_is_not_permitted(make: MakeSHM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def refuse(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append((pid, policy, param.sched_priority))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    shm = create(make, "collector")
    for call in (
        lambda: shm.ring_reader(4, priority=20),
        lambda: RingReader("cam", depth=4, priority=20),
    ):
        with pytest.warns(SchedulingWarning, match=r"SCHED_FIFO priority 20.*ulimit -r") as caught:
            ring = call()
        assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
        # It runs all the same.
        with ring:
            shm.set_data(stamped(2))
            assert len(ring.read(1, timeout=PATIENCE).frames) == 1
    assert asked == [(0, os.SCHED_FIFO, 20)] * 2


def test_priority_that_is_permitted(make: MakeSHM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, policy, param: asked.append(param.sched_priority)
    )
    shm = create(make, "collector")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with shm.ring_reader(4, priority=1):
            pass
    assert (asked, caught) == ([1], [])


def test_scheduling_warning_that_is_an_error(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps running if the warning is turned into an exception."""

    def refuse(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    shm = create(make, "collector")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchedulingWarning):
            shm.ring_reader(4, priority=1)
    assert receivers() == []


@pytest.mark.parametrize("ring", [0, -1, 2**32, 1.5, "8", [8]])
def test_bad_ring(make: MakeSHM, shm_dir: Path, ring: Any) -> None:
    for kind in ("fast", "temporal"):
        error = refused(
            "ring", ring, lambda kind=kind: make("cam", stamped(1), ring=ring, ring_kind=kind)
        )
        assert (error.stream, repr(ring) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("kind", ["", "slow", None, 1])
def test_bad_ring_kind(make: MakeSHM, shm_dir: Path, kind: Any) -> None:
    for ring in (None, 8):
        error = refused(
            "ring_kind", kind, lambda ring=ring: make("cam", stamped(1), ring=ring, ring_kind=kind)
        )
        assert (error.stream, repr(kind) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


def test_ring_of_an_attached_stream(make: MakeSHM) -> None:
    create(make, "fast")
    error = refused("ring", 8, lambda: make("cam", ring=8))
    assert "attached, not created" in str(error)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_temporal_ring_of_other_frames(
    make: MakeSHM, shm_dir: Path, shape: tuple[int, ...]
) -> None:
    for data in ((shape, DTYPE), np.zeros(shape, DTYPE)):
        error = refused(
            "ring_kind",
            "temporal",
            lambda data=data: make("cam", data, ring=4, ring_kind="temporal"),
        )
        assert (error.stream, str(shape) in str(error)) == ("cam", True)
    assert list(shm_dir.iterdir()) == []


@each_source
def test_bad_numbers_of_frames(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    ring = both.ring
    for argument, least, call in (
        ("frames", 1, lambda n: ring.read(n)),
        ("frames", 1, lambda n: next(ring.blocks(frames=n))),
        ("frames", 1, lambda n: asyncio.run(anext(ring.ablocks(frames=n)))),
        ("frames", 1, lambda n: ring.peek(n)),
        ("frames", 0, lambda n: ring.skip(n)),
        ("frames", 0, lambda n: ring.rewind(n)),
        ("frames", 0, lambda n: ring.dump(frames=n)),
    ):
        for found in (least - 1, -(2**70), 1.5, "2", [2]):
            error = refused(argument, found, lambda call=call, found=found: call(found))
            assert error.stream == "cam"
            assert repr(found) in str(error)
            assert f"{least} or more" in str(error)
    assert (ring.lag, account(ring)) == (2, (0, 0, 0))
    # Whatever counts as an integer is one.
    assert numbers_of(ring.read(np.int64(1))) == [2]


@each_source
def test_bad_timeouts(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed()
    for timeout in (-1, -0.001, math.nan, "soon", [1]):
        for call in (
            lambda timeout=timeout: next(both.ring.blocks(timeout=timeout)),
            lambda timeout=timeout: both.ring.read(1, timeout=timeout),
            lambda timeout=timeout: asyncio.run(anext(both.ring.ablocks(timeout=timeout))),
        ):
            assert refused("timeout", timeout, call).stream == "cam"
    assert both.ring.lag == 1


@each_source
def test_bad_dump(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    error = refused("seconds", 1.0, lambda: both.ring.dump(seconds=1.0, frames=2))
    assert (error.stream, "not both" in str(error)) == ("cam", True)
    for seconds in (-1, math.nan, "soon", [1]):
        with pytest.raises(StreamArgumentError) as caught:
            both.ring.dump(seconds=seconds)
        assert caught.value.stream == "cam"
        assert caught.value.found is seconds


@each_source
def test_read_of_too_many_frames(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    with pytest.raises(CaptureMemoryError) as caught:
        both.ring.read(2**50)
    assert caught.value.needed >= 2**50 * 48
    assert 0 < caught.value.available < caught.value.needed
    both.feed()
    assert numbers_of(both.ring.read(1)) == [2]


@each_source
def test_reader_after_close(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    ring = both.ring
    waiting = ring.blocks()
    block = next(waiting)
    empty = ring.peek(1)
    ring.close()
    uses: dict[str, Callable[[], object]] = {
        "blocks": lambda: next(ring.blocks()),
        "the same blocks": lambda: next(waiting),
        "ablocks": lambda: asyncio.run(anext(ring.ablocks())),
        "wait": lambda: ring.wait(1),
        "read": lambda: ring.read(1),
        "peek": lambda: ring.peek(1),
        "latest": lambda: ring.latest(),
        "skip": lambda: ring.skip(1),
        "rewind": lambda: ring.rewind(1),
        "dump": lambda: ring.dump(),
        "fileno": lambda: ring.fileno(),
        "with": lambda: ring.__enter__(),
        "start": lambda: ring.start(),
        "wait_any": lambda: wait_any([ring], timeout=0),
        "intact": lambda: block.intact(),
        "overwritten": lambda: block.overwritten,
        "empty": lambda: empty.intact(),
    }
    for name, use in uses.items():
        with pytest.raises(StreamClosedError) as caught:
            use()
        assert type(caught.value) is StreamClosedError, name
        assert caught.value.stream == "cam"
        assert isinstance(caught.value, ValueError)
        assert "closed" in str(caught.value)
    with pytest.raises(StreamClosedError, match="frames 2 to 3"):
        block.intact()
    public = {name for name in dir(RingReader) if not name.startswith("_")}
    state = {"close", "closed", "depth", "lag", "level", "lost", "report", "source", "stream"}
    state |= {"running", "stop", "timeout_error", "unsettled"}
    assert public - set(uses) == state
    # What it did can still be asked.
    assert (ring.closed, ring.source, account(ring)) == (True, source, (2, 0, 0))
    for name in state - {"close"}:
        getattr(ring, name)
    assert numbers_of(block) == [2, 3]
    ring.close()


def test_stream_on_a_gpu(make_stream: Callable[..., Stream]) -> None:
    stream = make_stream("gpu", SHAPE, DTYPE, location=0)
    for call in (lambda: RingReader(stream, depth=4), lambda: RingReader("gpu", depth=4)):
        with pytest.raises(StreamFormatError, match="pixels are on GPU 0") as caught:
            call()
        error = caught.value
        assert (error.stream, error.field, error.expected, error.found) == (
            "gpu",
            "location",
            -1,
            0,
        )
    assert receivers() == []


def test_stream_that_does_not_exist() -> None:
    with pytest.raises(StreamNotFoundError):
        RingReader("missing")


def test_public_names() -> None:
    for name in ("Block", "RingReader", "RingReport", "wait_any"):
        assert name in pymilk.__all__
        assert getattr(pymilk, name).__doc__


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_in_front_of_lost_ones_come_with_the_error(kind: str) -> None:
    """Read, and then an error: the frames are consumed, so the error has to bring them."""
    with SHM("lossy", ((2, 3), np.uint32), ring=8, ring_kind=kind) as shm:
        with shm.ring_reader(on_lost="raise") as ring:
            shm.set_many(np.full((3, 2, 3), 5, np.uint32))
            stream = shm._stream
            assert stream is not None
            # A gap in the numbers, as a relay leaves it for frames that it lost.
            md = np.memmap(shm.FILEPATH, np.uint64, "r+", 264, (1,))
            md[0] += 4
            shm.set_many(np.full((2, 2, 3), 6, np.uint32))
            with pytest.raises(FrameLostError) as caught:
                ring.read(5, timeout=0)
            assert caught.value.capture.info["cnt0"].tolist() == [2, 3, 4]
            assert (caught.value.seq, caught.value.lost, caught.value.oldest) == (5, 4, 9)
            assert ring.read(2, timeout=0).info["cnt0"].tolist() == [9, 10]
            assert ring.lost == 4
        shm.destroy()
