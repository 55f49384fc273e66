"""What a ring reader tells of its state; dumps."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM, RingReader, Stream
from pymilk.errors import StreamUnsupportedError
from support.rings import CAPACITY, DTYPE, SHAPE, Both, account, create, each_source, numbers_of, stamped
from support.waiting import PATIENCE

MakeSHM = Callable[..., SHM]


# --- dump --------------------------------------------------------------------------------------


@each_source
def test_dump(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(10)
    both.ring.read(4, timeout=0)
    lag = both.ring.lag
    held = list(range(both.number - CAPACITY + 1, both.number + 1))
    assert numbers_of(both.ring.dump()) == held
    assert numbers_of(both.ring.dump(frames=3)) == held[-3:]
    assert numbers_of(both.ring.dump(frames=10**30)) == held
    assert numbers_of(both.ring.dump(frames=0)) == []
    assert numbers_of(both.ring.dump(seconds=1000)) == held
    assert numbers_of(both.ring.dump(seconds=0)) == []
    capture = both.ring.dump(frames=2)
    assert (capture.done, capture.report.received, capture.report.lost) == (True, 2, 0)
    assert both.ring.lag == lag
    assert account(both.ring)[0] == 4
    # A copy: it does not change with the ring.
    both.feed(CAPACITY)
    assert numbers_of(capture) == held[-2:]


@each_source
def test_dump_of_the_last_seconds(
    make: MakeSHM, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    both = Both(make, source)
    both.feed(3)
    border = time.clock_gettime_ns(time.CLOCK_TAI)
    both.feed(2)
    # The clock stands still 10 s later: what is older than 10 s came before the border.
    monkeypatch.setattr("pymilk.ring.reader.now_ns", lambda: border + 10 * 10**9)
    assert numbers_of(both.ring.dump(seconds=10)) == [5, 6]
    assert numbers_of(both.ring.dump(seconds=5)) == []
    assert numbers_of(both.ring.dump(seconds=1000))[-5:] == [2, 3, 4, 5, 6]


def test_dump_of_seconds_without_times(make: MakeSHM) -> None:
    """Writers that fill no records: only a number of frames can be asked for."""
    both = Both(make, "fast")
    both.feed(3)
    with Stream.attach("cam") as stream:
        stream.section("ring_records", writable=True)[:] = np.zeros(
            (), stream.section("ring_records").dtype
        )
    with pytest.raises(StreamUnsupportedError, match=r"'cam'.*stores no times") as caught:
        both.ring.dump(seconds=1)
    assert caught.value.stream == "cam"
    assert isinstance(caught.value, OSError)
    assert numbers_of(both.ring.dump(frames=2)) == [3, 4]


# --- state -------------------------------------------------------------------------------------


@each_source
def test_state(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    ring = both.ring
    depth = CAPACITY if source == "collector" else CAPACITY + 1
    assert (ring.name, ring.shape, ring.dtype, ring.depth) == ("cam", SHAPE, np.dtype(DTYPE), depth)
    assert (ring.lag, ring.level, ring.lost, ring.closed) == (0, 0.0, 0, False)
    assert repr(ring) == f"<RingReader 'cam', {source}, 0 of {depth} waiting>"
    both.feed(3)
    assert (ring.lag, ring.level) == (3, 3 / CAPACITY)
    ring.read(2)
    report = ring.report
    values = {
        "stream": "cam",
        "source": source,
        "policy": "every",
        "depth": depth,
        "received": 2,
        "lost": 0,
        "skipped": 0,
        "counter_set": 0,
        "uncertain": 0,
        "unflagged": 0,
        "lag": 1,
        "new_files": 0,
    }
    told = report.to_dict()
    assert {name: told[name] for name in values} == values
    assert set(told) == {*values, "duration", "cpu_share", "reasons"}
    assert json.loads(json.dumps(told)) == told
    assert report.duration > 0
    assert (report.cpu_share > 0) == (source == "collector")
    text = str(report)
    assert text.startswith(
        f"Ring of stream 'cam' ({source}, depth {depth}): 2 received, 0 lost, 0 skipped, 1 waiting, "
    )
    assert text.endswith(" of a core") == (source == "collector")
    assert repr(report) == "<RingReport 'cam': 2 received, 0 lost>"
    ring.close()
    assert repr(ring) == f"<RingReader 'cam', {source}, closed>"


def test_default_depth(make: MakeSHM) -> None:
    small, large = make("small", ((2, 2), np.uint8)), make("large", ((2048, 2048), np.float64))
    with small.ring_reader() as ring:
        assert ring.depth == 8192
    with large.ring_reader() as ring:
        assert ring.depth == 16  # 32 MiB each: fewer would fit into the default memory


@each_source
def test_reader_by_name(make: MakeSHM, source: str) -> None:
    shm = create(make, source)
    with RingReader("cam", depth=CAPACITY) as ring:
        assert ring.source == source
        shm.set_data(stamped(2))
        assert numbers_of(ring.read(1)) == [2]
    assert ring.closed
    with Stream.attach("cam") as stream:
        with RingReader(stream, depth=CAPACITY) as ring:
            shm.set_data(stamped(3))
            assert numbers_of(ring.read(1)) == [3]
        assert not stream.closed


@each_source
def test_read_only_stream(make: MakeSHM, source: str) -> None:
    """No semaphore can be waited for: the counter is watched instead."""
    shm = create(make, source)
    with Stream.attach("cam", writable=False) as stream, RingReader(stream, depth=CAPACITY) as ring:
        writer = threading.Timer(0.02, shm.set_data, [stamped(2)])
        writer.start()
        assert numbers_of(ring.read(1, timeout=PATIENCE)) == [2]
        writer.join()
